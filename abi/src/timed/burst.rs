//! Bursts of empty calls, by which the stopwatch is weighed.
//!
//! The guest writes the number of a burst's kind to [`crate::notes::BURST`] and says
//! [`crate::control::Control::Burst`]; the host takes its own half of the stopwatch off, or puts it on, and lets it go
//! on. Kinds follow each other in turns, so that all of them see the same machine.

use crate::axes::Axis;

/// Calls in a burst.
pub const CALLS: u64 = 32;

/// How a burst's calls are timed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Burst {
    /// By two readings of the guest's clock around all of them: no stamp in between, on either side.
    Bare,
    /// As reports of one call each, under the whole stopwatch.
    Once,
    /// As one report of all of them, under the whole stopwatch.
    Each,
    /// As [`Self::Bare`], with the registers fetched and the answer left that some carriers need.
    Registers,
}

impl Axis for Burst {
    const AXIS: &'static str = "burst";
    const ALL: &'static [Self] = &[Self::Bare, Self::Once, Self::Each, Self::Registers];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Once => "once",
            Self::Each => "each",
            Self::Registers => "registers",
        }
    }
}

impl Burst {
    /// Whether the stopwatch runs.
    #[must_use]
    pub const fn is_stamped(self) -> bool {
        matches!(self, Self::Once | Self::Each)
    }
}
