//! Why a trial has no outcome.

use std::error::Error;
use std::io;

use abi::addr::Gpa;
use abi::layout::NOTES;

use crate::axes::{Axis, Doorbell};
use crate::balloon::{RingError, VhostError};
use crate::kvm::{BuildError, ExitError, KvmError, panic_message};
use crate::memory::{BackingError, GuestRam, RamError, ResidencyError, WitnessError};
use crate::probe::Unsteady;
use crate::serve::WorkerError;

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// What is to be run means nothing, or cannot be had: the error of its specification, of which there is one for
    /// each kind of trial.
    #[error(transparent)]
    Spec(Box<dyn Error + Send + Sync>),
    /// No usable KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The machine cannot be built.
    #[error(transparent)]
    Build(BuildError),
    /// `stop` was raised.
    #[error("stopped before the trial ended")]
    Stopped,
    /// This KVM does not deliver hypercalls.
    #[error("hypercalls are not delivered by this KVM: use --doorbell port")]
    NoHypercall,
    /// This KVM does not answer hypercalls.
    #[error(
        "this KVM does not answer hypercalls itself (`pagehint doctor` says what happened): use --preset floor, or a host with kvm_intel or kvm_amd"
    )]
    NoKernelHypercall,
    /// This KVM does not leave another hypervisor's calls to us, or has no module that serves such a call.
    #[error("doorbell {} does not answer here: {reason}; use --doorbell hypercall or port", .doorbell.name())]
    NoForeignCall {
        /// Which.
        doorbell: Doorbell,
        /// What it did when it was tried.
        reason: String,
    },
    /// No vhost worker serves here.
    #[error("servicer vhost does not serve here: {reason}; use --servicer device")]
    NoVhost {
        /// Why.
        reason: String,
    },
    /// vhost-pagehint cannot be had.
    #[error(transparent)]
    Vhost(#[from] VhostError),
    /// KVM refused calls, which the host never saw.
    #[error(
        "KVM itself refused {calls} of the guest's calls: use --guest-ring 0, and a doorbell that `pagehint doctor` says answers"
    )]
    RefusedByKvm {
        /// How many.
        calls: u64,
    },
    /// This KVM does not say how the guest's clock relates to ours.
    #[error(
        "this KVM does not state the guest's clock offset (KVM_GET_DEVICE_ATTR, Linux 5.16) or frequency (KVM_GET_TSC_KHZ): nothing could be timed"
    )]
    NoClock,
    /// The time stamp counter tells no time.
    #[error(transparent)]
    Unsteady(#[from] Unsteady),
    /// The relation of the guest's clock to ours is not what it was.
    #[error(
        "the guest's clock was moved by {ticks} ticks against the host's during the trial: nothing that was stamped by both can be compared; run it again, and if it happens again use a host that does not sleep meanwhile"
    )]
    ClockMoved {
        /// By how much.
        ticks: u64,
    },
    /// The virtual processors' clocks differ.
    #[error(
        "the clocks of the guest's processors differ by {ticks} ticks, and what one has stamped means nothing to another: use --vcpus 1, or a host whose time stamp counters agree"
    )]
    ClocksDiffer {
        /// By how much.
        ticks: u64,
    },
    /// A thread cannot be had.
    #[error("no thread can be started for a virtual processor: {0}")]
    Thread(io::Error),
    /// A virtual processor other than the first gave up.
    #[error("virtual processor {vcpu}: {source}")]
    Processor {
        /// Its number.
        vcpu: u32,
        /// Why.
        source: Box<TrialError>,
    },
    /// Guest memory cannot be had as it was asked for.
    #[error(transparent)]
    Backing(#[from] BackingError),
    /// Guest memory cannot be had, or what must be there is not.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// The vCPU stopped.
    #[error(transparent)]
    Exit(ExitError),
    /// The payload panicked.
    #[error("the payload panicked: {message}")]
    Panicked {
        /// Its message.
        message: String,
    },
    /// The guest did something no payload of ours does.
    #[error("the guest broke the protocol: {what}")]
    Protocol {
        /// What it did.
        what: &'static str,
    },
    /// The guest broke its ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The device thread gave up.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Residency cannot be read.
    #[error(transparent)]
    Residency(#[from] ResidencyError),
    /// It cannot be told what the host has back.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The thread that looks at residency is gone.
    #[error("the thread that watches the guest's memory panicked")]
    Watch,
    /// KVM's statistics cannot be read.
    #[error("KVM's statistics cannot be read: {0}")]
    Statistics(io::Error),
    /// What a processor is to fault in again cannot be taken.
    #[error("the pages of a processor that faults cannot be taken (madvise): {0}")]
    Vacate(io::Error),
    /// No deadline can be set.
    #[error("no guest is run without a deadline: {0}")]
    Watchdog(io::Error),
}

impl TrialError {
    /// The payload has panicked, and left its last words in its memory.
    pub(crate) fn panicked(ram: &GuestRam) -> Self {
        Self::panicked_in(ram, NOTES)
    }

    /// The same of a processor that has notes of its own there.
    pub(crate) fn panicked_in(ram: &GuestRam, notes: Gpa) -> Self {
        Self::Panicked { message: panic_message(ram, notes) }
    }
}

impl From<ExitError> for TrialError {
    fn from(error: ExitError) -> Self {
        match error {
            ExitError::Stopped => Self::Stopped,
            error => Self::Exit(error),
        }
    }
}

impl From<BuildError> for TrialError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Kvm(error) => Self::Kvm(error),
            error => Self::Build(error),
        }
    }
}
