//! Who hears how a run goes, and how it went.

use crate::trial::record::TrialRecord;

/// Hears how a run goes, between trials.
pub trait Listener {
    /// `trial` has just been written; `left` trials are to come.
    fn ended(&mut self, trial: &TrialRecord, left: usize);
}

/// How a run went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Trials with an outcome.
    pub measured: usize,
    /// Trials without.
    pub failed: usize,
    /// Trials that were not begun or were cut off, because the run was stopped; of a run that goes by time, the next.
    pub missing: usize,
}
