//! The blocks of one report.

use abi::addr::{Order, PageRange, Pfn};
use abi::engine::CAPACITY_MAX;

/// Up to a report's worth of blocks (Linux: the scatter list).
#[derive(Debug)]
pub struct Batch {
    space: [PageRange; CAPACITY_MAX],
    capacity: usize,
    length: usize,
}

impl Batch {
    /// An empty batch that holds up to `capacity` blocks: at least one, and no more than any transport carries.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).map_or(CAPACITY_MAX, |blocks| blocks.clamp(1, CAPACITY_MAX));
        Self { space: [PageRange::block(Pfn(0), Order::MAX); CAPACITY_MAX], capacity, length: 0 }
    }

    /// Adds a block, if there is room.
    pub(super) fn push(&mut self, block: PageRange) {
        if self.is_full() {
            return;
        }
        if let Some(place) = self.space.get_mut(self.length) {
            *place = block;
            self.length += 1;
        }
    }

    /// Whether there is no room for another.
    pub(super) const fn is_full(&self) -> bool {
        self.length == self.capacity
    }

    /// Whether there is none in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The blocks.
    pub(super) fn blocks(&self) -> &[PageRange] {
        self.space.get(..self.length).unwrap_or_default()
    }

    /// How many pages they have.
    pub(super) fn pages(&self) -> u64 {
        self.blocks().iter().map(|block| block.pages()).sum()
    }

    /// Empties it.
    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}
