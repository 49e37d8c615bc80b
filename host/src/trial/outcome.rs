//! What is read off at the end of every trial.

use abi::trace::Violation;

use super::error::TrialError;
use crate::reclaim::Refused;

/// What the guest was refused (`counted`, by its own count) and the host did not refuse was KVM's doing: a call that KVM
/// turns away is no call, and nothing that was measured of it may stand.
pub(crate) fn not_refused_by_kvm(counted: u64, refused: &Refused) -> Result<(), TrialError> {
    match counted.saturating_sub(refused.total()) {
        0 => Ok(()),
        calls => Err(TrialError::RefusedByKvm { calls }),
    }
}

/// What the guest has found wrong at all, and how often.
pub(crate) fn violations<E>(count: impl Fn(Violation) -> Result<u64, E>) -> Result<Vec<(Violation, u64)>, E> {
    let mut found = Vec::new();
    for violation in Violation::ALL {
        match count(violation)? {
            0 => {}
            count => found.push((violation, count)),
        }
    }
    Ok(found)
}
