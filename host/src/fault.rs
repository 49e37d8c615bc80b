//! Deliberate bugs, to show that the oracle finds them.
//!
//! They exist only where the feature `test-support` is on, which only tests turn on; elsewhere [`Planted`]
//! is empty and every question to it is answered *no* at compile time.

use abi::addr::{ByteRange, PageRange};
use abi::axes::Program;
pub use abi::timed::SLOW;

use crate::kvm::HostTsc;
use crate::memory::GuestRam;

#[cfg(feature = "detour")]
pub(crate) use detour::walk as detour;

#[cfg(all(feature = "slowdown", not(feature = "detour")))]
pub(crate) use slowdown::spin as detour;

/// Nothing: only the tests of whether a longer path is noticed are built with a detour.
#[cfg(not(any(feature = "detour", feature = "slowdown")))]
pub(crate) const fn detour() {}

/// Makes every call from now on take so many ticks more, in a build that can.
pub fn slow_down(ticks: u64) {
    #[cfg(feature = "slowdown")]
    slowdown::TICKS.store(ticks, std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(feature = "slowdown"))]
    let _ = ticks;
}

#[cfg(feature = "slowdown")]
mod slowdown {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::kvm::HostTsc;

    /// How long. It is set between two trials, and carries nothing with it.
    pub(super) static TICKS: AtomicU64 = AtomicU64::new(0);

    /// Spins for so long.
    #[cfg_attr(feature = "detour", expect(dead_code, reason = "the detour is in its place"))]
    pub(crate) fn spin() {
        let (start, ticks) = (HostTsc::now(), TICKS.load(Ordering::Relaxed));
        while HostTsc::now().since(start) < ticks {
            std::hint::spin_loop();
        }
    }
}

#[cfg(feature = "detour")]
mod detour {
    /// An instruction each (the loop is unrolled): two per cent of the shortest call that reaches us, which takes some
    /// 5000 (`results/reference/lab-check`).
    const TURNS: u32 = 100;

    /// Walks about a hundred instructions for nothing.
    pub(crate) fn walk() {
        for turn in 0..TURNS {
            std::hint::black_box(turn);
        }
    }
}

/// What can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Acknowledge a call, and discard its ranges only when the next one comes.
    AcknowledgeFirst,
    /// Find the guest's clock moved against the host's when their relation is read again.
    ClockMoved,
    /// Discard one page beyond each range.
    PageTooMany,
    /// Acknowledge without discarding.
    SkipDiscard,
    /// Advance the used index by two for one chain; in a packed ring, mark a descriptor too many.
    UsedTwice,
    /// Keep a reference to the pages that are discarded: they are unmapped, and the host has not got them back.
    UnmapOnly,
    /// Discard what was put off without a look at what the guest has taken back.
    ForgetLedger,
    /// Stamp a call's *fetched* only when it is discarded.
    LateStamp,
    /// Spin for [`SLOW`] ticks whenever a stamp is recorded: a stopwatch that costs that much more.
    HeavyStopwatch,
    /// Spin for [`SLOW`] ticks once the device thread's `read` has returned.
    SlowWake,
    /// … between being picked up and the first stamp of the service.
    SlowDispatch,
    /// … before the carrier is read.
    SlowFetch,
    /// … before the ranges are discarded.
    SlowDiscard,
    /// … before the acknowledgement.
    SlowComplete,
    /// … after it, before the guest is entered again.
    SlowResume,
    /// The guest spins for [`SLOW`] ticks before it fills the carrier.
    SlowPrepare,
    /// … before the doorbell instruction.
    SlowNotify,
    /// … once the acknowledgement is there, before it is seen.
    SlowSight,
}

/// The bug planted in a trial, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planted {
    #[cfg(feature = "test-support")]
    faults: [Option<Fault>; 2],
}

impl Planted {
    /// No bug.
    pub const NONE: Self = Self {
        #[cfg(feature = "test-support")]
        faults: [None; 2],
    };

    /// This bug.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self { faults: [Some(fault), None] }
    }

    /// This bug, and another one.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub const fn both(fault: Fault, another: Fault) -> Self {
        Self { faults: [Some(fault), Some(another)] }
    }

    /// Whether this bug is there.
    #[must_use]
    pub(crate) fn is(self, fault: Fault) -> bool {
        #[cfg(feature = "test-support")]
        return self.faults.contains(&Some(fault));
        #[cfg(not(feature = "test-support"))]
        {
            let _ = fault;
            false
        }
    }

    /// Spins for [`SLOW`] ticks if this is the delay that is planted.
    #[inline]
    pub(crate) fn slow(self, fault: Fault) {
        if self.is(fault) {
            let start = HostTsc::now();
            while HostTsc::now().since(start) < SLOW {
                std::hint::spin_loop();
            }
        }
    }

    /// What the guest of a timed trial runs.
    pub(crate) fn program(self) -> Program {
        let slow = [
            (Fault::SlowPrepare, Program::SlowPrepare),
            (Fault::SlowNotify, Program::SlowNotify),
            (Fault::SlowSight, Program::SlowWait),
        ];
        slow.iter().find(|(fault, _)| self.is(*fault)).map_or(Program::Report, |(_, program)| *program)
    }

    /// The range to discard in place of `range`.
    pub(crate) fn stretched(self, range: PageRange, ram: &GuestRam) -> PageRange {
        if !self.is(Fault::PageTooMany) {
            return range;
        }
        let bytes = ByteRange::of_pages(range.gpa(), range.pages() + 1);
        let stretched = bytes.and_then(ByteRange::inward).unwrap_or(range);
        if ram.contains(stretched) { stretched } else { range }
    }
}
