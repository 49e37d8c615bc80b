//! Up to 511 ranges arrive in a page that the call points to.

use std::sync::Arc;

use abi::addr::Gpa;
use abi::calls::{Answer, Operation};
use abi::wire::page;
use abi::wire::page::{BATCH_CAPACITY, BATCH_LENGTH};

use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Bytes of an entry.
const ENTRY_BYTES: usize = size_of::<u64>();
/// Bytes of all entries of a page.
pub(super) const ENTRIES_BYTES: usize = BATCH_LENGTH * ENTRY_BYTES;
const _: () = assert!(ENTRY_BYTES as u64 == page::ENTRY_SIZE);

/// Takes a page of ranges.
#[derive(Debug)]
pub(crate) struct BatchPage {
    ram: Arc<GuestRam>,
    /// The guest's page is copied before it is looked at: it may change it at any time. In one piece, which is what
    /// a page has over a ring.
    entries: Box<[u8; ENTRIES_BYTES]>,
    error: Option<Answer>,
}

impl BatchPage {
    pub(crate) fn new(ram: Arc<GuestRam>) -> Self {
        Self { ram, entries: Box::new([0; ENTRIES_BYTES]), error: None }
    }

    /// Copies the entries of a call, or says what is wrong with it.
    fn copy(&mut self, request: &Request) -> Result<impl Iterator<Item = u64>, Answer> {
        let Some(Operation::Batch { count }) = Operation::from_word(request.word) else {
            return Err(Answer::NoSuchCall);
        };
        copy(&self.ram, &mut self.entries, request.gpa, count)
    }
}

/// Copies the first `count` entries of the page at `gpa`, or says what is wrong with it.
pub(super) fn copy<'a>(
    ram: &GuestRam,
    entries: &'a mut [u8; ENTRIES_BYTES],
    gpa: u64,
    count: u16,
) -> Result<impl Iterator<Item = u64> + use<'a>, Answer> {
    if u64::from(count) > BATCH_CAPACITY {
        return Err(Answer::TooMany);
    }
    let page = Gpa(gpa);
    // The last entry of a page at the end of the address space must not wrap to its beginning.
    if !page.is_page_aligned() || page.0.checked_add(abi::addr::PAGE_SIZE).is_none() {
        return Err(Answer::BadPage);
    }
    let entries = &mut entries[..usize::from(count) * ENTRY_BYTES];
    ram.read_bytes(page.offset(page::ENTRIES), entries).map_err(|_| Answer::BadPage)?;
    Ok(entries.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)))
}

impl Transport for BatchPage {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        let ram = Arc::clone(&self.ram);
        let error = match self.copy(request) {
            Ok(entries) => {
                for entry in entries {
                    match page::range(entry) {
                        Ok(named) => batch.push(named, &ram),
                        Err(_) => batch.refused.wraps += 1,
                    }
                }
                None
            }
            Err(answer) => {
                batch.refused.bad_call += 1;
                Some(answer)
            }
        };
        self.error = error;
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        Ok(self.error.unwrap_or_else(|| done(batch)))
    }
}
