//! How ranges arrive: one module a carrier, named as in the payload.
//!
//! A transport is `fetch` and `complete`; what happens in between is the same for all of them, and so is the
//! stopwatch ([`crate::serve`]).

use abi::calls::Answer;

use crate::balloon::RingError;
use crate::kvm::Request;
use crate::reclaim::Batch;

mod choose;
mod empty;
mod packed_ring;
mod page;
mod registers;
mod split_ring;

pub(crate) use choose::over;
pub(crate) use empty::Empty;
pub(crate) use packed_ring::PackedRing;
pub(crate) use page::BatchPage;
pub(crate) use registers::Registers;
pub(crate) use split_ring::SplitRing;

/// What `fetch` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetched {
    /// A call, to be completed.
    Call,
    /// Nothing (more) to do.
    Nothing,
}

/// One way for ranges to arrive.
pub(crate) trait Transport: Send {
    /// Reads the ranges of one call into `batch`, refusing what must be.
    ///
    /// # Errors
    /// [`RingError`] if there is no way to go on without a reset.
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError>;

    /// Acknowledges the call last fetched: the guest may use its pages again.
    ///
    /// # Errors
    /// [`RingError`] if the acknowledgement cannot be given.
    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError>;

    /// Whether one doorbell may stand for several calls, so that `fetch` is to be repeated.
    fn queues(&self) -> bool {
        false
    }
}

/// The answer to a call whose ranges were looked at.
fn done(batch: &Batch) -> Answer {
    // At most 511 ranges can be refused in one call.
    Answer::Done { refused: u16::try_from(batch.refused.total()).unwrap_or(u16::MAX) }
}
