//! What the walks are made of: a zone whose lock is held, and a batch that is filled from it.

use abi::addr::Order;
use abi::engine::info::EngineInfo;

use crate::engine::buddy::{Block, Link, Locked, MigrateType, Page};
use crate::metal::Metal;

use super::batch::Batch;

/// A free list of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct List {
    /// Of blocks of this order.
    pub(super) order: Order,
    /// In pageblocks of this type.
    pub(super) migrate_type: MigrateType,
}

/// Why a search ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The batch is full, and there is more: report it and search again.
    Full,
    /// There is more, but the pass has made its share of reports of this list.
    OutOfBudget,
    /// A block could not be isolated.
    Refused,
    /// Everything on the list is reported, or in the batch.
    Exhausted,
}

/// The reports that a pass may still make of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Budget {
    /// `None`: as many as there are.
    left: Option<u64>,
}

impl Budget {
    /// As many as there are.
    pub(super) const UNLIMITED: Self = Self { left: None };

    /// That of a list whose order has `nr_free` free blocks: `ceil(nr_free / (capacity × budget)) + 1`. The one more is
    /// because Linux looks whether the budget is below zero, after it has counted down from that quotient.
    pub(super) fn of(nr_free: u64, info: &EngineInfo) -> Self {
        let share = info.capacity.saturating_mul(info.budget);
        Self { left: (share != 0).then(|| nr_free.div_ceil(share).saturating_add(1)) }
    }

    /// Whether no report is left.
    pub(super) fn is_spent(self) -> bool {
        self.left == Some(0)
    }

    /// Takes one report off.
    pub(super) fn spend(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

/// A search under way.
pub(super) struct Search<'s, 'm, M: Metal, const REPORTS: bool> {
    zone: Locked<'m, M, REPORTS>,
    batch: &'s mut Batch,
    /// The planted fault: blocks stay where they are.
    leaves_on_list: bool,
    /// What has happened so far.
    pub(super) seen: Seen,
}

/// What a search has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Blocks looked at.
    pub(super) examined: u64,
    /// Blocks isolated.
    pub(super) isolated: u64,
    /// Blocks that could not be.
    pub(super) missed: u64,
}

impl<'s, 'm, M: Metal, const REPORTS: bool> Search<'s, 'm, M, REPORTS> {
    pub(super) fn new(zone: Locked<'m, M, REPORTS>, batch: &'s mut Batch, leaves_on_list: bool) -> Self {
        Self { zone, batch, leaves_on_list, seen: Seen::default() }
    }

    /// Lets the lock go; says what was seen and for how many ticks the lock was held.
    pub(super) fn end(self) -> (Seen, u64) {
        (self.seen, self.zone.held())
    }

    /// The machine.
    pub(super) fn metal(&mut self) -> &mut M {
        self.zone.metal()
    }

    /// Free blocks of an order, of whatever type.
    pub(super) fn nr_free(&self, order: Order) -> u64 {
        self.zone.nr_free(order)
    }

    /// The first place of a list.
    pub(super) fn first(&self, list: List) -> Link {
        self.zone.next(self.zone.head(list.order, list.migrate_type))
    }

    /// The place before the boundary of a list, or the last one if no boundary is known.
    pub(super) fn before_boundary(&self, list: List) -> Link {
        self.zone.prev(self.zone.boundary(list.order, list.migrate_type))
    }

    /// Makes this place the boundary of its list.
    pub(super) fn move_boundary(&mut self, list: List, to: Link) {
        self.zone.set_boundary(list.order, list.migrate_type, to);
    }

    /// The place after this one.
    pub(super) fn next(&self, link: Link) -> Link {
        self.zone.next(link)
    }

    /// The place before this one.
    pub(super) fn previous(&self, link: Link) -> Link {
        self.zone.prev(link)
    }

    /// Looks at the block at a place; at the end of the list there is none.
    pub(super) fn look(&mut self, link: Link) -> Option<Page> {
        let page = self.zone.page(link)?;
        self.seen.examined += 1;
        Some(page)
    }

    /// Whether the block is marked as reported.
    pub(super) fn is_reported(&self, page: Page) -> bool {
        self.zone.is_reported(page)
    }

    /// Takes a block that is not reported; or says why the search ends before it.
    pub(super) fn take_unreported(&mut self, block: Block, budget: &Budget) -> Option<Found> {
        match () {
            () if budget.is_spent() => Some(Found::OutOfBudget),
            () if self.batch.is_full() => Some(Found::Full),
            () if !self.take(block) => Some(Found::Refused),
            () => None,
        }
    }

    /// Whether so many free pages are left without a block of this order.
    pub(super) fn leaves(&self, pages: u64, order: Order) -> bool {
        self.zone.free_pages() >= pages.saturating_add(order.pages())
    }

    /// Makes this block the first of its list.
    pub(super) fn rotate_to_front(&mut self, list: List, page: Page) {
        self.zone.rotate_to_front(list.order, list.migrate_type, page);
    }

    /// Takes a block off its list and into the batch, if the watermark allows.
    pub(super) fn take(&mut self, block: Block) -> bool {
        if !self.leaves_on_list && !self.zone.isolate(block.page, block.order) {
            self.seen.missed += 1;
            return false;
        }
        self.seen.isolated += 1;
        self.batch.push(self.zone.frames(block));
        true
    }

    /// Looks whether a page that was noted when it was freed still begins a free block that is not reported, and of what
    /// order.
    pub(super) fn still_free(&mut self, page: Page) -> Option<Order> {
        self.seen.examined += 1;
        self.zone.buddy_order(page).filter(|_| !self.zone.is_reported(page))
    }

    /// A block that was noted is no candidate any more.
    pub(super) fn miss(&mut self) {
        self.seen.missed += 1;
    }
}
