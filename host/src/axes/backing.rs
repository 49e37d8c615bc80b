//! What guest memory is made of on the host.

use abi::axes::Axis;

/// What guest memory is made of on the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Backing {
    /// Private anonymous memory in 4 KiB pages (`MADV_NOHUGEPAGE`).
    Anon,
    /// Private anonymous memory with transparent huge pages (`MADV_HUGEPAGE`).
    AnonThp,
}

impl Axis for Backing {
    const AXIS: &'static str = "backing";
    const ALL: &'static [Self] = &[Self::Anon, Self::AnonThp];

    fn name(self) -> &'static str {
        match self {
            Self::Anon => "anon",
            Self::AnonThp => "anon-thp",
        }
    }
}
