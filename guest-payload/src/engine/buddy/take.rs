//! Allocation: the smallest block that fits is split; if the type has none, another type's largest is taken.

use abi::addr::Order;
use abi::engine::map::PAGEBLOCK;
use abi::violation::Violation;

use super::allocator::PAGEBLOCK_PAGES;
use super::page::{self, Heads, State};
use super::zone::Locked;
use super::{Block, MigrateType, Page};
use crate::metal::Metal;

/// A free block of at least this order brings its whole pageblock along when another type takes it: half of one.
const CLAIM: u8 = PAGEBLOCK.get() - 1;

/// A block that was allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of exactly the order asked for.
    pub block: Block,
    /// Whether the free block it was cut from carried the mark.
    pub was_reported: bool,
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// Allocates a block (`rmqueue_buddy`), if the min watermark allows.
    #[inline]
    pub(super) fn take(&mut self, order: Order, migrate_type: MigrateType) -> Option<Taken> {
        if !self.watermark_ok(order, self.zone.min_watermark(self.metal)) {
            return None;
        }
        let taken = match self.smallest(order, migrate_type) {
            Some(taken) => taken,
            None => self.fall_back(order, migrate_type)?,
        };
        self.remove_free_pages(order.pages());
        Some(taken)
    }

    /// `__rmqueue_smallest`.
    #[inline]
    fn smallest(&mut self, order: Order, migrate_type: MigrateType) -> Option<Taken> {
        page::from(order).find_map(|from| {
            let (block, state) = self.first(from, migrate_type)?;
            self.cut_off(block, state, order, migrate_type)
        })
    }

    /// `__rmqueue_fallback`: the largest block of any other type. If it is large enough its pageblock changes sides,
    /// else what is left of it goes back to where it came from.
    #[cold]
    fn fall_back(&mut self, order: Order, migrate_type: MigrateType) -> Option<Taken> {
        page::from(order).rev().find_map(|from| {
            migrate_type.fallbacks().into_iter().find_map(|other| {
                let (block, state) = self.first(from, other)?;
                if from.get() < CLAIM {
                    return self.cut_off(block, state, order, other);
                }
                let taken = self.cut_off(block, state, order, migrate_type)?;
                self.claim(block, migrate_type);
                Some(taken)
            })
        })
    }

    /// The first block of a list; none, if what is there is no such block.
    #[inline]
    fn first(&mut self, order: Order, migrate_type: MigrateType) -> Option<(Block, State)> {
        let page = self.page(self.next(self.head(order, migrate_type)))?;
        let state = self.state(page);
        if state.is(State::free(order, migrate_type)) {
            return Some((Block { page, order }, state));
        }
        let what = match state.block() {
            Some(Heads::Allocated(_)) => Violation::HandedOutTwice,
            _ => Violation::Accounts,
        };
        self.wrong(what, page);
        None
    }

    /// Takes `block` off its list, allocates its lower end and puts the rest on the lists of `rest` (`expand`).
    #[inline]
    fn cut_off(&mut self, block: Block, state: State, order: Order, rest: MigrateType) -> Option<Taken> {
        if !self.remove(block, state) {
            return None;
        }
        let mut high = block.order;
        while let Some(half) = page::below(high).filter(|half| *half >= order) {
            self.insert_head(Block { page: block.page.buddy(half), order: half }, rest);
            high = half;
        }
        let was_reported = self.marks() && state.is_marked();
        let keeps = self.zone.allocator.config.keep_mark && was_reported;
        self.set_state(block.page, State::allocated(order).marked(keeps));
        Some(Taken { block: Block { page: block.page, order }, was_reported })
    }

    /// Gives the pageblocks of `block` to another type, and whatever else is free in them
    /// (`change_pageblock_range`, `__move_freepages_block`).
    fn claim(&mut self, block: Block, migrate_type: MigrateType) {
        let first = block.page.get();
        for pageblock in (first..first + (1 << block.order.get())).step_by(PAGEBLOCK_PAGES as usize) {
            self.zone.allocator.set_migrate_type(self.metal, Page::new(pageblock), migrate_type);
        }
        if block.order < PAGEBLOCK {
            self.move_free(block.page, migrate_type);
        }
    }

    /// Moves what is free in the pageblock of `page` to the lists of a type.
    fn move_free(&mut self, page: Page, migrate_type: MigrateType) {
        let first = page.get() / PAGEBLOCK_PAGES * PAGEBLOCK_PAGES;
        let mut at = first;
        while at < first + PAGEBLOCK_PAGES {
            let page = Page::new(at);
            let state = self.state(page);
            at += match state.block() {
                Some(Heads::Free(order, from)) => {
                    if from != migrate_type {
                        self.move_to(Block { page, order }, state, migrate_type);
                    }
                    1 << order.get()
                }
                Some(Heads::Isolated(order) | Heads::Allocated(order)) => 1 << order.get(),
                None => 1,
            };
        }
    }

    /// Moves a free block to the tail of another type's list; it keeps its mark.
    fn move_to(&mut self, block: Block, state: State, migrate_type: MigrateType) {
        if !self.remove(block, state) {
            return;
        }
        self.insert_tail(block, migrate_type);
        if self.marks() && state.is_marked() {
            let link = self.link(block.page);
            self.set_boundary(block.order, migrate_type, link);
            self.mark_reported(block.page);
        }
    }
}
