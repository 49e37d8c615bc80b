//! Reports that are held for one another, to be discarded together: what is held, and how much and how long was.

use std::time::Duration;

use super::stamps::Stamp;
use crate::reclaim::Batch;

/// The longest that a report waits for others before its round is discarded, from when it was fetched.
pub const HOLD: Duration = Duration::from_micros(100);

/// What was held for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeldCounts {
    /// Reports.
    pub reports: u64,
    /// Rounds: reports that were discarded together.
    pub rounds: u64,
    /// The longest from the first report of a round to its discard: [`HOLD`] and a look into the ring at the most, but for
    /// what else the processor ran meanwhile.
    pub longest: Duration,
}

impl HeldCounts {
    /// What was held since there was `before`; the longest is that of all.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            reports: self.reports - before.reports,
            rounds: self.rounds - before.rounds,
            longest: self.longest,
        }
    }
}

/// The round that is held. Never allocates again.
#[derive(Debug)]
pub(super) struct Across {
    /// Reports of a round at the most.
    pub(super) most: usize,
    /// When each was where so far.
    pub(super) stamps: Vec<Stamp>,
    /// The ranges of all.
    pub(super) batch: Batch,
    /// What was held so far.
    pub(super) counts: HeldCounts,
}

impl Across {
    /// Of so many reports at the most.
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            stamps: Vec::with_capacity(most),
            batch: Batch::of_reports(most),
            counts: HeldCounts::default(),
        }
    }
}
