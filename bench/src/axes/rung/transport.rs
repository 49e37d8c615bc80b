//! A transport as the axes that make it, and one changed.

use host::axes::{Carrier, Completion, Doorbell, HaltPoll, RingFeatures, Servicer};

/// The six axes that make a transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Transport {
    /// Where ranges travel.
    pub carrier: Carrier,
    /// What a ring has beside its format.
    pub ring_features: RingFeatures,
    /// How the host is told.
    pub doorbell: Doorbell,
    /// Who acts.
    pub servicer: Servicer,
    /// How the guest learns.
    pub completion: Completion,
    /// Whether KVM spins before a processor that halts sleeps.
    pub halt_poll: HaltPoll,
}

/// One axis set to another value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Carrier(Carrier),
    RingFeatures(RingFeatures),
    Doorbell(Doorbell),
    Servicer(Servicer),
    Completion(Completion),
    HaltPoll(HaltPoll),
}

impl Transport {
    /// With one axis changed.
    pub(super) const fn with(mut self, change: Change) -> Self {
        match change {
            Change::Carrier(carrier) => self.carrier = carrier,
            Change::RingFeatures(features) => self.ring_features = features,
            Change::Doorbell(doorbell) => self.doorbell = doorbell,
            Change::Servicer(servicer) => self.servicer = servicer,
            Change::Completion(completion) => self.completion = completion,
            Change::HaltPoll(halt_poll) => self.halt_poll = halt_poll,
        }
        self
    }
}
