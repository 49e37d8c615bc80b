//! Makes a [`Sample`] of what guest and host stamped. Pure.
//!
//! ```text
//!  guest   begun ──── prepared ─┬─ notified ────────────────────────────────── acknowledged
//!                     prepare   │ transit │ wake │       │ fetch │ discard │ complete │ resume │
//!  host                         └──────── picked_up ── began ─ fetched ─ discarded ─ completed
//!                                                 remainder
//! ```
//!
//! The vCPU thread cannot run before the doorbell instruction has left the guest: all of `prepared` to
//! `picked_up` is transit. The device thread runs beside the guest: transit ends when the instruction is over
//! or the thread runs, whichever is first, and the rest is its wake-up. A guest that polls may see the
//! acknowledgement before the host has read its clock: then the host's work ends where the guest saw it. A device
//! thread that looks once more after a report may find the next before its doorbell: then it begins with the doorbell.

use abi::timed::trace::{CallRecord, ReportRecord};

use super::sample::Sample;
use crate::kvm::TscOffset;
use crate::serve::Stamp;

/// The stamps of one call from both sides; the host has none of a call that nobody serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) guest: CallRecord,
    pub(crate) host: Option<Stamp>,
}

/// Adds up the calls of a report; `None` if the stamps are not in the order in which things happen.
pub(crate) fn sample(
    report: &ReportRecord,
    calls: impl Iterator<Item = Call>,
    offset: TscOffset,
) -> Option<Sample> {
    let mut sample = Sample {
        total: report.ended.checked_sub(report.begun)?,
        touch: report.touch,
        retouch: report.retouch,
        ranges: report.ranges,
        calls: report.calls,
        ..Sample::default()
    };
    let mut start = report.begun;
    for Call { guest, host } in calls {
        sample.prepare += guest.prepared.checked_sub(start)?;
        sample.notify += guest.notified.checked_sub(guest.prepared)?;
        sample.wait += guest.acknowledged.checked_sub(guest.notified)?;
        match host {
            Some(stamp) => add_host(&mut sample, &guest, &stamp, offset)?,
            None => {
                sample.transit += guest.notified - guest.prepared;
                sample.resume += guest.acknowledged - guest.notified;
            }
        }
        start = guest.acknowledged;
    }
    // A report ends with its last call, if it has one. Else it was only put into a carrier that gathers.
    sample.prepare += report.ended.checked_sub(start)?;
    Some(sample)
}

fn add_host(sample: &mut Sample, guest: &CallRecord, stamp: &Stamp, offset: TscOffset) -> Option<()> {
    // What was found by looking once more may be ahead of its doorbell: what was done of it by then took no time of
    // the report after its doorbell.
    let earliest = if stamp.unrung { guest.prepared } else { 0 };
    let seen = |at| offset.to_guest(at).0.max(earliest);
    let picked_up = seen(stamp.picked_up);
    let completed = seen(stamp.completed).min(guest.acknowledged);
    let arrived = picked_up.min(guest.notified);
    sample.transit += arrived.checked_sub(guest.prepared)?;
    sample.wake += picked_up - arrived;
    // Only the order matters here: the time between these two stamps is what stays unexplained.
    seen(stamp.began).checked_sub(picked_up)?;
    sample.fetch += seen(stamp.fetched).checked_sub(seen(stamp.began))?;
    sample.discard += seen(stamp.discarded).checked_sub(seen(stamp.fetched))?;
    sample.complete += completed.checked_sub(seen(stamp.discarded))?;
    sample.resume += guest.acknowledged - completed;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::HostTsc;

    const OFFSET: TscOffset = TscOffset(1000);

    fn guest(prepared: u64, notified: u64, acknowledged: u64) -> CallRecord {
        CallRecord { prepared, notified, acknowledged }
    }

    /// Host stamps, given in the guest's time.
    fn host(stamps: [u64; 5]) -> Option<Stamp> {
        let [picked_up, began, fetched, discarded, completed] =
            stamps.map(|at| HostTsc(at.wrapping_sub(1000)));
        Some(Stamp { picked_up, began, fetched, discarded, completed, unrung: false })
    }

    fn report(begun: u64, ended: u64, calls: u64) -> ReportRecord {
        ReportRecord { begun, ended, calls, ranges: 8, touch: 90, retouch: 30 }
    }

    #[test]
    fn a_call_to_the_vcpu_thread() {
        let call = Call { guest: guest(10, 108, 110), host: host([40, 42, 50, 90, 95]) };
        let sample = sample(&report(0, 110, 1), [call].into_iter(), OFFSET).unwrap();
        assert_eq!(
            sample,
            Sample {
                total: 110,
                prepare: 10,
                transit: 30,
                wake: 0,
                fetch: 8,
                discard: 40,
                complete: 5,
                resume: 15,
                notify: 98,
                wait: 2,
                touch: 90,
                retouch: 30,
                ranges: 8,
                calls: 1
            }
        );
        assert_eq!((sample.explained(), sample.remainder(), sample.refault()), (108, 2, 60));
    }

    #[test]
    fn a_kick_to_the_device_thread() {
        let call = Call { guest: guest(10, 25, 110), host: host([40, 42, 50, 90, 120]) };
        let sample = sample(&report(0, 110, 1), [call].into_iter(), OFFSET).unwrap();
        assert_eq!((sample.transit, sample.wake), (15, 15));
        assert_eq!((sample.complete, sample.resume), (20, 0), "seen before the host read its clock");
        assert_eq!(sample.remainder(), 2);
    }

    #[test]
    fn several_calls_add_up() {
        let calls = [
            Call { guest: guest(5, 30, 31), host: host([10, 10, 15, 20, 22]) },
            Call { guest: guest(33, 60, 62), host: host([40, 41, 45, 50, 51]) },
        ];
        let sample = sample(&report(0, 62, 2), calls.into_iter(), OFFSET).unwrap();
        assert_eq!((sample.prepare, sample.transit, sample.remainder()), (7, 12, 1));
        assert_eq!(sample.total, 62);
    }

    #[test]
    fn a_doorbell_nobody_serves_is_all_transit() {
        let call = Call { guest: guest(1, 20, 21), host: None };
        let sample = sample(&report(0, 21, 1), [call].into_iter(), OFFSET).unwrap();
        assert_eq!((sample.transit, sample.resume, sample.remainder()), (19, 1, 0));
    }

    #[test]
    fn a_report_found_before_its_doorbell_begins_with_it() {
        let found = |stamps| host(stamps).map(|stamp| Stamp { unrung: true, ..stamp });
        let call = Call { guest: guest(10, 25, 60), host: found([5, 6, 20, 40, 50]) };
        let sample = sample(&report(0, 60, 1), [call].into_iter(), OFFSET).unwrap();
        assert_eq!((sample.transit, sample.wake, sample.fetch), (0, 0, 10));
        assert_eq!((sample.discard, sample.complete, sample.resume, sample.remainder()), (20, 10, 10, 0));
        let served = Call { guest: guest(10, 25, 26), host: found([1, 2, 3, 4, 5]) };
        let sample = super::sample(&report(0, 26, 1), [served].into_iter(), OFFSET).unwrap();
        assert_eq!((sample.transit, sample.fetch, sample.complete, sample.resume), (0, 0, 0, 16));
        assert_eq!(sample.remainder(), 0);
        let rung = Call { guest: guest(10, 25, 60), host: host([5, 6, 20, 40, 50]) };
        assert_eq!(
            super::sample(&report(0, 60, 1), [rung].into_iter(), OFFSET),
            None,
            "clocks that disagree"
        );
    }

    #[test]
    fn clocks_that_disagree_give_no_sample() {
        let early = Call { guest: guest(10, 108, 110), host: host([9, 42, 50, 90, 95]) };
        assert_eq!(sample(&report(0, 110, 1), [early].into_iter(), OFFSET), None);
        let late = Call { guest: guest(10, 108, 110), host: host([40, 42, 50, 111, 112]) };
        assert_eq!(sample(&report(0, 110, 1), [late].into_iter(), OFFSET), None);
        let outlasting = Call { guest: guest(10, 108, 110), host: host([40, 42, 50, 90, 95]) };
        assert_eq!(sample(&report(0, 109, 1), [outlasting].into_iter(), OFFSET), None);
    }
}
