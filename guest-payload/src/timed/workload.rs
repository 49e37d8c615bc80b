//! Which pages are freed, in which order.
//!
//! The arena is cut into *slots*, blocks of the trial's order. A pass visits slots in the order the workload
//! names, a batch at a time; no slot comes twice in one batch. Everything follows from the seed, so that every
//! transport is given exactly the same ranges.

use abi::addr::{Order, PageRange, Pfn};
use abi::axes::Workload;
use abi::digest::mix;
use abi::timed::company::Share;
use abi::wire::log::TAKEN_BACK_ONE_IN;

/// Distance of two neighbours of a strided batch, in slots: odd, so that a pass visits every slot.
const STRIDE: u64 = 7;

/// An endless stream of batches.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    workload: Workload,
    order: Order,
    start: Pfn,
    /// log2 of the number of slots.
    slot_bits: u32,
    seed: u64,
    pass: u64,
    next: u64,
}

impl Batches {
    /// Batches over a share of the arena, whose pages are a power of two and at least one block of `order`.
    #[must_use]
    pub const fn new(workload: Workload, order: Order, share: Share, seed: u64) -> Self {
        let slot_bits = (share.pages / order.pages()).ilog2();
        Self { workload, order, start: share.start, slot_bits, seed, pass: 0, next: 0 }
    }

    /// Fills `batch` with the next blocks. A pass that has too few left is cut short.
    pub fn fill(&mut self, batch: &mut [PageRange]) {
        let slots = 1 << self.slot_bits;
        self.together(batch.len());
        for range in batch {
            let slot = self.slot(self.next % slots);
            *range = PageRange::block(Pfn(self.start.0 + slot * self.order.pages()), self.order);
            self.next += 1;
        }
    }

    /// Has the next so many ranges be of one pass, so that none of them comes twice.
    pub const fn together(&mut self, ranges: usize) {
        if self.next + ranges as u64 > 1 << self.slot_bits {
            self.pass += 1;
            self.next = 0;
        }
    }

    /// Whether the guest takes this range of the pass back before it tells the host, where it can: a seeded one in
    /// [`TAKEN_BACK_ONE_IN`].
    #[must_use]
    pub const fn is_taken_back(&self, range: PageRange) -> bool {
        mix(mix(self.seed ^ mix(self.pass)) ^ range.start().0).is_multiple_of(TAKEN_BACK_ONE_IN)
    }

    /// The slot visited `index`th in this pass.
    fn slot(&self, index: u64) -> u64 {
        match self.workload {
            Workload::Sequential => index,
            Workload::Strided => index.wrapping_mul(STRIDE) & self.mask(),
            Workload::Random => self.shuffled(index),
        }
    }

    const fn mask(&self) -> u64 {
        (1 << self.slot_bits) - 1
    }

    /// A permutation of the slots that depends on seed and pass: each step (odd multiplication, addition,
    /// shift-xor) is a bijection on `slot_bits` bits.
    fn shuffled(&self, index: u64) -> u64 {
        let shift = (self.slot_bits / 2).max(1);
        let key = mix(self.seed ^ mix(self.pass));
        (1..=3).fold(index, |slot, round| {
            let key = mix(key ^ round);
            let slot = slot.wrapping_mul(key | 1).wrapping_add(key >> 32) & self.mask();
            slot ^ slot >> shift
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::layout::ARENA_START;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const EMPTY: PageRange = PageRange::block(Pfn(0), Order::MAX);

    fn batches(
        workload: Workload,
        order: u64,
        arena_pages: u64,
        seed: u64,
        size: usize,
        n: usize,
    ) -> Vec<Vec<PageRange>> {
        let mut stream = Batches::new(workload, Order::new(order).unwrap(), Share::whole(arena_pages), seed);
        (0..n)
            .map(|_| {
                let mut batch = vec![EMPTY; size];
                stream.fill(&mut batch);
                batch
            })
            .collect()
    }

    #[test]
    fn sequential_touches_strided_does_not() {
        let touching = |workload| {
            let batch = batches(workload, 0, 4096, 1, 32, 1).remove(0);
            let mut sorted = batch;
            sorted.sort();
            sorted.windows(2).filter(|pair| pair[0].end() == pair[1].start()).count()
        };
        assert_eq!(touching(Workload::Sequential), 31);
        assert_eq!(touching(Workload::Strided), 0);
        assert!(touching(Workload::Random) < 8);
    }

    #[test]
    fn a_pass_visits_every_slot_once() {
        for workload in [Workload::Sequential, Workload::Strided, Workload::Random] {
            let seen: BTreeSet<_> =
                batches(workload, 2, 1024, 9, 16, 16).concat().iter().map(|range| range.start()).collect();
            assert_eq!(seen.len(), 256, "{workload:?}");
        }
    }

    #[test]
    fn random_passes_and_seeds_differ() {
        let first = batches(Workload::Random, 0, 4096, 1, 32, 200);
        assert_ne!(first[0], first[128], "second pass");
        assert_ne!(first, batches(Workload::Random, 0, 4096, 2, 32, 200));
        assert_eq!(first, batches(Workload::Random, 0, 4096, 1, 32, 200));
    }

    proptest! {
        #[test]
        fn batches_are_distinct_blocks_of_the_arena(
            kind in 0_usize..3, order in 0_u64..=10, spare in 0_u32..4, size in 1_usize..=511, seed: u64
        ) {
            let workload = [Workload::Sequential, Workload::Strided, Workload::Random][kind];
            let pages = ((size as u64).next_power_of_two() << spare) << order;
            for batch in batches(workload, order, pages, seed, size, 9) {
                let distinct: BTreeSet<_> = batch.iter().map(|range| range.start()).collect();
                prop_assert_eq!(distinct.len(), size);
                for range in batch {
                    prop_assert_eq!(range.pages(), 1 << order);
                    prop_assert!(range.start() >= ARENA_START && range.end().0 <= ARENA_START.0 + pages);
                    prop_assert_eq!((range.start().0 - ARENA_START.0) % range.pages(), 0);
                }
            }
        }
    }
}
