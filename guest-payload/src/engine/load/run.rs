//! A run of blocks that are taken, or given, together.

use abi::addr::Order;

use crate::engine::buddy::{Block, Page, Taken};

/// The most blocks in a run.
const LENGTH: usize = 64;
const NONE: Taken = Taken { block: Block { page: Page::new(0), order: Order::MAX }, was_reported: false };

/// Blocks of an owner.
#[derive(Debug)]
pub(super) struct Run {
    space: [Taken; LENGTH],
    capacity: usize,
    length: usize,
}

impl Run {
    /// An empty run of blocks up to `unit`: as many as make a huge page, one at the least, and no more than there is
    /// room for.
    pub(super) fn of(unit: Order) -> Self {
        let blocks = Order::HUGE.pages() / unit.pages();
        let capacity = usize::try_from(blocks).map_or(LENGTH, |blocks| blocks.clamp(1, LENGTH));
        Self { space: [NONE; LENGTH], capacity, length: 0 }
    }

    /// How many more there is room for.
    pub(super) const fn room(&self) -> usize {
        self.capacity - self.length
    }

    /// Adds a block, if there is room.
    pub(super) fn push(&mut self, taken: Taken) {
        if self.room() == 0 {
            return;
        }
        if let Some(place) = self.space.get_mut(self.length) {
            *place = taken;
            self.length += 1;
        }
    }

    /// Adds a block that is to be given.
    pub(super) fn push_block(&mut self, block: Block) {
        self.push(Taken { block, was_reported: false });
    }

    pub(super) fn iter(&self) -> core::slice::Iter<'_, Taken> {
        self.space.get(..self.length).unwrap_or_default().iter()
    }

    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_huge_page_at_the_most_and_a_block_at_the_least() {
        for (order, blocks) in [(0, 64), (3, 64), (4, 32), (8, 2), (9, 1), (10, 1)] {
            let mut run = Run::of(Order::new(order).unwrap());
            assert_eq!(run.room(), blocks);
            (0..100).for_each(|_| run.push(NONE));
            assert_eq!((run.iter().len(), run.room()), (blocks, 0));
        }
    }
}
