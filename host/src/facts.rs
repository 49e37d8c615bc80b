//! What this host can do: the KVM flavour, its capabilities, what its counter counts, which doorbells answer
//! and at what cost.

use crate::axes::{Axis, Bell, Doorbell, GuestRing};

/// Which KVM this is, as far as it shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// Intel VT-x (`kvm_intel`).
    Vmx,
    /// AMD-V (`kvm_amd`).
    Svm,
    /// Shadow paging without hardware support, inside a virtual machine (`kvm_pvm`).
    Pvm,
    /// None of these modules is loaded; built in, or something new.
    Unknown,
}

impl Axis for Flavour {
    const AXIS: &'static str = "flavour";
    const ALL: &'static [Self] = &[Self::Vmx, Self::Svm, Self::Pvm, Self::Unknown];

    fn name(self) -> &'static str {
        match self {
            Self::Vmx => "vmx",
            Self::Svm => "svm",
            Self::Pvm => "pvm",
            Self::Unknown => "unknown",
        }
    }
}

/// What the time stamp counter counts, as [`crate::probe()`] has measured it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    /// Time, in ticks of a frequency that KVM states: every real processor.
    Time,
    /// Executed instructions, one a tick, those of guest, KVM, kernel and user space together: an emulator that
    /// makes its clock of them.
    Instructions,
}

impl Axis for Counter {
    const AXIS: &'static str = "counter";
    const ALL: &'static [Self] = &[Self::Time, Self::Instructions];

    fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Instructions => "instructions",
        }
    }
}

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

/// What [`crate::probe()`] found. It starts real guests.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// Which KVM.
    pub flavour: Flavour,
    /// Capabilities the project knows of, by KVM's names, and whether they are there.
    pub capabilities: Vec<(&'static str, bool)>,
    /// The most virtual processors a machine may have here (`KVM_CAP_MAX_VCPUS`).
    pub max_vcpus: u32,
    /// The hypercall instruction of this processor.
    pub hypercall: Bell,
    /// Every doorbell from every ring.
    pub doorbells: Vec<DoorbellFact>,
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
}

impl Facts {
    /// Whether `doorbell` answers from some ring.
    #[must_use]
    pub fn answers(&self, doorbell: Doorbell) -> bool {
        self.doorbells
            .iter()
            .any(|fact| fact.doorbell == doorbell && matches!(fact.answered, Answered::After { .. }))
    }
}
