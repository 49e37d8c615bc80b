//! How the host is told: one module a carrier, named as in the host.
//!
//! A transport is one verb, *report*, in the three steps between which the stopwatch stands. Batching lives
//! above it, timing around it, and which one is used is decided once, at boot. The steps are always inlined, so that the
//! measured loop is the same whoever else calls them.

use abi::addr::PageRange;

use crate::metal::Metal;

mod call_and_ring;
pub mod choose;
mod empty;
mod heat_hint;
mod inflate;
mod log;
mod options;
mod packed_ring;
mod page;
mod registers;
mod request;
mod split_ring;
mod status;
mod store;
pub mod virtio_mmio;

pub use call_and_ring::CallAndRing;
pub use empty::Empty;
pub use heat_hint::HeatHint;
pub use inflate::Inflate;
pub use log::Log;
pub use options::{Options, Plain};
pub use packed_ring::{PackedFlight, PackedRing};
pub use page::BatchPage;
pub use registers::Registers;
pub use request::RequestPage;
pub use split_ring::{SplitFlight, SplitRing};
pub use status::StatusPage;
pub use store::{Store, StoreQueue};

/// One way to tell the host.
pub trait Transport<M: Metal> {
    /// Ranges one call can carry.
    fn capacity(&self) -> usize;

    /// Puts at most [`Transport::capacity`] ranges into the carrier.
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]);

    /// Whether the call prepared last is the last one for the ranges it was given; else the next is prepared with the
    /// same.
    #[inline(always)]
    fn is_last(&self) -> bool {
        true
    }

    /// Calls that these ranges take.
    #[inline(always)]
    fn calls(&self, ranges: &[PageRange]) -> usize {
        ranges.len().div_ceil(self.capacity()).max(1)
    }

    /// Rings the doorbell.
    fn notify(&mut self, metal: &mut M);

    /// Whether [`Transport::wait`] would return at once.
    fn acknowledged(&self, _: &M) -> bool {
        true
    }

    /// Takes the carrier over from whichever virtual processor used it last; nothing is in flight.
    fn take_over(&mut self, _: &M) {}

    /// Whether the carrier is one for all virtual processors, so that they have to take turns.
    fn is_shared(&self) -> bool {
        false
    }

    /// Waits until the host has acted. The pages belong to the guest again only afterwards.
    fn wait(&mut self, metal: &mut M) -> Verdict;

    /// Tells the host that pages which were reported are about to be used again, if it has to know.
    #[inline(always)]
    fn before_use(&mut self, _: &mut M, _: &[PageRange]) -> Verdict {
        Verdict { refused: 0, violation: None }
    }
}

/// A transport by its table of functions, for loops that are there once and not for every transport.
impl<M: Metal, T: Transport<M> + ?Sized> Transport<M> for &mut T {
    fn capacity(&self) -> usize {
        T::capacity(self)
    }

    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        T::prepare(self, metal, ranges);
    }

    fn is_last(&self) -> bool {
        T::is_last(self)
    }

    fn calls(&self, ranges: &[PageRange]) -> usize {
        T::calls(self, ranges)
    }

    fn notify(&mut self, metal: &mut M) {
        T::notify(self, metal);
    }

    fn acknowledged(&self, metal: &M) -> bool {
        T::acknowledged(self, metal)
    }

    fn take_over(&mut self, metal: &M) {
        T::take_over(self, metal);
    }

    fn is_shared(&self) -> bool {
        T::is_shared(self)
    }

    fn wait(&mut self, metal: &mut M) -> Verdict {
        T::wait(self, metal)
    }

    fn before_use(&mut self, metal: &mut M, ranges: &[PageRange]) -> Verdict {
        T::before_use(self, metal, ranges)
    }
}

/// A carrier that gathers: [`Transport::prepare`] adds to what is in it, and one call is about all of it.
pub trait Gather<M: Metal>: Transport<M> {
    /// Whether a range can be taken back before the call, by another entry.
    const TAKES_BACK: bool;

    /// Entries there is room for.
    fn room(&self) -> usize;

    /// Takes a range back of which the host was not told yet.
    fn take_back(&mut self, _: &mut M, _: PageRange) {}
}

/// A carrier in which several reports may be in flight: [`Transport::prepare`] and [`Transport::notify`] may be repeated
/// before [`Transport::wait`], which waits for the oldest.
pub trait Several<M: Metal>: Transport<M> {
    /// Reports that are told of and not acknowledged yet.
    fn under_way(&self, metal: &M) -> u64;
}

/// What the host made of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Ranges it answered to have refused; 1 if it refused the call. A ring has no answer, only the
    /// acknowledgement.
    pub refused: u64,
    /// What was wrong with the acknowledgement itself.
    pub violation: Option<abi::violation::Violation>,
}

impl Verdict {
    /// From the answer to a call ([`abi::calls::Answer`]).
    #[must_use]
    pub const fn from_answer(answer: u64) -> Self {
        let refused = if answer.cast_signed() < 0 { 1 } else { answer };
        Self { refused, violation: None }
    }

    /// That of a report of several calls, of those so far and the next: `refused` is how many calls were.
    #[must_use]
    pub const fn and(self, next: Self) -> Self {
        let violation = if self.violation.is_some() { self.violation } else { next.violation };
        Self { refused: self.refused + (next.refused != 0) as u64, violation }
    }
}
