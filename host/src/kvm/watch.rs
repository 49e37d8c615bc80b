//! Whether the host's half of the stopwatch runs. Decided where the code is compiled, so that a loop without it has no
//! trace of it, and one with it is the same as if there were no other.

use super::clock::HostTsc;

/// A stopwatch that runs or does not.
pub(crate) trait Watch {
    /// Whether what it says is to be recorded.
    const RUNS: bool;

    /// What it shows.
    fn now() -> HostTsc;
}

/// It runs: every trial that is measured.
pub(crate) enum Running {}

/// It does not: what running costs is measured against this.
pub(crate) enum Stopped {}

impl Watch for Running {
    const RUNS: bool = true;

    #[inline]
    fn now() -> HostTsc {
        HostTsc::now()
    }
}

impl Watch for Stopped {
    const RUNS: bool = false;

    #[inline]
    fn now() -> HostTsc {
        HostTsc::default()
    }
}
