//! Deliberate bugs, to show that the oracle finds them.
//!
//! They exist only where the feature `test-support` is on, which only tests turn on; elsewhere [`Planted`]
//! is empty and every question to it is answered *no* at compile time.

use abi::addr::{ByteRange, PageRange};

use crate::memory::GuestRam;

#[cfg(feature = "detour")]
pub(crate) use detour::walk as detour;

/// Nothing: only the test of the gate on path length is built with a detour.
#[cfg(not(feature = "detour"))]
pub(crate) const fn detour() {}

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
    /// Discard one page beyond each range.
    PageTooMany,
    /// Acknowledge without discarding.
    SkipDiscard,
    /// Advance the used index by two for one chain.
    UsedTwice,
    /// Keep a reference to the pages that are discarded: they are unmapped, and the host has not got them back.
    UnmapOnly,
}

/// The bug planted in a trial, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planted {
    #[cfg(feature = "test-support")]
    fault: Option<Fault>,
}

impl Planted {
    /// No bug.
    pub const NONE: Self = Self {
        #[cfg(feature = "test-support")]
        fault: None,
    };

    /// This bug.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self { fault: Some(fault) }
    }

    /// Whether this is the bug.
    #[must_use]
    pub(crate) fn is(self, fault: Fault) -> bool {
        #[cfg(feature = "test-support")]
        return self.fault == Some(fault);
        #[cfg(not(feature = "test-support"))]
        {
            let _ = fault;
            false
        }
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
