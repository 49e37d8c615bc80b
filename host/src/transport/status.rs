//! Up to 512 blocks of one size arrive in a page that the call points to, and each is answered there: see
//! [`abi::wire::status`].

use std::sync::Arc;

use abi::addr::{Gpa, PAGE_SIZE};
use abi::calls::{Answer, Operation};
use abi::wire::status::{self, CAPACITY, INVALID, LENGTH, SUCCESS};

use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Takes a page of blocks.
#[derive(Debug)]
pub(crate) struct StatusPage {
    ram: Arc<GuestRam>,
    page: Gpa,
    /// The guest's page is copied before it is looked at: it may change it at any time. Answered here, and written back
    /// once what is in it is discarded.
    entries: Box<[u64; LENGTH]>,
    count: usize,
    error: Option<Answer>,
}

impl StatusPage {
    pub(crate) fn new(ram: Arc<GuestRam>) -> Self {
        Self { ram, page: Gpa(0), entries: Box::new([0; LENGTH]), count: 0, error: None }
    }

    /// Takes the entries of a call, or says what is wrong with it.
    fn take(&mut self, request: &Request, batch: &mut Batch) -> Result<(), Answer> {
        self.count = 0;
        let Some(Operation::Status { count, huge }) = Operation::from_word(request.word) else {
            return Err(Answer::NoSuchCall);
        };
        if u64::from(count) > CAPACITY {
            return Err(Answer::TooMany);
        }
        self.page = Gpa(request.gpa);
        // The last entry of a page at the end of the address space must not wrap to its beginning.
        if !self.page.is_page_aligned() || self.page.0.checked_add(PAGE_SIZE).is_none() {
            return Err(Answer::BadPage);
        }
        let entries = &mut self.entries[..usize::from(count)];
        self.ram.read_into(self.page, entries).map_err(|_| Answer::BadPage)?;
        self.count = entries.len();
        for entry in entries {
            let before = batch.refused.total();
            match status::range(*entry, status::order(huge)) {
                Ok(named) => batch.push(named, &self.ram),
                Err(_) => batch.refused.wraps += 1,
            }
            let status = if batch.refused.total() == before { SUCCESS } else { INVALID };
            *entry = status::answered(*entry, status);
        }
        Ok(())
    }
}

impl Transport for StatusPage {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.error = self.take(request, batch).err();
        batch.refused.bad_call += u64::from(self.error.is_some());
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        if let Some(error) = self.error {
            return Ok(error);
        }
        // It was memory when it was read, and memory does not go away.
        let written = self.ram.write_words(self.page, &self.entries[..self.count]);
        Ok(if written.is_ok() { done(batch) } else { Answer::BadPage })
    }
}
