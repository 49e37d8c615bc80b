//! What the engine counts. Every virtual processor has counters and tallies of its own, written by nobody else, so
//! that counting needs no lock; the host reads and adds them up when the guest is done.

use crate::addr::Gpa;
use crate::axes::Axis;
use crate::layout::ARENA;
use crate::tally::BUCKETS;
use crate::violation::Violation;

/// Words shared by all virtual processors, at the beginning of the arena.
pub mod shared {
    use super::{ARENA, Gpa};

    const fn word(index: u64) -> Gpa {
        ARENA.offset(index * 8)
    }

    /// Free for the guest's own use: barriers, locks, the state of the reporting core.
    pub const OWN: Gpa = word(32);
    /// [`crate::engine::Inhibited`], by its number.
    pub const INHIBITED: Gpa = word(0);
    /// Round that is under way or was settled last, from 1.
    pub const ROUND: Gpa = word(1);
    /// Passes so far: see [`PassRecord`](super::PassRecord).
    pub const PASSES: Gpa = word(2);
    /// Time stamp at the beginning of the measured part, of the end, and, for a load that is not timed, when the memory
    /// of the last round had been freed.
    pub const BEGAN: Gpa = word(3);
    /// See [`BEGAN`].
    pub const ENDED: Gpa = word(4);
    /// See [`BEGAN`].
    pub const FREED: Gpa = word(5);
    /// When the host asked for everything to be reported; it writes this before it answers
    /// [`Control::Next`](crate::control::Control::Next). Then of the flush: when its last report was acknowledged, and how
    /// many reports and pages it was.
    pub const ASKED: Gpa = word(6);
    /// See [`ASKED`].
    pub const FLUSHED: Gpa = word(7);
    /// See [`ASKED`].
    pub const FLUSH_REPORTS: Gpa = word(8);
    /// See [`ASKED`].
    pub const FLUSH_PAGES: Gpa = word(9);
}

/// Pass records kept: the first so many.
pub const PASSES: u64 = 1024;
/// Words in a pass record.
pub const PASS_WORDS: usize = 4;

/// One pass of the reporting core.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PassRecord {
    /// Time stamp when it began.
    pub began: u64,
    /// Time stamp when it ended.
    pub ended: u64,
    /// Reports made in it.
    pub reports: u64,
    /// Pages reported in it.
    pub pages: u64,
}

impl PassRecord {
    /// As words.
    #[must_use]
    pub const fn to_words(self) -> [u64; PASS_WORDS] {
        [self.began, self.ended, self.reports, self.pages]
    }

    /// From words; any will do.
    #[must_use]
    pub const fn from_words([began, ended, reports, pages]: [u64; PASS_WORDS]) -> Self {
        Self { began, ended, reports, pages }
    }
}

/// Makes an axis of numbered names with their documentation.
macro_rules! numbered {
    ($(#[$about:meta])* $kind:ident, $axis:literal: $($(#[$doc:meta])* $value:ident = $name:literal,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $kind {
            $($(#[$doc])* $value,)+
        }

        impl Axis for $kind {
            const AXIS: &'static str = $axis;
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }
    };
}

numbered! {
    /// A counter of a virtual processor. They cover the measured part only.
    Counter, "counter":
    /// Operations of the workload: pages faulted in for `page_fault1` (units allocated and touched), allocations
    /// for churn, units for the others.
    Operations = "operations",
    /// Pages allocated.
    Pages = "pages",
    /// Allocations that failed.
    Failed = "failed",
    /// Ticks spent allocating.
    AllocTicks = "alloc-ticks",
    /// Ticks spent clearing what was allocated: the first touch, with whatever it costs to fault it in.
    TouchTicks = "touch-ticks",
    /// Of these: in runs of units (up to a huge page) of which one at least had been reported.
    RefaultTicks = "refault-ticks",
    /// Operations in those runs.
    RefaultOperations = "refault-operations",
    /// Ticks spent freeing, the hook included.
    FreeTicks = "free-ticks",
    /// Ticks spent by the oracle, looking and stamping.
    OracleTicks = "oracle-ticks",
    /// Ticks spent in the reporting core: the next three, and what is between them.
    ReportTicks = "report-ticks",
    /// Of these: finding and isolating, the wait for the lock included.
    WalkTicks = "walk-ticks",
    /// Of these: the transport, from filling the carrier to the acknowledgement, as far as this processor waited.
    TransportTicks = "transport-ticks",
    /// Of these: putting back and marking, the wait for the lock included.
    PutBackTicks = "put-back-ticks",
    /// Ticks spent waiting with nothing to do.
    IdleTicks = "idle-ticks",
    /// Ticks of the measured part.
    WindowTicks = "window-ticks",
    /// Blocks looked at on free lists, or in an array of freed ones, to find what to report.
    Examined = "examined",
    /// Blocks taken off a free list to be reported.
    Isolated = "isolated",
    /// Blocks reported and acknowledged.
    Reported = "reported",
    /// Pages in them.
    ReportedPages = "reported-pages",
    /// Blocks that merged with a neighbour when they were put back, and were not marked.
    Merged = "merged",
    /// Blocks that could not be isolated: they were allocated, or the watermark forbade it.
    Missed = "missed",
    /// Reports.
    Reports = "reports",
    /// Calls that were refused, by the host's answer.
    Refused = "refused",
    /// Passes begun.
    Passes = "passes",
    /// Lists left because the budget of the pass was spent.
    OutOfBudget = "out-of-budget",
    /// Zones skipped because of the watermark.
    BelowWatermark = "below-watermark",
    /// Passes requested.
    Requests = "requests",
    /// Free lists moved about by compaction.
    Shuffled = "shuffled",
    /// Boundary pointers reset.
    Resets = "resets",
    /// Blocks allocated that carried the mark.
    TookReported = "took-reported",
    /// Blocks that were reported and kept off the lists.
    Held = "held",
    /// Blocks that had been held and went back because an allocation found nothing.
    Released = "released",
    /// Spins on a lock that somebody else held.
    Spins = "spins",
    /// Times the host was asked for the processor to be given to somebody else, because a lock was held long.
    Yields = "yields",
    /// Pages whose contents were checked, in the whole trial.
    Checked = "checked",
}

numbered! {
    /// A tally of a virtual processor. Ticks, unless it says otherwise; they cover the measured part only.
    Tally, "tally":
    /// The zone lock held by the reporting core to find and isolate a batch, and before it to put the last one of the
    /// same list back: the one hold that Linux makes of them.
    HoldWalk = "hold-walk",
    /// The zone lock held by the reporting core to put a batch back. Part of a [`Self::HoldWalk`], unless the batch was
    /// the last of its list.
    HoldPutBack = "hold-put-back",
    /// The zone lock held by an allocation; one in [`SAMPLED`].
    HoldAlloc = "hold-alloc",
    /// The zone lock held to free a block; one in [`SAMPLED`].
    HoldFree = "hold-free",
    /// An allocation while no report was under way; one in [`SAMPLED`].
    AllocQuiet = "alloc-quiet",
    /// An allocation while blocks were being found, reported or put back; one in [`SAMPLED`].
    AllocReporting = "alloc-reporting",
    /// From taking a batch off its lists to having put it back: its pages are invisible to the allocator.
    Invisible = "invisible",
    /// The transport: from filling the carrier to the acknowledgement seen.
    Report = "report",
    /// Clearing a unit that was resident; all of them if the unit is huge, else one in [`SAMPLED`].
    TouchResident = "touch-resident",
    /// Clearing a unit that had been reported; sampled likewise.
    TouchReported = "touch-reported",
    /// Blocks looked at for one batch: a number, not ticks.
    Examined = "examined",
}

/// Of allocations and frees, one in so many is timed by itself.
pub const SAMPLED: u64 = 16;

/// Number of tallies.
pub const TALLIES: usize = Tally::ALL.len();
/// Bytes of one.
pub const TALLY_BYTES: u64 = BUCKETS as u64 * 8;
/// Bytes of a processor's counters and violations.
pub const COUNTERS_BYTES: u64 = 4096;

const VIOLATIONS_OFFSET: u64 = 64 * 8;
const FIRST_WRONG_OFFSET: u64 = 96 * 8;
const _: () = assert!(Counter::ALL.len() <= 64 && Violation::ALL.len() <= 32);

/// Where a counter is, in the books of a processor ([`super::map::Map::vcpu`]).
#[must_use]
pub const fn counter(vcpu: Gpa, counter: Counter) -> Gpa {
    vcpu.offset(counter as u64 * 8)
}

/// Where the buckets of a tally are, in the books of a processor.
#[must_use]
pub const fn tally(vcpu: Gpa, tally: Tally) -> Gpa {
    vcpu.offset(COUNTERS_BYTES + tally as u64 * TALLY_BYTES)
}

/// Where a violation is counted, in the books of a processor.
#[must_use]
pub const fn violation(vcpu: Gpa, violation: Violation) -> Gpa {
    vcpu.offset(VIOLATIONS_OFFSET + violation as u64 * 8)
}

/// Where the frame of the first page that this processor found wrong is.
#[must_use]
pub const fn first_wrong(vcpu: Gpa) -> Gpa {
    vcpu.offset(FIRST_WRONG_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::tests::round_trips;

    #[test]
    fn every_number_has_its_own_name() {
        round_trips::<Counter>();
        round_trips::<Tally>();
    }
}
