//! Ranges arrive as lists in the balloon's reporting queue, which is packed.

use abi::calls::{Answer, Operation};

use super::{Fetched, Transport, done};
use crate::balloon::{RingCounts, RingError, SharedBalloon};
use crate::kvm::Request;
use crate::reclaim::Batch;

/// Takes a list at a time.
#[derive(Debug)]
pub(crate) struct PackedRing {
    balloon: SharedBalloon,
    /// Id of the list in hand; `None` for a call that is no kick.
    id: Option<u16>,
}

impl PackedRing {
    pub(crate) const fn new(balloon: SharedBalloon) -> Self {
        Self { balloon, id: None }
    }
}

impl Transport for PackedRing {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        if request.word != Operation::Kick.word() {
            self.id = None;
            batch.refused.bad_call += 1;
            return Ok(Fetched::Call);
        }
        self.id = self.balloon.lock().fetch_packed(batch)?;
        Ok(if self.id.is_some() { Fetched::Call } else { Fetched::Nothing })
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        match self.id.take() {
            Some(id) => self.balloon.lock().complete_packed(id)?,
            None => return Ok(Answer::NoSuchCall),
        }
        Ok(done(batch))
    }

    fn put_aside(&mut self) {
        self.id = None;
        self.balloon.lock().put_aside();
    }

    fn take_up(&mut self) {
        self.id = self.balloon.lock().take_up();
    }

    fn queues(&self) -> bool {
        self.id.is_some()
    }

    fn was_unasked(&self) -> bool {
        self.balloon.lock().was_unasked()
    }

    fn counts(&self) -> RingCounts {
        self.balloon.lock().counts()
    }
}
