//! Why there is no machine, why a vCPU stopped, why a trial has no outcome.

use std::io;

use abi::addr::Gpa;

use crate::balloon::RingError;
use crate::boot::BootError;
use crate::engine::EngineSpecError;
use crate::image::ImageError;
use crate::kvm::KvmError;
use crate::proof::ProofError;
use crate::ram::RamError;
use crate::trial::SpecError;
use crate::worker::WorkerError;

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No usable KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// No memory.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// No payload.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No processor state.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// This KVM cannot forward hypercalls.
    #[error("this KVM has no KVM_CAP_EXIT_HYPERCALL (Linux 5.19): use --doorbell port")]
    NoHypercallExit,
}

/// Why the vCPU stopped running.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The guest faulted with no handler, or asked for a shutdown.
    #[error("the guest shut down (triple fault) at rip {rip:#x}")]
    TripleFault {
        /// Where.
        rip: u64,
    },
    /// KVM gave up on the guest.
    #[error("KVM gave up on the guest at rip {rip:#x}: internal error {suberror}{hint}")]
    Internal {
        /// Where.
        rip: u64,
        /// KVM's reason (`KVM_INTERNAL_ERROR_*`).
        suberror: u32,
        /// What to try.
        hint: &'static str,
    },
    /// The guest wrote to a port nobody listens on.
    #[error("the guest wrote {bytes} bytes to port {port:#x}, where there is nothing, at rip {rip:#x}")]
    Port {
        /// The port.
        port: u16,
        /// How much.
        bytes: usize,
        /// Where.
        rip: u64,
    },
    /// The guest accessed an address with neither memory nor a device.
    #[error("the guest accessed {gpa}, where there is nothing, at rip {rip:#x}")]
    Address {
        /// The address.
        gpa: Gpa,
        /// Where.
        rip: u64,
    },
    /// The guest said something on the control port that is no word of it.
    #[error("the guest said {value:#x} on the control port, which means nothing, at rip {rip:#x}")]
    Control {
        /// The value.
        value: u32,
        /// Where.
        rip: u64,
    },
    /// Any other exit.
    #[error("unexpected exit {reason} at rip {rip:#x}")]
    Unexpected {
        /// KVM's reason, by name.
        reason: String,
        /// Where.
        rip: u64,
    },
    /// No exit and no progress for as long as the guest was given.
    #[error("the guest made no progress within its deadline; it was at rip {rip:#x}")]
    Deadline {
        /// Where.
        rip: u64,
    },
    /// The same of a processor that had given itself away and was not what was waited for, unless all were.
    #[error("the guest made no progress within its deadline; its processors wait for one another")]
    Waiting,
    /// Another virtual processor gave up; it has the reason.
    #[error("another virtual processor gave up")]
    Sibling,
    /// Somebody wanted to stop.
    #[error("stopped before the end")]
    Stopped,
    /// The device thread gave up; it has the reason.
    #[error("the device thread gave up")]
    Device,
    /// `KVM_RUN` itself failed.
    #[error("KVM_RUN failed at rip {rip:#x}: {source}")]
    Run {
        /// Where.
        rip: u64,
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// Guest memory that must be there is not.
    #[error(transparent)]
    Ram(#[from] RamError),
}

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The choices mean nothing together, or cannot be had.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The same of a trial of the engine.
    #[error(transparent)]
    Engine(#[from] EngineSpecError),
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
        "this KVM does not state the guest's clock offset or frequency (Linux 5.16 does): nothing could be timed"
    )]
    NoClock,
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
    /// Guest memory cannot be advised about huge pages.
    #[error("backing {backing} cannot be had: {source}; see /sys/kernel/mm/transparent_hugepage")]
    Backing {
        /// The backing.
        backing: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Huge pages were asked for, and the kernel gave none.
    #[error(
        "backing anon-thp got no huge page: /sys/kernel/mm/transparent_hugepage/enabled must be madvise or always, and memory not too fragmented"
    )]
    NoHugePages,
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
    Proof(#[from] ProofError),
    /// KVM's statistics cannot be read.
    #[error("KVM's statistics cannot be read: {0}")]
    Statistics(io::Error),
    /// The watchdog cannot be had.
    #[error("no watchdog can be started: {0}")]
    Watchdog(io::Error),
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

impl From<RamError> for TrialError {
    fn from(error: RamError) -> Self {
        Self::Build(error.into())
    }
}
