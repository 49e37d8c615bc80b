//! Up to 511 ranges arrive in the input page of Hyper-V's memory heat hint.

use std::sync::Arc;

use abi::addr::{Gpa, PAGE_SIZE, RangeError};
use abi::calls::{Answer, Operation};
use abi::wire::heat_hint::{self, CAPACITY, ENTRIES, ENTRY_SIZE, HEADER};

use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

const ENTRY_BYTES: usize = size_of::<u64>();
const _: () = assert!(ENTRY_BYTES as u64 == ENTRY_SIZE && ENTRIES == ENTRY_SIZE);
/// The header and all entries.
const PAGE_BYTES: usize = (1 + CAPACITY as usize) * ENTRY_BYTES;

/// Takes a page of hints.
#[derive(Debug)]
pub(crate) struct HeatHint {
    ram: Arc<GuestRam>,
    /// The guest's page is copied before it is looked at: it may change it at any time.
    words: Box<[u8; PAGE_BYTES]>,
    error: Option<Answer>,
}

impl HeatHint {
    pub(crate) fn new(ram: Arc<GuestRam>) -> Self {
        Self { ram, words: Box::new([0; PAGE_BYTES]), error: None }
    }

    /// Copies the entries of a call, or says what is wrong with it.
    fn copy(&mut self, request: &Request) -> Result<impl Iterator<Item = u64>, Answer> {
        let count = match Operation::from_word(request.word) {
            // A guest asks what we can do before it says anything.
            Some(Operation::Nothing) => return Ok(words(&[])),
            Some(Operation::HeatHint { count }) => count,
            _ => return Err(Answer::NoSuchCall),
        };
        if count > CAPACITY {
            return Err(Answer::TooMany);
        }
        let length = (1 + usize::from(count)) * ENTRY_BYTES;
        // The input is aligned to its words and does not leave its page (TLFS 6.0b, 3.7).
        let room = PAGE_SIZE - request.gpa % PAGE_SIZE;
        if !request.gpa.is_multiple_of(ENTRY_SIZE) || (length as u64) > room {
            return Err(Answer::BadPage);
        }
        let copied = &mut self.words[..length];
        self.ram.read_bytes(Gpa(request.gpa), copied).map_err(|_| Answer::BadPage)?;
        let (header, entries) = copied.split_at(ENTRY_BYTES);
        // Memory that is hot, or a bit that means nothing yet.
        if header != HEADER.to_le_bytes() {
            return Err(Answer::NoSuchCall);
        }
        Ok(words(entries))
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word))
}

impl Transport for HeatHint {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        let ram = Arc::clone(&self.ram);
        let error = match self.copy(request) {
            Ok(entries) => {
                for entry in entries {
                    match heat_hint::range(entry) {
                        Ok(named) => batch.push(named, &ram),
                        Err(RangeError::Empty) => batch.refused.empty += 1,
                        Err(RangeError::Wraps) => batch.refused.wraps += 1,
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
