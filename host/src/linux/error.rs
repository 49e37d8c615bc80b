//! Why a Linux guest has no outcome.

use super::load::LoadError;
use crate::balloon::RingError;
use crate::kvm::{BuildError, ExitError, KvmError};
use crate::memory::{BackingError, RamError, ResidencyError};
use crate::serve::WorkerError;
use crate::trial::TrialError;

/// Why a Linux guest has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// No kernel of this kind runs here.
    #[error(
        "no Linux guest can be run by this KVM: it emulates ring 0 of its guests (kvm_pvm), and its emulator lacks instructions that a kernel uses; use the lab (pagehint lab linux), or a host with kvm_intel or kvm_amd"
    )]
    Emulated,
    /// Nobody has said what is to be booted.
    #[error("there is no kernel for a Linux guest to boot")]
    NoKernel,
    /// No usable KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The kernel or its first process cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The guest died, or did not come to its end in time.
    #[error("the Linux guest did not come to its end: {reason}; the last it said:\n{tail}")]
    Died {
        /// Why, in a sentence.
        reason: String,
        /// The last lines of its console.
        tail: String,
    },
    /// What every kind of trial may fail by.
    #[error(transparent)]
    Trial(#[from] TrialError),
}

impl LinuxError {
    /// The serial port failed: its interrupt line, or what takes its bytes.
    pub(super) fn port(error: vm_superio::serial::Error<std::io::Error>) -> Self {
        Self::Died { reason: format!("its serial port fails: {error:?}"), tail: String::new() }
    }

    /// Whether nothing can be run here at all, which is no failure of what was to be run.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Emulated | Self::Kvm(_) | Self::Trial(TrialError::Kvm(_)))
    }
}

/// These are trials' errors too.
macro_rules! of_trials {
    ($($kind:ty),*) => {$(
        impl From<$kind> for LinuxError {
            fn from(error: $kind) -> Self {
                Self::Trial(error.into())
            }
        }
    )*};
}

of_trials!(BuildError, ExitError, RamError, BackingError, ResidencyError, WorkerError, RingError);
