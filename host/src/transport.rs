//! How ranges arrive: one module a carrier, named as in the payload.
//!
//! A transport is `fetch` and `complete`; what happens in between is the same for all of them, and so is the
//! stopwatch ([`crate::serve`]).

use abi::calls::Answer;

use crate::balloon::{RingCounts, RingError};
use crate::kvm::Request;
use crate::reclaim::Batch;

mod announced;
mod call_and_ring;
mod choose;
mod empty;
mod heat_hint;
mod inflate;
mod log;
mod packed_ring;
mod page;
mod page_set;
mod registers;
mod request;
mod split_ring;
mod status;
mod store;

pub(crate) use call_and_ring::CallAndRing;
pub(crate) use choose::over;
pub(crate) use empty::Empty;
pub(crate) use heat_hint::HeatHint;
pub(crate) use inflate::Inflate;
pub(crate) use log::Log;
pub(crate) use packed_ring::PackedRing;
pub(crate) use page::BatchPage;
pub(crate) use registers::Registers;
pub(crate) use request::RequestPage;
pub(crate) use split_ring::SplitRing;
pub(crate) use status::StatusPage;
pub(crate) use store::Store;
#[cfg(any(test, feature = "test-support"))]
pub(crate) use store::name;

/// What `fetch` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetched {
    /// A call, to be completed.
    Call,
    /// Part of a call that has not been made yet, to be completed like one: its guest knows of no call, and has no stamps
    /// that could be paired with ours.
    Early,
    /// Something that is no report, and done.
    Aside,
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

    /// Puts the call last fetched aside, so that another can be fetched before it is completed. Only of carriers that can
    /// have several in flight.
    fn put_aside(&mut self) {}

    /// Takes up the oldest call that was put aside: the next to be completed.
    fn take_up(&mut self) {}

    /// Whether one doorbell may stand for several calls, so that `fetch` is to be repeated.
    fn queues(&self) -> bool {
        false
    }

    /// Pages that the guest took back before it was served, by what arrived.
    fn spared(&self) -> u64 {
        0
    }

    /// Whether the guest was not asked to ring for the call last fetched, so that its doorbell is not to be expected.
    fn was_unasked(&self) -> bool {
        false
    }

    /// What the options of a ring came to so far.
    fn counts(&self) -> RingCounts {
        RingCounts::default()
    }

    /// What the guest said so far beside its reports.
    fn told(&self) -> Told {
        Told::default()
    }
}

/// What a guest says beside its reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    /// Ranges announced.
    pub(crate) announced: u64,
    /// Pages taken back before they were used again.
    pub(crate) deflated: u64,
    /// Writes that found KVM's queue full.
    pub(crate) overflows: u64,
}

impl Told {
    /// Adds what was said to another.
    pub(crate) const fn add(&mut self, other: Self) {
        self.announced += other.announced;
        self.deflated += other.deflated;
        self.overflows += other.overflows;
    }

    /// What was said since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            announced: self.announced - before.announced,
            deflated: self.deflated - before.deflated,
            overflows: self.overflows - before.overflows,
        }
    }
}

/// The answer to a call whose ranges were looked at.
fn done(batch: &Batch) -> Answer {
    // No carrier has so many ranges that 16 bits would not do.
    Answer::Done { refused: u16::try_from(batch.refused.total()).unwrap_or(u16::MAX) }
}
