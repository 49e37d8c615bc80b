//! What every trial is asked at its end.

use abi::axes::{Bell, GuestRing};
use abi::violation::Violation;

use super::error::TrialError;
use crate::balloon::RingCounts;
use crate::kvm::{Counter, Exits, Placed};
use crate::memory::{Splits, Userfaults, WitnessKind};
use crate::reclaim::{PutOffCounts, Refused};
use crate::serve::WorkerError;

/// What every kind of trial shows. Counts cover the measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct Common {
    /// The instruction the guest used.
    pub bell: Bell,
    /// The mode the guest ran in.
    pub guest_ring: GuestRing,
    /// What the time stamp counter counts.
    pub counter: Counter,
    /// Frequency of the time stamp counter in kHz, as KVM states it. It says nothing where the counter counts
    /// instructions.
    pub tsc_khz: u32,
    /// Where the threads ran.
    pub placed: Placed,
    /// Times somebody was called to the ring and found nothing in it.
    pub stale_kicks: u64,
    /// What the options of the ring came to.
    pub ring: RingCounts,
    /// Exits by our count, all processors.
    pub exits: Exits,
    /// Change of KVM's own statistics, all processors, by KVM's names; empty where it has none.
    pub kvm_stats: Vec<(String, u64)>,
    /// Processor time that this process took, all its threads: the guest's processors and the device's thread, in
    /// nanoseconds. What others ran on the machine meanwhile is not in it. `None` where the counter counts instructions.
    pub cpu_ns: Option<u64>,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// What the kernel said to the first that failed (`errno`), in the whole trial.
    pub madvise_error: Option<i32>,
    /// What became of pages whose discard was put off, in the whole trial; of no other trial anything.
    pub put_off: Option<PutOffCounts>,
    /// What whoever answers for userfaultfd did, in the whole trial; of no other memory anything.
    pub userfault: Option<Userfaults>,
    /// Ranges announced by a call before they were reported; 0 over carriers that announce none.
    pub announced: u64,
    /// Pages the host was told of before they were used again; 0 over carriers that do not tell.
    pub deflated_pages: u64,
    /// Ranges refused, in the whole trial.
    pub refused: Refused,
    /// What the guest found wrong, in the whole trial; empty is right.
    pub violations: Vec<(Violation, u64)>,
    /// Who said what is back.
    pub witness: WitnessKind,
    /// Huge pages whose split was put off, and huge pages split, on the whole machine, from when the guest's memory was
    /// all there to the end of the measured part; `None` where the kernel does not count. A huge page that was put off
    /// in the warm-up is not put off again.
    pub splits: Option<Splits>,
    /// Share of resident guest memory in huge pages when all of it was there.
    pub huge_share: f64,
    /// The whole trial, in nanoseconds; `None` where the counter counts instructions, because no clock of such a machine
    /// tells the time.
    pub elapsed_ns: Option<u64>,
}

/// How a run ended: if the device thread gave up, that is why.
pub(crate) fn ended<T>(ran: Result<T, TrialError>, device: Option<WorkerError>) -> Result<T, TrialError> {
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
