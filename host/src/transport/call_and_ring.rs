//! Ranges are announced by a call each, and arrive as chains in the balloon's reporting queue.

use std::sync::Arc;

use abi::addr::{ByteRange, Gpa};
use abi::calls::{Answer, Operation};

use super::announced::Announced;
use super::{Fetched, SplitRing, Told, Transport, done};
use crate::balloon::{RingError, SharedBalloon};
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Takes an announcement or a chain at a time.
#[derive(Debug)]
pub(crate) struct CallAndRing {
    ram: Arc<GuestRam>,
    ring: SplitRing,
    announced: Announced,
    /// Whether the call at hand is an announcement.
    is_announcement: bool,
    told: Told,
}

impl CallAndRing {
    pub(crate) fn new(ram: Arc<GuestRam>, balloon: SharedBalloon) -> Self {
        let announced = Announced::of(ram.whole());
        Self { ram, ring: SplitRing::new(balloon), announced, is_announcement: false, told: Told::default() }
    }

    /// Notes a range, refused as one would be that is to be discarded.
    fn announce(&mut self, request: &Request, batch: &mut Batch) {
        let named = match ByteRange::of_pages(Gpa(request.gpa), request.pages) {
            Ok(named) => named,
            Err(_) => return batch.refused.wraps += 1,
        };
        batch.push(named, &self.ram);
        // Only noted: nothing of it is discarded yet.
        while let Some(range) = batch.pop() {
            self.announced.note(range);
            self.told.announced += 1;
        }
    }
}

impl Transport for CallAndRing {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.is_announcement = Operation::from_word(request.word) == Some(Operation::Announce);
        if self.is_announcement {
            self.announce(request, batch);
            return Ok(Fetched::Call);
        }
        let fetched = self.ring.fetch(request, batch)?;
        batch.refuse_unless(|range| self.announced.has(range));
        // Each announcement is for one report.
        batch.ranges().iter().for_each(|range| self.announced.forget(*range));
        Ok(fetched)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        if self.is_announcement { Ok(done(batch)) } else { self.ring.complete(batch) }
    }

    fn queues(&self) -> bool {
        !self.is_announcement && self.ring.queues()
    }

    fn told(&self) -> Told {
        self.told
    }
}
