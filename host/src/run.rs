//! Running one trial.

use std::sync::atomic::AtomicBool;

use crate::facts::Facts;
use crate::kvm::KvmError;
use crate::trial::{Observer, Outcome, SpecError, TrialSpec};

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The choices mean nothing together, or cannot be had.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No usable KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// `stop` was raised.
    #[error("stopped before the trial ended")]
    Stopped,
}

/// Runs one trial: boots a guest, measures, tears down. `facts` are [`probe`]'s. When `stop` becomes true the
/// guest is kicked out and [`TrialError::Stopped`] returned within some milliseconds.
///
/// # Errors
/// [`TrialError`].
pub fn run(
    _spec: &TrialSpec,
    _facts: &Facts,
    _stop: &AtomicBool,
    _observer: &mut dyn Observer,
) -> Result<Outcome, TrialError> {
    Err(TrialError::Stopped)
}

/// Finds out what this host can do, by starting small guests with deadlines.
///
/// # Errors
/// [`KvmError`] if there is no usable KVM at all.
pub fn probe() -> Result<Facts, KvmError> {
    Err(KvmError::Missing)
}
