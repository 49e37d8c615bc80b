//! What this host can do: the KVM flavour, its capabilities, what its counter counts, which doorbells answer
//! and at what cost.

use super::clock_source::ClockSource;
use super::floor::FloorFact;
use crate::axes::{Bell, Doorbell, GuestRing, Way};
use crate::kvm::{Counter, Flavour, Placed};

/// KVM's name for what halt polling is set by.
pub(super) const HALT_POLL: &str = "KVM_CAP_HALT_POLL";
/// The same of what an ioeventfd needs that is known by its address alone.
pub(super) const ANY_LENGTH: &str = "KVM_CAP_IOEVENTFD_ANY_LENGTH";

/// Whether vhost-pagehint is there.
pub(super) const VHOST: &str = "vhost-pagehint";

/// What a doorbell did when it was tried with a deadline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// It reached the host; the mean round trip of some hundred rings.
    After {
        /// Ticks of the time stamp counter.
        round_trip_ticks: u64,
    },
    /// It did not; why, in a sentence.
    Not {
        /// The reason.
        reason: String,
    },
}

/// One doorbell tried from one guest ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorbellFact {
    /// The doorbell.
    pub doorbell: Doorbell,
    /// The mode it was tried from.
    pub guest_ring: GuestRing,
    /// What happened.
    pub answered: Answered,
}

/// What [`super::probe()`] found. It starts real guests.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// Which KVM.
    pub flavour: Flavour,
    /// Capabilities the project knows of, by KVM's names, and the module that serves rings; and whether they are there.
    pub capabilities: Vec<(&'static str, bool)>,
    /// The most virtual processors a machine may have here (`KVM_CAP_MAX_VCPUS`).
    pub max_vcpus: u32,
    /// The hypercall instruction of this processor.
    pub hypercall: Bell,
    /// Every doorbell from every ring.
    pub doorbells: Vec<DoorbellFact>,
    /// Parts of a report that were measured by themselves, with guests in every ring.
    pub floors: Vec<FloorFact>,
    /// Ticks of the time stamp counter that an instruction of a simple loop takes in ring 0 and in ring 3;
    /// `None` if the guest did not come up there.
    pub instruction_ticks: [Option<f64>; 2],
    /// Whether KVM emulates ring 0 instruction by instruction.
    pub ring0_emulated: bool,
    /// What the time stamp counter counts.
    pub counter: Counter,
    /// Frequency of the guest's time stamp counter in kHz, as KVM states it. It says nothing where the counter
    /// counts instructions.
    pub tsc_khz: u32,
    /// Guest minus host time stamp counter, as KVM states it; `None` if this KVM does not say.
    pub tsc_offset: Option<i64>,
    /// What the payload image was built for: `x86_64-unknown-none`, or the host's target as a fallback.
    pub payload_target: &'static str,
    /// Where the threads of a trial with one virtual processor run.
    pub placed: Placed,
    /// What the kernel makes of the time stamp counter.
    pub clock_source: ClockSource,
}

impl Facts {
    /// The mode in which a payload runs that reports this way.
    #[must_use]
    pub fn guest_ring(&self, way: &Way) -> GuestRing {
        way.guest_ring.resolve(way.doorbell, self.ring0_emulated)
    }

    /// Whether a guest in this mode may fence before it reads its clock.
    #[must_use]
    pub fn is_fenced(&self, guest_ring: GuestRing) -> bool {
        !(guest_ring == GuestRing::Zero && self.ring0_emulated)
    }

    /// Whether `doorbell` answers from some ring.
    #[must_use]
    pub fn answers(&self, doorbell: Doorbell) -> bool {
        self.doorbells
            .iter()
            .any(|fact| fact.doorbell == doorbell && matches!(fact.answered, Answered::After { .. }))
    }

    /// Why `doorbell` does not answer, by the first ring it was tried from and did not.
    #[must_use]
    pub fn silence(&self, doorbell: Doorbell) -> Option<&str> {
        self.doorbells.iter().filter(|fact| fact.doorbell == doorbell).find_map(|fact| match &fact.answered {
            Answered::Not { reason } => Some(reason.as_str()),
            Answered::After { .. } => None,
        })
    }

    /// Whether halt polling can be set for a machine of its own.
    #[must_use]
    pub fn sets_halt_poll(&self) -> bool {
        self.capabilities.contains(&(HALT_POLL, true))
    }

    /// Whether a vhost worker can serve a ring.
    #[must_use]
    pub fn has_vhost(&self) -> bool {
        self.capabilities.contains(&(VHOST, true))
    }

    /// Whether an ioeventfd may be known by its address alone.
    #[must_use]
    pub fn knows_addresses(&self) -> bool {
        self.capabilities.contains(&(ANY_LENGTH, true))
    }
}
