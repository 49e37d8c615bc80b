//! What the only process of a Linux guest does.

use abi::axes::Axis;

/// What the agent does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Task {
    /// Takes memory, fills it, frees it, waits until it is reported, takes it again.
    Memhog,
    /// will-it-scale's page_fault1: maps memory, touches each page, unmaps, again and again.
    PageFault,
    /// Allocates and frees regions of mixed sizes, by the seed.
    Churn,
}

impl Axis for Task {
    const AXIS: &'static str = "task";
    const ALL: &'static [Self] = &[Self::Memhog, Self::PageFault, Self::Churn];

    fn name(self) -> &'static str {
        match self {
            Self::Memhog => "memhog",
            Self::PageFault => "page-fault",
            Self::Churn => "churn",
        }
    }
}

impl Task {
    /// Whether its operations are timed; else it is done once, and what is reported is looked at.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self, Self::Memhog)
    }
}

/// What pages of a task are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pages {
    /// Of 4 KiB.
    Small,
    /// Of 2 MiB, by the kernel's own THP.
    Huge,
}

impl Axis for Pages {
    const AXIS: &'static str = "pages";
    const ALL: &'static [Self] = &[Self::Small, Self::Huge];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Huge => "huge",
        }
    }
}
