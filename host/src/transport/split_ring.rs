//! Ranges arrive as chains in the balloon's reporting queue.

use abi::calls::{Answer, Operation};

use super::{Fetched, Transport, done};
use crate::balloon::{RingCounts, RingError, SharedBalloon};
use crate::kvm::Request;
use crate::reclaim::Batch;

/// Takes a chain at a time.
#[derive(Debug)]
pub(crate) struct SplitRing {
    balloon: SharedBalloon,
    /// Head of the chain in hand; `None` for a call that is no kick.
    head: Option<u16>,
}

impl SplitRing {
    pub(crate) const fn new(balloon: SharedBalloon) -> Self {
        Self { balloon, head: None }
    }
}

impl Transport for SplitRing {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        if request.word != Operation::Kick.word() {
            self.head = None;
            batch.refused.bad_call += 1;
            return Ok(Fetched::Call);
        }
        self.head = self.balloon.lock().fetch(batch)?;
        Ok(if self.head.is_some() { Fetched::Call } else { Fetched::Nothing })
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        match self.head.take() {
            Some(head) => self.balloon.lock().complete(head)?,
            None => return Ok(Answer::NoSuchCall),
        }
        Ok(done(batch))
    }

    fn put_aside(&mut self) {
        self.head = None;
        self.balloon.lock().put_aside();
    }

    fn take_up(&mut self) {
        self.head = self.balloon.lock().take_up();
    }

    fn queues(&self) -> bool {
        self.head.is_some()
    }

    fn was_unasked(&self) -> bool {
        self.balloon.lock().was_unasked()
    }

    fn counts(&self) -> RingCounts {
        self.balloon.lock().counts()
    }
}
