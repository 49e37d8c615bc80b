//! What the reporting core does to free blocks: isolate, put back or hold, mark.

use abi::addr::Order;
use abi::violation::Violation;

use super::page::{Heads, State};
use super::zone::Locked;
use super::{Block, MigrateType, Page};
use crate::metal::{Metal, count};

/// Where on its list a block is put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// First.
    Head,
    /// Last; where boundaries are kept, last of those that are not reported.
    Tail,
    /// Just before the boundary, and from then on the boundary, because it will be marked. If it merged it will not,
    /// and does not become the boundary.
    Boundary,
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// Takes a free block off its list, so that nobody allocates it, if the min watermark allows
    /// (`__isolate_free_page`; unlike there, its pageblock keeps its migrate type). `false` if it is no free
    /// block of that order.
    pub fn isolate(&mut self, page: Page, order: Order) -> bool {
        let mark = self.zone.min_watermark(self.metal).saturating_add(order.pages());
        let state = self.state(page);
        let block = Block { page, order };
        if !state.is_free(order) || !self.watermark_ok(Order::default(), mark) || !self.remove(block, state) {
            return false;
        }
        self.set_state(page, State::isolated(order));
        self.remove_free_pages(order.pages());
        true
    }

    /// Puts an isolated block back on a list (`__putback_isolated_page`): merges as freeing does, and asks for no
    /// pass. The type is what its pageblock has now ([`super::Allocator::migrate_type`], under this lock): it may have
    /// changed sides while the block was out. Says whether it is still this block: whether it did not merge.
    pub fn put_back(&mut self, block: Block, migrate_type: MigrateType, at: At) -> bool {
        if !self.zone.allocator.has_block(block) || !self.state(block.page).is(State::isolated(block.order)) {
            self.wrong(Violation::Accounts, block.page);
            return false;
        }
        self.add_free_pages(block.order.pages());
        let merged = self.merge(block, migrate_type);
        match at {
            At::Head => self.insert_head(merged, migrate_type),
            At::Tail | At::Boundary => self.insert_tail(merged, migrate_type),
        }
        if at == At::Boundary && merged == block {
            let link = self.link(block.page);
            self.set_boundary(block.order, migrate_type, link);
        }
        merged == block
    }

    /// Keeps an isolated block off the free lists until [`Self::release`].
    pub fn hold(&mut self, block: Block) {
        if !self.zone.has(block.page) || !self.state(block.page).is(State::isolated(block.order)) {
            return self.wrong(Violation::Accounts, block.page);
        }
        self.insert_held(block.page);
    }

    /// Puts the block that has been held for longest back on a list, marked unless it merges there. `false` if none is held.
    pub fn release(&mut self) -> bool {
        let Some(page) = self.pop_held() else { return false };
        let Some(Heads::Isolated(order)) = self.state(page).block() else {
            self.wrong(Violation::Accounts, page);
            return false;
        };
        let migrate_type = self.zone.allocator.migrate_type(self.metal, page);
        if self.put_back(Block { page, order }, migrate_type, At::Tail) {
            self.mark_reported(page);
        }
        true
    }

    /// Marks a free block as reported. Nothing, if marks are not kept.
    pub fn mark_reported(&mut self, page: Page) {
        if !self.marks() {
            return;
        }
        let state = self.state(page);
        let Some(Heads::Free(order, _)) = state.block() else {
            return self.wrong(Violation::Accounts, page);
        };
        if !state.is_marked() {
            self.set_state(page, state.marked(true));
            count(self.metal, self.zone.layout.nr_reported(order), 1);
        }
    }
}
