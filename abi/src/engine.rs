//! The guest's reporting engine: a buddy allocator, a core that decides what is reported when, and a workload that
//! allocates meanwhile. What host and guest agree on about it.
//!
//! The words are Linux's: `mm/page_alloc.c`, `mm/page_reporting.c`, `drivers/virtio/virtio_balloon.c` of 6.12.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`info`] | what the engine is told when it starts |
//! | [`map`] | where it keeps its books, and which pages it manages |
//! | [`watermark`] | how much of a zone stays free |
//! | [`books`] | what it counts: counters, tallies, passes |
//! | [`stamp`] | by what a page's contents are witnessed |
//! | [`Truth`] | what every page holds, apart from what the allocator believes |

use crate::axes::Axis;

pub mod books;
pub mod info;
pub mod map;
pub mod stamp;
pub mod watermark;

/// The most blocks a report holds. A batch page has room for one less: [`crate::wire::page::BATCH_CAPACITY`].
pub const CAPACITY_MAX: usize = 512;

/// Whether the engine reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reporting {
    /// The allocator was compiled without the hook: what everything else is compared with.
    Absent,
    /// Compiled in and switched off: the hook is a test of one flag in the freeing path.
    Off,
    /// On.
    On,
}

impl Axis for Reporting {
    const AXIS: &'static str = "reporting";
    const ALL: &'static [Self] = &[Self::Absent, Self::Off, Self::On];

    fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

/// How the reporting core finds the free blocks it has not reported yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Walk {
    /// Every batch searches its free list from the head, past the blocks already reported; a block is put back
    /// where any freed block goes, at the head. The barest mechanism, as the review of 2019-11 asked for.
    Rewalk,
    /// A pointer a free list to the first reported block, which all lie behind it: the next batch resumes there.
    /// Versions 7 to 13 of the 2019 series.
    Boundary,
    /// Reported blocks go to the tail, and the first unreported block is made the head before the lock is let go.
    /// Merged into Linux in 2020.
    Rotation,
    /// The freeing path notes each freed block in an array of its processor, and a full array is looked through:
    /// what is still free is isolated and reported. The RFC of 2019-02.
    PerCpuArray,
    /// Every freed block is reported before it goes on the free list, by the processor that frees it. The hypercall
    /// RFC of 2019-02.
    Synchronous,
    /// What is reported goes on no list any more: it is held until an allocation finds nothing. An eighth of every zone is
    /// left alone. The reporting driver for Windows guests of 2026.
    Hold,
}

impl Axis for Walk {
    const AXIS: &'static str = "walk";
    const ALL: &'static [Self] =
        &[Self::Rewalk, Self::Boundary, Self::Rotation, Self::PerCpuArray, Self::Synchronous, Self::Hold];

    fn name(self) -> &'static str {
        match self {
            Self::Rewalk => "rewalk",
            Self::Boundary => "boundary",
            Self::Rotation => "rotation",
            Self::PerCpuArray => "per-cpu-array",
            Self::Synchronous => "synchronous",
            Self::Hold => "hold",
        }
    }
}

impl Walk {
    /// Whether it goes through the free lists in passes, and the parameters of a pass mean something.
    #[must_use]
    pub const fn walks_lists(self) -> bool {
        matches!(self, Self::Rewalk | Self::Boundary | Self::Rotation | Self::Hold)
    }
}

/// Whether compaction moves the free lists about while they are walked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shuffle {
    /// No compaction.
    None,
    /// After every report each list that was walked is cut at a seeded place and its front moved behind its back, as
    /// `move_freelist_head` of Linux's compaction does.
    Compaction,
}

impl Axis for Shuffle {
    const AXIS: &'static str = "shuffle";
    const ALL: &'static [Self] = &[Self::None, Self::Compaction];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Compaction => "compaction",
        }
    }
}

/// Whether each virtual processor keeps lists of free pages of its own in front of the allocator, as Linux does
/// (`struct per_cpu_pages`): blocks of orders 0 to 3, and huge pages. What lies in them is not reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum PerCpuLists {
    /// Every allocation and every free goes to the zone.
    #[default]
    Off,
    /// As in Linux 6.12.
    Linux,
}

impl Axis for PerCpuLists {
    const AXIS: &'static str = "pcp";
    const ALL: &'static [Self] = &[Self::Off, Self::Linux];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Linux => "linux",
        }
    }
}

/// Who allocates and frees meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Load {
    /// Allocate a footprint in blocks of the unit, touch, free; again for as long as the window is, on every
    /// virtual processor. After will-it-scale's `page_fault1`.
    PageFault1,
    /// Touch and free most of the guest; wait until reporting has settled; so many rounds.
    Memhog,
    /// Blocks of mixed orders, types and lifetimes, from the seed, for as long as the window is.
    Churn,
    /// Touch and free most of the guest once, then nothing.
    IdleAfterBurst,
    /// Every other block of the unit free, so that nothing merges and one free list has exactly the length asked
    /// for; then nothing.
    Comb,
    /// As [`Load::Memhog`], and when the memory of a round is free the host asks for all of it to be reported at once: as
    /// before a pause or a snapshot.
    Flush,
}

impl Axis for Load {
    const AXIS: &'static str = "load";
    const ALL: &'static [Self] =
        &[Self::PageFault1, Self::Memhog, Self::Churn, Self::IdleAfterBurst, Self::Comb, Self::Flush];

    fn name(self) -> &'static str {
        match self {
            Self::PageFault1 => "page_fault1",
            Self::Memhog => "memhog",
            Self::Churn => "churn",
            Self::IdleAfterBurst => "idle-after-burst",
            Self::Comb => "comb",
            Self::Flush => "flush",
        }
    }
}

impl Load {
    /// Whether it runs for a window of time; the others run for rounds.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::PageFault1 | Self::Churn)
    }
}

/// A deliberate bug in the guest, to show that the oracle finds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum GuestFault {
    /// None.
    #[default]
    None,
    /// Blocks are reported without being taken off their free list.
    ReportOnList,
    /// Allocation does not clear the mark of a reported block.
    KeepMark,
    /// Blocks go back to the free list before their report is acknowledged.
    PutBackEarly,
}

impl Axis for GuestFault {
    const AXIS: &'static str = "guest-fault";
    const ALL: &'static [Self] = &[Self::None, Self::ReportOnList, Self::KeepMark, Self::PutBackEarly];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReportOnList => "report-on-list",
            Self::KeepMark => "keep-mark",
            Self::PutBackEarly => "put-back-early",
        }
    }
}

/// Why the engine that was told to report does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Inhibited {
    /// It does.
    No,
    /// Free pages are poisoned and the balloon does not offer `VIRTIO_BALLOON_F_PAGE_POISON`: the driver gives
    /// reporting up (`virtballoon_validate`).
    PoisonNotNegotiated,
    /// Free pages are poisoned and the carrier has no way to say so.
    PoisonUnsaid,
}

impl Axis for Inhibited {
    const AXIS: &'static str = "inhibited";
    const ALL: &'static [Self] = &[Self::No, Self::PoisonNotNegotiated, Self::PoisonUnsaid];

    fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::PoisonNotNegotiated => "poison-not-negotiated",
            Self::PoisonUnsaid => "poison-unsaid",
        }
    }
}

/// What a page holds, kept for every page by whoever owns it at the moment, and never looked at by the allocator or
/// the reporting core: the oracle's witness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Truth {
    /// Nothing was ever written to it.
    Untouched,
    /// Somebody has it allocated and has written to it.
    Used,
    /// It was freed, and holds what freeing left.
    Freed,
    /// It is named in a report that is not acknowledged yet.
    InFlight,
    /// It was reported and acknowledged, and not allocated since.
    Reported,
}

impl Axis for Truth {
    const AXIS: &'static str = "truth";
    const ALL: &'static [Self] = &[Self::Untouched, Self::Used, Self::Freed, Self::InFlight, Self::Reported];

    fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Used => "used",
            Self::Freed => "freed",
            Self::InFlight => "in-flight",
            Self::Reported => "reported",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::tests::round_trips;

    #[test]
    fn every_value_has_its_own_name_and_number() {
        round_trips::<Reporting>();
        round_trips::<Walk>();
        round_trips::<Shuffle>();
        round_trips::<PerCpuLists>();
        round_trips::<Load>();
        round_trips::<GuestFault>();
        round_trips::<Inhibited>();
        round_trips::<Truth>();
    }
}
