//! Why a trial has no outcome.

use std::io;

use crate::balloon::RingError;
use crate::kvm::KvmError;
use crate::machine::{BuildError, ExitError};
use crate::proof::ProofError;
use crate::ram::RamError;
use crate::trial::SpecError;
use crate::worker::WorkerError;

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The choices mean nothing together, or cannot be had.
    #[error(transparent)]
    Spec(#[from] SpecError),
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
    /// This KVM does not say how the guest's clock relates to ours.
    #[error(
        "this KVM does not state the guest's clock offset or frequency (Linux 5.16 does): nothing could be timed"
    )]
    NoClock,
    /// Guest memory cannot be advised about huge pages.
    #[error("backing {backing} cannot be had: {source}; see /sys/kernel/mm/transparent_hugepage")]
    Backing {
        /// The backing.
        backing: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
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
