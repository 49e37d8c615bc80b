//! How reports travel and what is done with them, whatever is reported: the choices that have to go together, of which
//! [`super::rules`] says which do.

use abi::axes::{Carrier, Completion, RingFeatures};
use abi::wire::{log, store};

use super::backing::Backing;
use super::discard::{Coalesce, Discard};
use super::doorbell::{Doorbell, Servicer, VHOST_PAGEHINT};
use super::guest_ring::RingChoice;
use super::halt_poll::HaltPoll;

/// A way to report.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Way {
    /// Where ranges travel.
    pub carrier: Carrier,
    /// What the ring has beside its format.
    pub ring_features: RingFeatures,
    /// How the host is told.
    pub doorbell: Doorbell,
    /// Who acts.
    pub servicer: Servicer,
    /// How the guest learns. Where the engine reports, with [`Completion::Interrupt`] the processor that reported goes
    /// on with its workload until then, as a kernel does whose worker sleeps; with [`Completion::Poll`] it spins.
    pub completion: Completion,
    /// Whether KVM spins before a processor that halts sleeps; only where it halts for the interrupt.
    pub halt_poll: HaltPoll,
    /// The mode the payload runs in.
    pub guest_ring: RingChoice,
    /// What is done with a range.
    pub discard: Discard,
    /// What one discard covers.
    pub coalesce: Coalesce,
    /// What guest memory is made of.
    pub backing: Backing,
}

impl Way {
    /// The plain way with these: served by whom the doorbell calls, in the ring that suits it, and every range discarded
    /// by itself from memory of small pages.
    #[must_use]
    pub const fn plain(carrier: Carrier, doorbell: Doorbell, completion: Completion) -> Self {
        Self {
            carrier,
            ring_features: RingFeatures::NONE,
            doorbell,
            servicer: doorbell.servicer(),
            completion,
            halt_poll: HaltPoll::Host,
            guest_ring: RingChoice::Auto,
            discard: Discard::DontNeed,
            coalesce: Coalesce::Each,
            backing: Backing::Anon,
        }
    }

    /// Entries that its carrier gathers before the guest rings; `None` where every report rings.
    #[must_use]
    pub const fn gathers(&self) -> Option<u64> {
        match self.carrier {
            Carrier::Log => Some(log::CAPACITY),
            Carrier::Store if self.doorbell.is_coalesced() => Some(store::QUEUE),
            _ => None,
        }
    }

    /// The most of them that a range of a report may take.
    #[must_use]
    pub const fn entries_a_range(&self) -> u64 {
        // Said to be unused, and to be in use after all.
        if matches!(self.carrier, Carrier::Log) { 2 } else { 1 }
    }

    /// The module of ours that serves it inside the host's kernel, which the host's owner has to load.
    #[must_use]
    pub const fn module(&self) -> Option<&'static str> {
        match self.servicer {
            Servicer::Vhost => Some(VHOST_PAGEHINT),
            _ => self.doorbell.module(),
        }
    }

    /// Whether every call leaves stamps of the host: not if nobody in user space serves it, and not if several kicks may
    /// be one.
    #[must_use]
    pub const fn is_stamped(&self) -> bool {
        match self.servicer {
            Servicer::Vcpu | Servicer::Polling => true,
            Servicer::Device => !matches!(self.carrier, Carrier::Empty),
            Servicer::Kernel | Servicer::Vhost => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_user_space_serves_is_stamped() {
        let stamped = |carrier, doorbell| Way::plain(carrier, doorbell, Completion::Return).is_stamped();
        assert!(!stamped(Carrier::Empty, Doorbell::HypercallKernel));
        assert!(stamped(Carrier::Empty, Doorbell::Port));
        assert!(!stamped(Carrier::Empty, Doorbell::IoeventfdMmio));
        assert!(stamped(Carrier::Ring, Doorbell::IoeventfdMmio));
    }
}
