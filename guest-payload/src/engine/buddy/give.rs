//! Freeing: a block merges with its buddy as long as that is free too, and goes to the head of its list, or the tail if
//! it will merge again soon.

use abi::addr::Order;
use abi::engine::map::PAGEBLOCK;
use abi::violation::Violation;

use super::page::{self, State};
use super::zone::Locked;
use super::{Block, MigrateType, Page};
use crate::metal::Metal;

/// What became of a block that was freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freed {
    /// Its zone.
    pub zone: u64,
    /// As it lies on its free list: merged with its buddies.
    pub block: Block,
    /// Of its free list.
    pub migrate_type: MigrateType,
    /// Free blocks of its order in the zone that are not marked. 0 if the block was refused.
    pub unreported: u64,
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// Frees a block that was allocated (`free_one_page`).
    #[inline]
    pub(super) fn give(&mut self, block: Block) -> Freed {
        let zone = self.zone.number;
        let migrate_type = self.zone.allocator.migrate_type(self.metal, block.page);
        let state = self.state(block.page);
        if !self.zone.allocator.has_block(block) || !state.is(State::allocated(block.order)) {
            self.wrong(Violation::Accounts, block.page);
            return Freed { zone, block, migrate_type, unreported: 0 };
        }
        self.add_free_pages(block.order.pages());
        let merged = self.merge(block, migrate_type);
        if self.merge_likely(merged) {
            self.insert_tail(merged, migrate_type);
        } else {
            self.insert_head(merged, migrate_type);
        }
        // A mark on what was allocated is no mark of the free block, but for the planted fault.
        let keeps = self.zone.allocator.config.keep_mark && state.is_marked();
        if self.marks() && keeps && merged.page == block.page {
            self.mark_reported(merged.page);
        }
        let unreported = self.nr_free(merged.order).saturating_sub(self.nr_reported(merged.order));
        Freed { zone, block: merged, migrate_type, unreported }
    }

    /// Takes the buddies of a block off their lists, as far as they are free, and says what they make together
    /// (`__free_one_page`). Whatever was marked is not any more.
    #[inline]
    pub(super) fn merge(&mut self, Block { mut page, mut order }: Block, migrate_type: MigrateType) -> Block {
        while let Some(double) = page::above(order) {
            let buddy = page.buddy(order);
            let state = self.state(buddy);
            if !state.is_free(order) || !self.remove(Block { page: buddy, order }, state) {
                break;
            }
            if order >= PAGEBLOCK && state.migrate_type() != migrate_type {
                // So that a later split puts both halves on the lists of their pageblock.
                self.zone.allocator.set_migrate_type(self.metal, buddy, migrate_type);
            }
            self.set_state(page.max(buddy), State::INSIDE);
            page = page.min(buddy);
            order = double;
        }
        Block { page, order }
    }

    /// Whether the buddy of the block that this one could become part of is free (`buddy_merge_likely`).
    #[inline]
    fn merge_likely(&self, Block { page, order }: Block) -> bool {
        let Some(double) = page::above(order).filter(|double| *double < Order::MAX) else {
            return false;
        };
        let lower: Page = page.min(page.buddy(order));
        self.state(lower.buddy(double)).is_free(double)
    }
}
