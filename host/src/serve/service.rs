//! Acting on a call: fetch, discard, complete, with the stopwatch outside the transport.

use std::sync::Arc;

use abi::calls::Answer;

use super::held::Across;
use super::stamps::{Stamp, Stamps};
use crate::balloon::{RingCounts, RingError};
use crate::fault;
use crate::fault::{Fault, Planted};
use crate::kvm::{HostTsc, Request, Watch};
use crate::reclaim::{Batch, Reclaimer, Refused, Taken};
use crate::transport::{Fetched, Told, Transport};

mod across;

/// What the host did for reports, in ticks of its time stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    /// Ranges out of the carrier, checked.
    pub fetch: u64,
    /// Coalescing and `madvise`.
    pub discard: u64,
    /// The acknowledgement written and the interrupt raised.
    pub complete: u64,
}

impl Spent {
    /// Adds what another took, step by step.
    pub(super) const fn add(&mut self, other: &Self) {
        self.fetch += other.fetch;
        self.discard += other.discard;
        self.complete += other.complete;
    }

    /// What was spent since there was `before`.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            fetch: self.fetch - before.fetch,
            discard: self.discard - before.discard,
            complete: self.complete - before.complete,
        }
    }
}

/// Serves the calls that come over one transport, on one thread.
pub(crate) struct Service {
    transport: Box<dyn Transport>,
    reclaimer: Reclaimer,
    stamps: Arc<Stamps>,
    batch: Batch,
    refused: Refused,
    spent: Spent,
    /// Calls that were found before their doorbells rang, and whose doorbells have not been heard yet.
    ahead: u64,
    stale: u64,
    planted: Planted,
    /// With [`Fault::AcknowledgeFirst`]: what was acknowledged and is still to be discarded.
    late: Batch,
    /// Where reports are merged across one another: those that are held.
    across: Option<Box<Across>>,
}

impl Service {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        reclaimer: Reclaimer,
        stamps: Arc<Stamps>,
        planted: Planted,
    ) -> Self {
        Self {
            transport,
            reclaimer,
            stamps,
            batch: Batch::default(),
            refused: Refused::default(),
            spent: Spent::default(),
            ahead: 0,
            stale: 0,
            planted,
            late: Batch::default(),
            across: None,
        }
    }

    /// Serves everything that is there, because `doorbells` have rung since the last time. `picked_up` is when the
    /// thread began to run for them.
    ///
    /// A doorbell may be that of a call which was found before it rang, by looking once more after another call. What is
    /// found at such a stale doorbell was not rung for yet either: the guest may have made it known only after the thread
    /// began to run.
    pub(crate) fn serve<W: Watch>(
        &mut self,
        request: &Request,
        picked_up: HostTsc,
        doorbells: u64,
    ) -> Result<Answer, RingError> {
        let mut answer = Answer::Done { refused: 0 };
        let late = self.ahead.min(doorbells);
        self.ahead -= late;
        let (mut picked_up, mut rung, mut found) = (picked_up, doorbells - late, false);
        loop {
            let unrung = rung == 0;
            if !unrung {
                self.planted.slow(Fault::SlowDispatch);
            }
            let began = W::now();
            if !unrung {
                self.planted.slow(Fault::SlowFetch);
            }
            fault::detour();
            self.batch.clear();
            let is_call = match self.transport.fetch(request, &mut self.batch)? {
                Fetched::Call => true,
                Fetched::Early => false,
                Fetched::Nothing => {
                    self.stale += u64::from(!found);
                    return Ok(answer);
                }
                // It had a doorbell, as a call has, and leaves no stamp.
                Fetched::Aside => {
                    self.refused.add(&self.batch.refused);
                    self.ahead += u64::from(unrung);
                    rung = rung.saturating_sub(1);
                    (picked_up, found) = (W::now(), true);
                    continue;
                }
            };
            let more = self.transport.queues();
            let fetched = W::now();
            self.planted.slow(Fault::SlowDiscard);
            self.discard();
            let discarded = W::now();
            let fetched = if self.planted.is(Fault::LateStamp) { discarded } else { fetched };
            self.planted.slow(Fault::SlowComplete);
            answer = self.transport.complete(&self.batch)?;
            let completed = W::now();
            self.planted.slow(Fault::SlowResume);

            if W::RUNS {
                self.planted.slow(Fault::HeavyStopwatch);
                if is_call {
                    self.stamps.push(Stamp { picked_up, began, fetched, discarded, completed, unrung });
                }
                self.spent.fetch += fetched.since(began);
                self.spent.discard += discarded.since(fetched);
                self.spent.complete += completed.since(discarded);
            }
            self.refused.add(&self.batch.refused);
            if !more {
                return Ok(answer);
            }
            if unrung && !self.transport.was_unasked() {
                self.ahead += 1;
            }
            rung = rung.saturating_sub(1);
            (picked_up, found) = (W::now(), true);
        }
    }

    /// Looks whether anything is there, uncalled, and serves it; whether there was. The thread looks since `picked_up`.
    pub(crate) fn look<W: Watch>(&mut self, picked_up: HostTsc) -> Result<bool, RingError> {
        let stale = self.stale;
        self.attend::<W>(picked_up, 0)?;
        // Nobody was called in vain who was not called.
        Ok(std::mem::replace(&mut self.stale, stale) == stale)
    }

    fn discard(&mut self) {
        if self.planted.is(Fault::AcknowledgeFirst) {
            self.reclaimer.take(&mut self.late);
            // The refusals go with the answer, the ranges stay for later.
            std::mem::swap(&mut self.late, &mut self.batch);
            std::mem::swap(&mut self.late.refused, &mut self.batch.refused);
        } else {
            self.reclaimer.take(&mut self.batch);
        }
    }

    /// The bug planted in it, if any.
    pub(crate) const fn planted(&self) -> Planted {
        self.planted
    }

    /// What was discarded so far.
    pub(crate) const fn taken(&self) -> Taken {
        self.reclaimer.taken()
    }

    /// Ticks spent so far.
    pub(crate) const fn spent(&self) -> Spent {
        self.spent
    }

    /// Pages that the guest took back before they were discarded: see [`Transport::spared`].
    pub(crate) fn spared(&self) -> u64 {
        self.transport.spared()
    }

    /// What the guest said so far beside its reports.
    pub(crate) fn told(&self) -> Told {
        self.transport.told()
    }

    /// Times somebody was called to the ring and found nothing in it.
    pub(crate) const fn stale(&self) -> u64 {
        self.stale
    }

    /// What the options of its ring came to so far.
    pub(crate) fn ring(&self) -> RingCounts {
        self.transport.counts()
    }

    /// What was refused so far.
    pub(crate) const fn refused(&self) -> Refused {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use abi::timed::trace::{CallRecord, ReportRecord};

    use super::*;
    use crate::axes::{Coalesce, Discard};
    use crate::kvm::{Running, TscOffset};
    use crate::memory::GuestRam;
    use crate::transport::Fetched;

    /// A ring in which this is found at each look.
    struct Scripted {
        /// The last first.
        looks: Vec<Fetched>,
    }

    impl Transport for Scripted {
        fn fetch(&mut self, _: &Request, _: &mut Batch) -> Result<Fetched, RingError> {
            Ok(self.looks.pop().unwrap_or(Fetched::Nothing))
        }

        fn complete(&mut self, _: &Batch) -> Result<Answer, RingError> {
            Ok(Answer::Done { refused: 0 })
        }

        fn queues(&self) -> bool {
            true
        }
    }

    /// Of a ring in which there is a call, or nothing.
    fn service(looks: &[bool]) -> Service {
        let call = |there: &bool| if *there { Fetched::Call } else { Fetched::Nothing };
        that_finds(looks.iter().map(call).collect())
    }

    fn that_finds(mut looks: Vec<Fetched>) -> Service {
        let ram = Arc::new(GuestRam::new(1 << 20).unwrap());
        let reclaimer = Reclaimer::new(ram, Discard::None, Coalesce::Each, Planted::NONE);
        looks.reverse();
        Service::new(Box::new(Scripted { looks }), reclaimer, Arc::default(), Planted::NONE)
    }

    /// Which calls were found before they were rung for, after wake-ups of so many doorbells each.
    fn unrung(looks: &[bool], wake_ups: &[u64]) -> (Vec<bool>, u64) {
        let mut service = service(looks);
        for doorbells in wake_ups {
            service.serve::<Running>(&Request::KICK, HostTsc::now(), *doorbells).unwrap();
        }
        let stamps = &service.stamps;
        ((0..stamps.pushed()).map(|number| stamps.get(number).unrung).collect(), service.stale())
    }

    #[test]
    fn a_call_is_rung_for_if_its_own_doorbell_rang() {
        assert_eq!(unrung(&[true, false, true, false], &[1, 1]), (vec![false; 2], 0));
        assert_eq!(
            unrung(&[true, true, true, false], &[3]),
            (vec![false; 3], 0),
            "signals that were added up"
        );
    }

    #[test]
    fn a_doorbell_that_comes_late_is_not_the_next_calls() {
        // The second call is found by looking once more; then its doorbell rings, and a third is found at it.
        assert_eq!(unrung(&[true, true, false, true, false], &[1, 1]), (vec![false, true, true], 0));
        // The same with the third's own doorbell heard together with the late one.
        assert_eq!(unrung(&[true, true, false, true, false], &[1, 2]), (vec![false, true, false], 0));
        // The late one finds nothing, and the next is as if nothing had been.
        assert_eq!(
            unrung(&[true, true, false, false, true, false], &[1, 1, 1]),
            (vec![false, true, false], 1)
        );
    }

    #[test]
    fn doorbells_without_calls_do_not_hide_late_ones() {
        assert_eq!(unrung(&[false, true, true, false, true], &[5, 1, 1]), (vec![false, true, true], 1));
    }

    /// What failed whole trials: a report that is found at the doorbell of the one before has begun after the thread ran.
    #[test]
    fn a_report_found_at_a_stale_doorbell_gives_a_sample() {
        let mut service = service(&[true, true, false, true, false]);
        service.serve::<Running>(&Request::KICK, HostTsc::now(), 1).unwrap();
        let picked_up = HostTsc::now();
        let prepared = HostTsc::now().0.max(picked_up.0 + 1);
        while HostTsc::now().0 <= prepared {}
        service.serve::<Running>(&Request::KICK, picked_up, 1).unwrap();
        let stamp = service.stamps.get(2);
        let acknowledged = HostTsc::now().0;
        let guest = CallRecord { prepared, notified: prepared + 1, acknowledged };
        let report =
            ReportRecord { begun: prepared, ended: acknowledged, calls: 1, ..ReportRecord::default() };
        let pair = |stamp| {
            let call = crate::timed::Call { guest, host: Some(stamp) };
            crate::timed::sample(&report, std::iter::once(call), TscOffset(0))
        };
        assert!(pair(stamp).is_some(), "{stamp:?} {guest:?}");
        assert!(pair(Stamp { unrung: false, ..stamp }).is_none(), "taken for rung, it is out of order");
    }

    /// Its guest, which knows of no call, could not pair a stamp of it with its own.
    #[test]
    fn what_comes_before_its_call_is_work_without_a_stamp() {
        let mut service = that_finds(vec![Fetched::Early, Fetched::Nothing, Fetched::Call]);
        service.serve::<Running>(&Request::KICK, HostTsc::now(), 1).unwrap();
        assert_eq!(service.stamps.pushed(), 0);
        assert_ne!(service.spent(), Spent::default());
        service.serve::<Running>(&Request::KICK, HostTsc::now(), 1).unwrap();
        assert_eq!(service.stamps.pushed(), 1);
    }

    #[test]
    fn what_was_spent_before_the_window_is_not_spent_in_it() {
        let before = Spent { fetch: 5, discard: 70, complete: 2 };
        let after = Spent { fetch: 8, discard: 100, complete: 3 };
        assert_eq!(after.since(&before), Spent { fetch: 3, discard: 30, complete: 1 });
    }
}
