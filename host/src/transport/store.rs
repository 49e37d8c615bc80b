//! A range arrives in what the guest writes; where KVM queues writes, many of them at a time.

use std::sync::{Arc, Mutex, PoisonError};

use abi::calls::{Answer, Operation};
use abi::wire::store;

use super::{Fetched, Told, Transport, done};
use crate::balloon::RingError;
use crate::kvm::{Queued, Request};
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Takes what is queued, and then what the call itself brings. A write that is to be queued and exits has found the queue
/// full, or has a length that KVM does not queue; its guest rings for it later, with the others.
#[derive(Debug)]
pub(crate) struct Store {
    ram: Arc<GuestRam>,
    /// What KVM has queued, if it is told to.
    queued: Option<Arc<Mutex<Queued>>>,
    /// Writes that found the queue full.
    overflows: u64,
    error: Option<Answer>,
}

impl Store {
    pub(crate) const fn new(ram: Arc<GuestRam>, queued: Option<Arc<Mutex<Queued>>>) -> Self {
        Self { ram, queued, overflows: 0, error: None }
    }

    /// Takes every write that is in the queue. One of no word of ours is refused by itself.
    fn drain(&self, batch: &mut Batch) {
        let Some(queued) = &self.queued else { return };
        let mut queued = queued.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(write) = queued.take() {
            name(write.word(), batch, &self.ram);
        }
    }
}

/// Takes the block that a word names, if it is a word.
pub(crate) fn name(word: Option<u32>, batch: &mut Batch, ram: &GuestRam) {
    match word.map(store::block) {
        Some(Ok(block)) => batch.push(block.as_bytes(), ram),
        Some(Err(_)) | None => batch.refused.bad_call += 1,
    }
}

impl Transport for Store {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.drain(batch);
        self.error = None;
        match Operation::from_word(request.word) {
            Some(Operation::Store) => {
                name(u32::try_from(request.gpa).ok(), batch, &self.ram);
                if self.queued.is_some() {
                    self.overflows += 1;
                    return Ok(Fetched::Early);
                }
            }
            Some(Operation::Kick) if self.queued.is_some() => {}
            _ => {
                batch.refused.bad_call += 1;
                self.error = Some(Answer::NoSuchCall);
            }
        }
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        Ok(self.error.unwrap_or_else(|| done(batch)))
    }

    fn told(&self) -> Told {
        Told { overflows: self.overflows, ..Told::default() }
    }
}
