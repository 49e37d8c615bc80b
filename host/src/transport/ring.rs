//! Ranges arrive as chains in the balloon's reporting queue.

use std::sync::{Arc, Mutex, PoisonError};

use abi::calls::{Answer, Operation};

use super::{Fetched, Request, Transport, done};
use crate::balloon::{Balloon, RingError};
use crate::reclaim::Batch;

/// Takes a chain at a time.
#[derive(Debug)]
pub(crate) struct Ring {
    balloon: Arc<Mutex<Balloon>>,
    /// Head of the chain in hand; `None` for a call that is no kick.
    head: Option<u16>,
}

impl Ring {
    pub(crate) const fn new(balloon: Arc<Mutex<Balloon>>) -> Self {
        Self { balloon, head: None }
    }
}

/// A balloon whose lock was poisoned by a panic elsewhere is still a state machine in a valid state: every
/// method leaves it in one.
pub(crate) fn lock(balloon: &Mutex<Balloon>) -> std::sync::MutexGuard<'_, Balloon> {
    balloon.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The driver writes a register. A write that takes the queue away waits for the thread that has a chain of it
/// in hand.
pub(crate) fn write(balloon: &Mutex<Balloon>, offset: u64, data: &[u8]) {
    loop {
        let mut device = lock(balloon);
        if !device.must_wait(offset, data) {
            return device.write(offset, data);
        }
        drop(device);
        std::thread::yield_now();
    }
}

impl Transport for Ring {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        if Operation::from_word(request.word) != Some(Operation::Kick) {
            self.head = None;
            batch.refused.bad_call += 1;
            return Ok(Fetched::Call);
        }
        self.head = lock(&self.balloon).fetch(batch)?;
        Ok(if self.head.is_some() { Fetched::Call } else { Fetched::Nothing })
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        match self.head.take() {
            Some(head) => lock(&self.balloon).complete(head)?,
            None => return Ok(Answer::NoSuchCall),
        }
        Ok(done(batch))
    }

    fn queues(&self) -> bool {
        self.head.is_some()
    }
}
