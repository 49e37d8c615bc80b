//! A way to report as it is written: how reports travel and what is done with them.

use host::axes::{
    Backing, Carrier, Coalesce, Completion, Discard, Doorbell, HaltPoll, RingChoice, RingFeatures, Servicer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::named::Named;
use super::rung::{Rung, Transport};

/// [`host::axes::Way`] as it is written, in the record of every trial.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Way {
    /// Where ranges travel.
    pub carrier: Named<Carrier>,
    /// What the ring has beside its format; left out where it has nothing.
    #[serde(default = "plain", skip_serializing_if = "is_plain")]
    pub ring_features: Named<RingFeatures>,
    /// How the host is told.
    pub doorbell: Named<Doorbell>,
    /// Who acts.
    pub servicer: Named<Servicer>,
    /// How the guest learns.
    pub completion: Named<Completion>,
    /// What is done with a range.
    pub discard: Named<Discard>,
    /// What one discard covers.
    pub coalesce: Named<Coalesce>,
    /// What guest memory is made of.
    pub backing: Named<Backing>,
    /// Whether KVM spins before a processor that halts sleeps; as the host has it in files of before that could be
    /// chosen.
    #[serde(default = "host")]
    pub halt_poll: Named<HaltPoll>,
    /// The mode the payload was asked to run in.
    pub guest_ring: Named<RingChoice>,
}

const fn plain() -> Named<RingFeatures> {
    Named(RingFeatures::NONE)
}

fn is_plain(features: &Named<RingFeatures>) -> bool {
    *features == plain()
}

const fn host() -> Named<HaltPoll> {
    Named(HaltPoll::Host)
}

impl From<host::axes::Way> for Way {
    fn from(way: host::axes::Way) -> Self {
        let host::axes::Way {
            carrier,
            ring_features,
            doorbell,
            servicer,
            completion,
            discard,
            coalesce,
            backing,
            halt_poll,
            guest_ring,
        } = way;
        Self {
            carrier: Named(carrier),
            ring_features: Named(ring_features),
            doorbell: Named(doorbell),
            servicer: Named(servicer),
            completion: Named(completion),
            discard: Named(discard),
            coalesce: Named(coalesce),
            backing: Named(backing),
            halt_poll: Named(halt_poll),
            guest_ring: Named(guest_ring),
        }
    }
}

impl From<Way> for host::axes::Way {
    fn from(way: Way) -> Self {
        let Way {
            carrier,
            ring_features,
            doorbell,
            servicer,
            completion,
            discard,
            coalesce,
            backing,
            halt_poll,
            guest_ring,
        } = way;
        Self {
            carrier: carrier.0,
            ring_features: ring_features.0,
            doorbell: doorbell.0,
            servicer: servicer.0,
            completion: completion.0,
            discard: discard.0,
            coalesce: coalesce.0,
            backing: backing.0,
            halt_poll: halt_poll.0,
            guest_ring: guest_ring.0,
        }
    }
}

impl Way {
    /// The options of a ring in a word of a tag, where no rung's name says them.
    #[must_use]
    pub fn features_tag(&self) -> String {
        if is_plain(&self.ring_features) || self.rung().is_some() {
            return String::new();
        }
        format!(".{}", self.ring_features)
    }

    /// The rung whose transport this is, if it is one's.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        let Self { carrier, ring_features, doorbell, servicer, completion, halt_poll, .. } = *self;
        Rung::of(Transport {
            carrier: carrier.0,
            ring_features: ring_features.0,
            doorbell: doorbell.0,
            servicer: servicer.0,
            completion: completion.0,
            halt_poll: halt_poll.0,
        })
    }
}
