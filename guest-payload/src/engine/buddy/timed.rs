//! The allocator's verbs for callers who want to know more: for how long the lock was held, or whether a block
//! merged.

use abi::addr::{Order, PageRange};

use super::allocator::{DMA, DMA32};
use super::{Allocator, Block, Freed, Locked, MigrateType, Page, Taken};
use crate::engine::books::Books;
use crate::metal::Metal;

impl<const REPORTS: bool> Allocator<REPORTS> {
    /// As [`Self::alloc`]; says too for how many ticks a lock was held.
    pub fn alloc_timed<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
    ) -> (Option<Taken>, u64) {
        let mut held = 0;
        let taken = [DMA32, DMA].into_iter().find_map(|zone| {
            let mut zone = self.zone(zone).lock_timed(metal, books);
            let taken = zone.take(order, migrate_type);
            held += zone.held();
            taken
        });
        (taken, held)
    }

    /// As [`Self::free`]; says too for how many ticks the lock was held.
    pub fn free_timed<M: Metal>(self, metal: &mut M, books: &Books, block: Block) -> (Freed, u64) {
        let zone = self.zone_of(block.page);
        let mut zone = self.zone(zone).lock_timed(metal, books);
        let freed = zone.give(block);
        (freed, zone.held())
    }

    /// The block of these frames, if they are managed.
    #[must_use]
    pub fn block(self, frames: PageRange) -> Option<Block> {
        let page = frames.start().0.checked_sub(self.first.0)?;
        let block = Block {
            page: Page::new(u32::try_from(page).ok()?),
            order: Order::new(u64::from(frames.pages().ilog2())).ok()?,
        };
        self.has_block(block).then_some(block)
    }
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// As [`Allocator::free`], under a lock that is held already; `false` if the block merged.
    pub fn free(&mut self, block: Block) -> bool {
        self.give(block).block == block && self.buddy_order(block.page) == Some(block.order)
    }

    /// The frames of a block.
    pub fn frames(&self, block: Block) -> PageRange {
        self.zone.allocator.frames(block)
    }
}
