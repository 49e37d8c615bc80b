//! What the host does with reported ranges.

use abi::axes::Axis;

/// What the host does with a reported range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Discard {
    /// Nothing: the transport alone.
    None,
    /// `madvise(MADV_DONTNEED)`.
    DontNeed,
    /// `madvise(MADV_FREE)`: the kernel takes the pages when memory is short, unless they are written to before.
    Free,
    /// `madvise(MADV_REMOVE)`: a hole in the file that is mapped.
    Remove,
    /// `fallocate(FALLOC_FL_PUNCH_HOLE)`: the same by the file's descriptor.
    PunchHole,
    /// `madvise(MADV_PAGEOUT)`: the pages are written to swap, and kept where there is none.
    PageOut,
    /// `mmap(MAP_FIXED)` of fresh memory over the range.
    Remap,
    /// `process_madvise(MADV_DONTNEED)`, one for all ranges of a report (Linux 6.13).
    Vectored,
    /// Nothing until the host wants memory; then `madvise(MADV_DONTNEED)` of what the guest has not taken back.
    Deferred,
}

impl Axis for Discard {
    const AXIS: &'static str = "discard";
    const ALL: &'static [Self] = &[
        Self::None,
        Self::DontNeed,
        Self::Free,
        Self::Remove,
        Self::PunchHole,
        Self::PageOut,
        Self::Remap,
        Self::Vectored,
        Self::Deferred,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DontNeed => "dontneed",
            Self::Free => "free",
            Self::Remove => "remove",
            Self::PunchHole => "punch-hole",
            Self::PageOut => "pageout",
            Self::Remap => "remap",
            Self::Vectored => "vectored",
            Self::Deferred => "deferred",
        }
    }
}

impl Discard {
    /// The system call that it is, in messages.
    #[must_use]
    pub const fn call(self) -> &'static str {
        match self {
            Self::None => "no call",
            Self::DontNeed => "madvise(MADV_DONTNEED)",
            Self::Free => "madvise(MADV_FREE)",
            Self::Remove => "madvise(MADV_REMOVE)",
            Self::PunchHole => "fallocate(FALLOC_FL_PUNCH_HOLE)",
            Self::PageOut => "madvise(MADV_PAGEOUT)",
            Self::Remap => "mmap(MAP_FIXED)",
            Self::Vectored => "process_madvise(MADV_DONTNEED)",
            Self::Deferred => "madvise(MADV_DONTNEED), put off",
        }
    }
}

/// What one discard covers, and in which order the ranges of a report are discarded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Coalesce {
    /// Each range by itself, as it comes, as most monitors do.
    Each,
    /// Each range by itself, in the order of addresses.
    Sorted,
    /// Ranges sorted, adjacent and overlapping ones merged.
    Merged,
    /// The same of several reports at once: each is held for the next, until there are as many as may be in flight or the
    /// first was held for 100 µs.
    Across,
}

impl Axis for Coalesce {
    const AXIS: &'static str = "coalesce";
    const ALL: &'static [Self] = &[Self::Each, Self::Sorted, Self::Merged, Self::Across];

    fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Sorted => "sorted",
            Self::Merged => "merged",
            Self::Across => "across",
        }
    }
}
