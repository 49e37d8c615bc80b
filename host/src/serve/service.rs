//! Acting on a call: fetch, discard, complete, with the stopwatch outside the transport.

use std::sync::Arc;

use abi::calls::Answer;

use super::stamps::{Stamp, Stamps};
use crate::balloon::RingError;
use crate::fault;
use crate::fault::{Fault, Planted};
use crate::kvm::{HostTsc, Request, Watch};
use crate::reclaim::{Batch, Reclaimer, Refused, Taken};
use crate::transport::{Fetched, Transport};

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
}

/// Serves the calls that come over one transport, on one thread.
pub(crate) struct Service {
    transport: Box<dyn Transport>,
    reclaimer: Reclaimer,
    stamps: Arc<Stamps>,
    batch: Batch,
    refused: Refused,
    spent: Spent,
    planted: Planted,
    /// With [`Fault::AcknowledgeFirst`]: what was acknowledged and is still to be discarded.
    late: Batch,
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
            planted,
            late: Batch::default(),
        }
    }

    /// Serves everything one doorbell stands for. `picked_up` is when the thread began to run for it.
    pub(crate) fn serve<W: Watch>(
        &mut self,
        request: &Request,
        picked_up: HostTsc,
    ) -> Result<Answer, RingError> {
        let mut answer = Answer::Done { refused: 0 };
        let (mut picked_up, mut unrung) = (picked_up, false);
        loop {
            if !unrung {
                self.planted.slow(Fault::SlowDispatch);
            }
            let began = W::now();
            if !unrung {
                self.planted.slow(Fault::SlowFetch);
            }
            fault::detour();
            self.batch.clear();
            if self.transport.fetch(request, &mut self.batch)? == Fetched::Nothing {
                return Ok(answer);
            }
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
                self.stamps.push(Stamp { picked_up, began, fetched, discarded, completed, unrung });
                self.spent.fetch += fetched.since(began);
                self.spent.discard += discarded.since(fetched);
                self.spent.complete += completed.since(discarded);
            }
            self.refused.add(&self.batch.refused);
            if !more {
                return Ok(answer);
            }
            (picked_up, unrung) = (W::now(), true);
        }
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

    /// What was refused so far.
    pub(crate) const fn refused(&self) -> Refused {
        self.refused
    }
}
