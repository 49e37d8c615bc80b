//! Which mode the payload is asked to run in.

use abi::axes::{Axis, GuestRing};

use super::doorbell::Doorbell;

/// Which mode the payload is asked to run in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum RingChoice {
    /// Ring 3 where KVM emulates ring 0 and the doorbell allows it, else ring 0.
    #[default]
    Auto,
    /// Ring 0.
    Zero,
    /// Ring 3.
    Three,
}

impl Axis for RingChoice {
    const AXIS: &'static str = "guest-ring";
    const ALL: &'static [Self] = &[Self::Auto, Self::Zero, Self::Three];

    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Zero => "0",
            Self::Three => "3",
        }
    }
}

impl RingChoice {
    /// The mode itself, of a guest that rings `doorbell` under a KVM that may emulate ring 0.
    #[must_use]
    pub const fn resolve(self, doorbell: Doorbell, ring0_emulated: bool) -> GuestRing {
        match self {
            Self::Zero => GuestRing::Zero,
            Self::Three => GuestRing::Three,
            Self::Auto if doorbell.is_hypercall() || !ring0_emulated => GuestRing::Zero,
            Self::Auto => GuestRing::Three,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_3_is_chosen_where_ring_0_is_emulated_and_the_doorbell_allows_it() {
        let chosen = |doorbell| [false, true].map(|emulated| RingChoice::Auto.resolve(doorbell, emulated));
        assert_eq!(chosen(Doorbell::Port), [GuestRing::Zero, GuestRing::Three]);
        assert_eq!(chosen(Doorbell::IoeventfdMmio), [GuestRing::Zero, GuestRing::Three]);
        assert_eq!(chosen(Doorbell::Hypercall), [GuestRing::Zero; 2]);
        assert_eq!(chosen(Doorbell::HypercallKernel), [GuestRing::Zero; 2]);
        assert_eq!(RingChoice::Zero.resolve(Doorbell::Port, true), GuestRing::Zero);
        assert_eq!(RingChoice::Three.resolve(Doorbell::Port, false), GuestRing::Three);
    }
}
