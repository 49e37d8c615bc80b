//! Some values of one axis of a way.

use std::fmt;

use abi::axes::{Axis, Carrier, Completion, RingFeatures};

use super::backing::Backing;
use super::discard::{Coalesce, Discard};
use super::doorbell::{Doorbell, Servicer};
use super::guest_ring::RingChoice;
use super::halt_poll::HaltPoll;
use super::way::Way;

/// Some values of one axis. It is shown as `carrier registers or batch`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// Where ranges travel.
    Carrier(&'static [Carrier]),
    /// What the ring has beside its format.
    RingFeatures(&'static [RingFeatures]),
    /// How the host is told.
    Doorbell(&'static [Doorbell]),
    /// Who acts.
    Servicer(&'static [Servicer]),
    /// How the guest learns.
    Completion(&'static [Completion]),
    /// Whether KVM spins before a processor that halts sleeps.
    HaltPoll(&'static [HaltPoll]),
    /// The mode the payload runs in.
    GuestRing(&'static [RingChoice]),
    /// What is done with a range.
    Discard(&'static [Discard]),
    /// What one discard covers.
    Coalesce(&'static [Coalesce]),
    /// What guest memory is made of.
    Backing(&'static [Backing]),
}

impl Set {
    /// Whether a way has one of these values.
    #[must_use]
    pub fn holds(&self, way: &Way) -> bool {
        match self {
            Self::Carrier(values) => values.contains(&way.carrier),
            Self::RingFeatures(values) => values.contains(&way.ring_features),
            Self::Doorbell(values) => values.contains(&way.doorbell),
            Self::Servicer(values) => values.contains(&way.servicer),
            Self::Completion(values) => values.contains(&way.completion),
            Self::HaltPoll(values) => values.contains(&way.halt_poll),
            Self::GuestRing(values) => values.contains(&way.guest_ring),
            Self::Discard(values) => values.contains(&way.discard),
            Self::Coalesce(values) => values.contains(&way.coalesce),
            Self::Backing(values) => values.contains(&way.backing),
        }
    }

    /// What the axis is called, on the command line too.
    #[must_use]
    pub const fn axis(&self) -> &'static str {
        match self {
            Self::Carrier(_) => Carrier::AXIS,
            Self::RingFeatures(_) => RingFeatures::AXIS,
            Self::Doorbell(_) => Doorbell::AXIS,
            Self::Servicer(_) => Servicer::AXIS,
            Self::Completion(_) => Completion::AXIS,
            Self::HaltPoll(_) => HaltPoll::AXIS,
            Self::GuestRing(_) => RingChoice::AXIS,
            Self::Discard(_) => Discard::AXIS,
            Self::Coalesce(_) => Coalesce::AXIS,
            Self::Backing(_) => Backing::AXIS,
        }
    }

    /// What the values are called.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Carrier(values) => names(values),
            Self::RingFeatures(values) => names(values),
            Self::Doorbell(values) => names(values),
            Self::Servicer(values) => names(values),
            Self::Completion(values) => names(values),
            Self::HaltPoll(values) => names(values),
            Self::GuestRing(values) => names(values),
            Self::Discard(values) => names(values),
            Self::Coalesce(values) => names(values),
            Self::Backing(values) => names(values),
        }
    }

    /// What the value of a way on this axis is called, whether it is one of these or not.
    #[must_use]
    pub fn name_in(&self, way: &Way) -> &'static str {
        match self {
            Self::Carrier(_) => way.carrier.name(),
            Self::RingFeatures(_) => way.ring_features.name(),
            Self::Doorbell(_) => way.doorbell.name(),
            Self::Servicer(_) => way.servicer.name(),
            Self::Completion(_) => way.completion.name(),
            Self::HaltPoll(_) => way.halt_poll.name(),
            Self::GuestRing(_) => way.guest_ring.name(),
            Self::Discard(_) => way.discard.name(),
            Self::Coalesce(_) => way.coalesce.name(),
            Self::Backing(_) => way.backing.name(),
        }
    }
}

fn names<A: Axis>(values: &[A]) -> Vec<&'static str> {
    values.iter().map(|value| value.name()).collect()
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.axis(), listed(&self.names(), "or"))
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn listed<T: AsRef<str>>(items: &[T], word: &str) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [some @ .., last] => format!("{} {word} {last}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_shown_as_people_list_things() {
        assert_eq!(Set::GuestRing(&[RingChoice::Three]).to_string(), "guest-ring 3");
        assert_eq!(Set::Discard(&[Discard::None, Discard::DontNeed]).to_string(), "discard none or dontneed");
        assert_eq!(Set::Completion(Completion::ALL).to_string(), "completion return, poll or interrupt");
    }

    #[test]
    fn a_set_looks_at_its_own_axis() {
        let way = Way::plain(Carrier::Ring, Doorbell::Mmio, Completion::Poll);
        let sets: [(Set, &str); 10] = [
            (Set::Carrier(&[Carrier::Ring]), "ring"),
            (Set::RingFeatures(&[RingFeatures::NONE]), "none"),
            (Set::Doorbell(&[Doorbell::Mmio]), "mmio"),
            (Set::Servicer(&[Servicer::Vcpu]), "vcpu"),
            (Set::Completion(&[Completion::Poll]), "poll"),
            (Set::HaltPoll(&[HaltPoll::Host]), "host"),
            (Set::GuestRing(&[RingChoice::Auto]), "auto"),
            (Set::Discard(&[Discard::DontNeed]), "dontneed"),
            (Set::Coalesce(&[Coalesce::Each]), "each"),
            (Set::Backing(&[Backing::Anon]), "anon"),
        ];
        for (set, name) in sets {
            assert!(set.holds(&way), "{set}");
            assert_eq!(set.name_in(&way), name);
            assert_eq!(set.names(), [name]);
        }
        assert!(!Set::Carrier(&[Carrier::Empty, Carrier::Batch]).holds(&way));
    }
}
