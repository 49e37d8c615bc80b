//! A write a range: one that exits, or one that KVM queues.

use abi::addr::{Gpa, PageRange};
use abi::calls::{CALL_PORT, IDLE_GPA, IDLE_PAGES, Operation};
use abi::wire::store::{self, QUEUE_LENGTH};

use super::{Gather, Transport, Verdict};
use crate::metal::Metal;

/// Carries one range, in a write that exits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store {
    word: u32,
}

impl<M: Metal> Transport<M> for Store {
    fn capacity(&self) -> usize {
        1
    }

    #[inline(always)]
    fn prepare(&mut self, _: &mut M, ranges: &[PageRange]) {
        self.word = ranges.first().map_or(0, |range| store::word(*range));
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(self.word, Gpa(IDLE_GPA), IDLE_PAGES);
    }

    /// There is no answer: it was acted on when the write is over.
    #[inline(always)]
    fn wait(&mut self, _: &mut M) -> Verdict {
        Verdict::default()
    }
}

/// Carries as many as KVM queues. What is queued is in the carrier, so that the writes are made in
/// [`Transport::prepare`]; the doorbell is a call about the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreQueue {
    queued: usize,
}

impl<M: Metal> Transport<M> for StoreQueue {
    fn capacity(&self) -> usize {
        QUEUE_LENGTH
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        for range in ranges {
            metal.ring(store::word(*range), Gpa(IDLE_GPA), IDLE_PAGES);
        }
        self.queued += ranges.len();
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.out(CALL_PORT, Operation::Kick.word());
    }

    #[inline(always)]
    fn wait(&mut self, _: &mut M) -> Verdict {
        self.queued = 0;
        Verdict::default()
    }
}

impl<M: Metal> Gather<M> for StoreQueue {
    const TAKES_BACK: bool = false;

    fn room(&self) -> usize {
        QUEUE_LENGTH - self.queued
    }
}
