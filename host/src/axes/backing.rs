//! What guest memory is made of on the host.

use abi::axes::Axis;

/// What guest memory is made of on the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Backing {
    /// Private anonymous memory in 4 KiB pages (`MADV_NOHUGEPAGE`).
    Anon,
    /// Private anonymous memory with transparent huge pages (`MADV_HUGEPAGE`).
    AnonThp,
    /// A shared mapping of a file in memory (`memfd_create`), in 4 KiB pages.
    Memfd,
    /// The same with transparent huge pages.
    MemfdThp,
    /// A shared mapping of a file of huge pages that were reserved beforehand (`MFD_HUGETLB`, 2 MiB).
    Hugetlb,
    /// A private mapping of a file, as of a guest that was restored from a snapshot. The file is empty: it reads as zeroes.
    File,
    /// Private anonymous memory in 4 KiB pages that are locked as they are touched (`MLOCK_ONFAULT`).
    Locked,
    /// Private anonymous memory in 4 KiB pages that is registered with userfaultfd: a thread of ours answers for pages that are
    /// missing, and hears of those that are discarded.
    Userfault,
}

impl Axis for Backing {
    const AXIS: &'static str = "backing";
    const ALL: &'static [Self] = &[
        Self::Anon,
        Self::AnonThp,
        Self::Memfd,
        Self::MemfdThp,
        Self::Hugetlb,
        Self::File,
        Self::Locked,
        Self::Userfault,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Anon => "anon",
            Self::AnonThp => "anon-thp",
            Self::Memfd => "memfd",
            Self::MemfdThp => "memfd-thp",
            Self::Hugetlb => "hugetlb",
            Self::File => "file",
            Self::Locked => "locked",
            Self::Userfault => "userfault",
        }
    }
}

impl Backing {
    /// Whether its huge pages come and go as the kernel likes, so that one may have holes.
    #[must_use]
    pub const fn is_thp(self) -> bool {
        matches!(self, Self::AnonThp | Self::MemfdThp)
    }

    /// As many bytes, rounded up to whole pages of this memory.
    pub(crate) fn whole_pages(self, bytes: usize) -> usize {
        if self == Self::Hugetlb { bytes.next_multiple_of(2 << 20) } else { bytes }
    }

    /// Whether it is a file that keeps what is merely unmapped.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Memfd | Self::MemfdThp | Self::Hugetlb)
    }
}
