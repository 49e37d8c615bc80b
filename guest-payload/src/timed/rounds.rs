//! The measured loop where reports go together: many are made, then all are acknowledged, then all are taken back.
//!
//! ```text
//!   free ─ report ─ free ─ report ─ … ─ acknowledged ─ touch, check, stamp ─ touch, check, stamp ─ …
//! ```
//!
//! How they are made and acknowledged is in [`super::gather`] and [`super::flight`]; one at a time they are made in
//! [`super::program`], whose trial this is but for that.

use abi::addr::{Order, PageRange};
use abi::boot::BootInfo;
use abi::control::Control;
use abi::layout::ARENA_START;
use abi::timed::trace::ReportRecord;
use abi::wire::page::BATCH_LENGTH;

use super::program::{Reporter, batch_size};
use crate::metal::Metal;
use crate::transport::Transport;

/// Ranges, and so reports, that can go together.
pub(super) const MOST: usize = BATCH_LENGTH;

/// A report of a round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Made {
    /// Its stamps so far.
    pub(super) record: ReportRecord,
    /// How many of its ranges, the first ones, were taken back before the host was told.
    pub(super) spared: usize,
}

/// Reports that go together. Reused from round to round.
pub(super) struct Round {
    ranges: [PageRange; MOST],
    reports: [Made; MOST],
    batch: usize,
    /// Reports for which there is room.
    most: usize,
    made: usize,
}

impl Round {
    fn new(info: &BootInfo) -> Self {
        let batch = batch_size(info);
        // The host never asks for more than there is room for.
        let most = usize::try_from(info.in_flight.max(info.gathers / batch as u64)).unwrap_or(MOST);
        Self {
            ranges: [PageRange::block(ARENA_START, Order::PAGE); MOST],
            reports: [Made::default(); MOST],
            batch,
            most: most.min(MOST / batch),
            made: 0,
        }
    }

    /// Ranges in a report.
    pub(super) const fn batch(&self) -> usize {
        self.batch
    }

    /// Reports in it so far.
    pub(super) const fn made(&self) -> usize {
        self.made
    }

    /// Reports for which there is room.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// The next report and its ranges, to be filled.
    pub(super) fn another(&mut self) -> (&mut [PageRange], &mut Made) {
        let at = self.made;
        self.made += 1;
        self.reports[at] = Made::default();
        (&mut self.ranges[at * self.batch..(at + 1) * self.batch], &mut self.reports[at])
    }

    /// The report made last.
    pub(super) fn last(&mut self) -> &mut Made {
        &mut self.reports[self.made - 1]
    }

    /// The same, to be added to.
    pub(super) fn reports_mut(&mut self) -> impl Iterator<Item = (&[PageRange], &mut Made)> {
        self.ranges.chunks_exact(self.batch).zip(&mut self.reports).take(self.made)
    }

    /// Every report of it with its ranges.
    fn reports(&self) -> impl Iterator<Item = (&[PageRange], Made)> {
        self.ranges.chunks_exact(self.batch).zip(self.reports).take(self.made)
    }
}

/// Runs the whole trial; `together` makes at most so many reports and waits until all are acknowledged.
///
/// # Panics
/// If not even one report goes: the host has asked for what there is no room for.
pub(super) fn run<M: Metal, T: Transport<M>>(
    metal: &mut M,
    info: &BootInfo,
    transport: T,
    together: impl Fn(&mut Reporter<T>, &mut M, &mut Round, u64),
) {
    let mut reporter = Reporter::new(info, transport);
    let mut round = Round::new(info);
    let mut rounds = |reporter: &mut Reporter<T>, metal: &mut M, part: Part| {
        let mut left = if let Part::Reports(reports) = part { reports } else { 1 };
        while left > 0 {
            round.made = 0;
            reporter.begin_round(metal, &round);
            together(reporter, metal, &mut round, if part == Part::Proof { u64::MAX } else { left });
            assert!(round.made > 0, "a report that does not fit in an empty carrier");
            if part == Part::Proof {
                metal.control(Control::Reported);
            }
            reporter.take_all_back(metal, &round);
            left = left.saturating_sub(round.made as u64);
        }
    };

    reporter.stamp_share(metal);
    reporter.trace.hand_over(metal, Control::Ready);
    rounds(&mut reporter, metal, Part::Reports(info.warmup));
    reporter.trace.hand_over(metal, Control::Filled);
    rounds(&mut reporter, metal, Part::Proof);
    reporter.trace.hand_over(metal, Control::Begin);
    rounds(&mut reporter, metal, Part::Reports(info.reports));
    reporter.trace.hand_over(metal, Control::End);
    reporter.trace.hand_over(metal, Control::Filled);
    rounds(&mut reporter, metal, Part::Proof);
    reporter.sweep(metal);
    reporter.trace.hand_over(metal, Control::Done);
}

/// What rounds are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// So many reports, in as many rounds as they take.
    Reports(u64),
    /// One full round between two looks of the host at what the kernel says is resident.
    Proof,
}

impl<T> Reporter<T> {
    /// Makes room for the stamps of a round, and has all its pages be different ones.
    fn begin_round<M: Metal>(&mut self, metal: &mut M, round: &Round) {
        self.trace.reserve(metal, round.most() as u64, round.most() as u64);
        self.batches.together(round.most() * round.batch);
    }

    /// Takes every report of a round back. What was spared is looked at too: it was never the host's.
    fn take_all_back<M: Metal>(&mut self, metal: &mut M, round: &Round)
    where
        T: Transport<M>,
    {
        for (ranges, made) in round.reports() {
            let (spared, reported) = ranges.split_at(made.spared);
            for range in spared {
                self.oracle.check(metal, *range, self.trace.reports());
            }
            self.take_back(metal, reported, made.record);
        }
    }
}
