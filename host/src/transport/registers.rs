//! One range arrives in the registers of the call.

use std::sync::Arc;

use abi::addr::{ByteRange, Gpa};
use abi::calls::{Answer, Operation};

use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Takes one range a call.
#[derive(Debug)]
pub(crate) struct Registers {
    ram: Arc<GuestRam>,
    error: Option<Answer>,
}

impl Registers {
    pub(crate) const fn new(ram: Arc<GuestRam>) -> Self {
        Self { ram, error: None }
    }
}

impl Transport for Registers {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.error = None;
        if request.word == Operation::Range.word() {
            match ByteRange::of_pages(Gpa(request.gpa), request.pages) {
                Ok(named) => batch.push(named, &self.ram),
                Err(_) => batch.refused.wraps += 1,
            }
        } else {
            batch.refused.bad_call += 1;
            self.error = Some(Answer::NoSuchCall);
        }
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        Ok(self.error.unwrap_or_else(|| done(batch)))
    }
}
