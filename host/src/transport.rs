//! How ranges arrive: one module a carrier, named as in the payload.
//!
//! A transport is `fetch` and `complete`; what happens in between is the same for all of them, and so is the
//! stopwatch ([`crate::service`]).

use abi::calls::{Answer, Operation};

use crate::balloon::RingError;
use crate::reclaim::Batch;

mod batch;
mod empty;
mod registers;
mod ring;

pub(crate) use batch::BatchPage;
pub(crate) use empty::Empty;
pub(crate) use registers::Registers;
pub(crate) use ring::{Ring, lock, write};

/// What the guest sent with its doorbell: see [`abi::calls`]. Nothing of it is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Request {
    /// Operation and count.
    pub word: u32,
    /// The gpa register.
    pub gpa: u64,
    /// The pages register.
    pub pages: u64,
}

impl Request {
    /// The request to look at the reporting queue, as a kick without registers makes it.
    pub(crate) const KICK: Self = Self { word: Operation::Kick.word(), gpa: 0, pages: 0 };
}

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
