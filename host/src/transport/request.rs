//! One range arrives in the request page of a processor, and is answered there: see [`abi::wire::request`].

use std::sync::Arc;

use abi::addr::{ByteRange, Gpa};
use abi::calls::{Answer, Operation};
use abi::wire::request::{self, DONTNEED, FAULT, INVALID, UNSUPPORTED, WORDS};

use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::{Batch, Refused};

/// Takes one request a call.
#[derive(Debug)]
pub(crate) struct RequestPage {
    ram: Arc<GuestRam>,
    /// Where the guest said its request lies: any address, and looked at when there is a request. Nowhere in memory
    /// before that.
    at: Gpa,
    pending: Pending,
}

/// What is to be answered.
#[derive(Clone, Copy, Debug)]
enum Pending {
    /// In place: the error, and the bytes acted on if there is none.
    Response { error: u32, bytes: u64 },
    /// By nothing but the call's own answer.
    Call(Answer),
}

impl RequestPage {
    pub(crate) const fn new(ram: Arc<GuestRam>) -> Self {
        Self { ram, at: Gpa(u64::MAX), pending: Pending::Call(Answer::NoSuchCall) }
    }

    /// The guest says half of where its request lies.
    const fn place(&mut self, half: u64, upper: bool) {
        let shift = if upper { 32 } else { 0 };
        let mask = 0xffff_ffff << shift;
        self.at = Gpa(self.at.0 & !mask | half << shift & mask);
    }

    /// Takes the range of the request at hand.
    fn take(&self, batch: &mut Batch) -> Pending {
        // Copied before it is looked at: the guest may change it at any time.
        let Ok([function, addr, length, _]) = self.ram.read_words::<WORDS>(self.at) else {
            batch.refused.bad_call += 1;
            return Pending::Call(Answer::BadPage);
        };
        if function != DONTNEED {
            batch.refused.bad_call += 1;
            return Pending::Response { error: UNSUPPORTED, bytes: 0 };
        }
        let before = batch.refused;
        batch.push(ByteRange { gpa: Gpa(addr), len: length }, &self.ram);
        match error(&before, &batch.refused) {
            0 => Pending::Response { error: 0, bytes: length },
            error => Pending::Response { error, bytes: 0 },
        }
    }
}

/// What one more range was refused for.
const fn error(before: &Refused, after: &Refused) -> u32 {
    if after.outside > before.outside {
        FAULT
    } else if after.total() > before.total() {
        INVALID
    } else {
        0
    }
}

impl Transport for RequestPage {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.pending = match Operation::from_word(request.word) {
            Some(Operation::Place) => {
                self.place(request.gpa, request.pages != 0);
                return Ok(Fetched::Nothing);
            }
            Some(Operation::Request) => self.take(batch),
            _ => {
                batch.refused.bad_call += 1;
                Pending::Call(Answer::NoSuchCall)
            }
        };
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        match self.pending {
            Pending::Call(answer) => Ok(answer),
            // It was memory when it was read, and memory does not go away.
            Pending::Response { error, bytes } => {
                let written = self.ram.write_words(self.at, &[request::response(error), bytes]);
                Ok(if written.is_ok() { done(batch) } else { Answer::BadPage })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_in_halves_and_is_nowhere_before() {
        let mut page = RequestPage::new(Arc::new(GuestRam::new(1 << 20).unwrap()));
        let mut batch = Batch::default();
        let call = Request { word: Operation::Request.word(), ..Request::default() };
        assert_eq!(page.fetch(&call, &mut batch).unwrap(), Fetched::Call);
        assert_eq!(page.complete(&batch).unwrap(), Answer::BadPage);
        for (gpa, pages, at) in [(0x1000, 0, 0xffff_ffff_0000_1000), (0x5_0000_0002, 1, 0x2_0000_1000)] {
            let place = Request { word: Operation::Place.word(), gpa, pages };
            assert_eq!(page.fetch(&place, &mut batch).unwrap(), Fetched::Nothing);
            assert_eq!(page.at, Gpa(at));
        }
    }
}
