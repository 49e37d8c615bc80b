//! What every trial is asked at its end.

use abi::violation::Violation;

use super::error::TrialError;
use crate::reclaim::Refused;
use crate::serve::WorkerError;

/// How a run ended: if the device thread gave up, that is why.
pub(crate) fn ended(ran: Result<(), TrialError>, device: Option<WorkerError>) -> Result<(), TrialError> {
    device.map_or(ran, |error| Err(error.into()))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_did_not_refuse_was_refused_by_kvm() {
        let refused = Refused { empty: 2, bad_call: 1, ..Refused::default() };
        for counted in 0..=3 {
            not_refused_by_kvm(counted, &refused).unwrap();
        }
        let found = not_refused_by_kvm(5, &refused);
        assert!(matches!(found, Err(TrialError::RefusedByKvm { calls: 2 })), "{found:?}");
    }

    #[test]
    fn the_device_thread_has_the_reason() {
        assert!(ended(Ok(()), None).is_ok());
        let device = || Some(WorkerError::Kick(std::io::ErrorKind::Other.into()));
        for ran in [Ok(()), Err(TrialError::Stopped)] {
            assert!(matches!(ended(ran, device()), Err(TrialError::Worker(_))));
        }
    }
}
