//! What the host does with reported ranges.

use abi::axes::{Afterwards, Axis};

/// What the host does with a reported range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Discard {
    /// Nothing: the transport alone.
    None,
    /// `madvise(MADV_DONTNEED)`.
    DontNeed,
}

impl Axis for Discard {
    const AXIS: &'static str = "discard";
    const ALL: &'static [Self] = &[Self::None, Self::DontNeed];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DontNeed => "dontneed",
        }
    }
}

impl Discard {
    /// What reported pages hold afterwards.
    #[must_use]
    pub const fn afterwards(self) -> Afterwards {
        match self {
            Self::None => Afterwards::Kept,
            Self::DontNeed => Afterwards::Zeroed,
        }
    }
}

/// What one discard covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Coalesce {
    /// Each range by itself, as most monitors do.
    Each,
    /// Ranges sorted, adjacent and overlapping ones merged.
    Merged,
}

impl Axis for Coalesce {
    const AXIS: &'static str = "coalesce";
    const ALL: &'static [Self] = &[Self::Each, Self::Merged];

    fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Merged => "merged",
        }
    }
}
