//! The host's time stamps of each call, from the thread that acts to the thread that reads the trace.

use std::sync::atomic::{AtomicU64, Ordering};

use abi::timed::trace::CALLS;

use crate::kvm::HostTsc;

/// When a call was where, by the host's counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stamp {
    /// The acting thread runs: `KVM_RUN` or the eventfd's `read` has returned.
    pub picked_up: HostTsc,
    /// The carrier is about to be read.
    pub began: HostTsc,
    /// The ranges are known and checked.
    pub fetched: HostTsc,
    /// The ranges are discarded.
    pub discarded: HostTsc,
    /// The acknowledgement is given.
    pub completed: HostTsc,
    /// Whether it was found by looking once more after another call, or at a doorbell of a call that had been: then it
    /// may have been found, and even served, before the guest got to ring.
    pub unrung: bool,
}

const FIELDS: usize = 6;
const SLOTS: usize = 4096;
// The guest asks to be drained before it has made more calls than that.
const _: () = assert!(SLOTS as u64 == CALLS);

/// A ring of stamps with one writer and one reader, of fixed size.
#[derive(Debug)]
pub(crate) struct Stamps {
    slots: Box<[[AtomicU64; FIELDS]]>,
    pushed: AtomicU64,
}

impl Default for Stamps {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Default::default()).collect(), pushed: AtomicU64::new(0) }
    }
}

impl Stamps {
    /// Stamps pushed so far.
    pub(crate) fn pushed(&self) -> u64 {
        // Acquire: pairs with the release in `push`, so that the slots below this number are complete.
        self.pushed.load(Ordering::Acquire)
    }

    /// Adds a stamp. One thread only.
    pub(crate) fn push(&self, stamp: Stamp) {
        // Relaxed: this thread is the only one to store the number.
        let number = self.pushed.load(Ordering::Relaxed);
        let Stamp { picked_up, began, fetched, discarded, completed, unrung } = stamp;
        let [picked_up, began, fetched, discarded, completed] =
            [picked_up, began, fetched, discarded, completed].map(|at| at.0);
        let values = [picked_up, began, fetched, discarded, completed, u64::from(unrung)];
        for (field, value) in self.slot(number).iter().zip(values) {
            // Relaxed: published by the release below; the reader of the overwritten stamp is long done,
            // because the guest was drained in between.
            field.store(value, Ordering::Relaxed);
        }
        // Release: the stamp is complete before its number is seen.
        self.pushed.store(number + 1, Ordering::Release);
    }

    /// The stamp with this number, one of the last [`CALLS`] pushed.
    pub(crate) fn get(&self, number: u64) -> Stamp {
        // Relaxed: `pushed` was acquired by the caller before.
        let [picked_up, began, fetched, discarded, completed, unrung] =
            self.slot(number).each_ref().map(|field| HostTsc(field.load(Ordering::Relaxed)));
        Stamp { picked_up, began, fetched, discarded, completed, unrung: unrung != HostTsc(0) }
    }

    fn slot(&self, number: u64) -> &[AtomicU64; FIELDS] {
        // The remainder is below 4096 and fits in any usize.
        &self.slots[usize::try_from(number % CALLS).unwrap_or(0)]
    }
}
