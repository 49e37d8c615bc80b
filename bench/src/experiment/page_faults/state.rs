//! What of reporting a guest has.

use abi::axes::Axis;

/// What is compared with a guest that has no reporting compiled in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Compiled in and switched off.
    Off,
    /// On, and the host does nothing with what is reported.
    WithoutDiscard,
    /// On, and the host discards.
    WithDiscard,
}

impl Axis for State {
    const AXIS: &'static str = "state";
    const ALL: &'static [Self] = &[Self::Off, Self::WithoutDiscard, Self::WithDiscard];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::WithoutDiscard => "on without discard",
            Self::WithDiscard => "on with discard",
        }
    }
}
