//! A zone, and a zone whose lock is held.

use abi::addr::Order;
use abi::engine::watermark;
use abi::violation::Violation;

use super::allocator::DMA;
use super::layout::{LARGEST, Layout};
use super::page::{self, Heads, State};
use super::{Allocator, Block, Link, MigrateType, Page, layout};
use crate::engine::books::Books;
use crate::engine::lock::Lock;
use crate::metal::Metal;

/// A zone: pages next to each other, with free lists and a lock of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zone<const REPORTS: bool> {
    pub(super) allocator: Allocator<REPORTS>,
    pub(super) number: u64,
    pub(super) layout: Layout,
}

impl<const REPORTS: bool> Zone<REPORTS> {
    pub(super) const fn new(allocator: Allocator<REPORTS>, number: u64) -> Self {
        Self { allocator, number, layout: Layout(allocator.map.zone(number)) }
    }

    /// Takes its lock.
    #[inline]
    pub fn lock<'m, M: Metal>(self, metal: &'m mut M, books: &Books) -> Locked<'m, M, REPORTS> {
        Lock::at(self.layout.lock()).acquire(metal, books);
        Locked { metal, zone: self, books: *books, since: None }
    }

    /// Takes its lock, and looks at the clock when it has it: see [`Locked::held`].
    #[inline]
    pub fn lock_timed<'m, M: Metal>(self, metal: &'m mut M, books: &Books) -> Locked<'m, M, REPORTS> {
        let mut locked = self.lock(metal, books);
        locked.since = Some(locked.metal.clock());
        locked
    }

    /// How many of its pages are free. Without its lock: as many as there were at some moment, which others may have
    /// changed since.
    #[inline]
    pub fn free_pages<M: Metal>(self, metal: &M) -> u64 {
        metal.load(self.layout.free_pages())
    }

    /// Pages that must stay free after a report.
    pub fn low_watermark<M: Metal>(self, metal: &M) -> u64 {
        metal.load(self.layout.watermark_low())
    }

    /// Pages that must stay free after an allocation.
    #[inline]
    pub fn min_watermark<M: Metal>(self, metal: &M) -> u64 {
        metal.load(self.layout.watermark_min())
    }

    /// How many pages it has.
    pub fn size(self) -> u64 {
        self.blocks_at_most()
    }

    /// Its pages: the first, and the one after the last.
    pub(super) const fn pages(self) -> [u32; 2] {
        let Allocator { dma32, managed, .. } = self.allocator;
        if self.number == DMA { [0, dma32] } else { [dma32, managed] }
    }

    /// More blocks no list of it can have.
    pub(super) const fn blocks_at_most(self) -> u64 {
        let [first, end] = self.pages();
        (end - first) as u64
    }

    /// Whether a page is one of its.
    pub(super) fn has(self, page: Page) -> bool {
        let [first, end] = self.pages();
        (first..end).contains(&page.get())
    }

    pub(super) fn initialise<M: Metal>(self, metal: &mut M, books: &Books) {
        let [first, end] = self.pages();
        let marks = watermark::of(u64::from(self.allocator.managed), u64::from(end - first));
        metal.store(self.layout.watermark_min(), marks.min);
        metal.store(self.layout.watermark_low(), marks.low);
        let mut zone = self.lock(metal, books);
        zone.clear_lists();
        for page in (first..end).step_by(1 << Order::MAX.get()) {
            let block = Block { page: Page::new(page), order: Order::MAX };
            zone.insert_tail(block, MigrateType::Movable);
        }
        zone.add_free_pages(u64::from(end - first) / LARGEST * LARGEST);
    }
}

/// A zone whose lock is held; dropping it lets go.
#[derive(Debug)]
pub struct Locked<'m, M: Metal, const REPORTS: bool> {
    pub(super) metal: &'m mut M,
    pub(super) zone: Zone<REPORTS>,
    books: Books,
    since: Option<u64>,
}

impl<M: Metal, const REPORTS: bool> Drop for Locked<'_, M, REPORTS> {
    #[inline]
    fn drop(&mut self) {
        Lock::at(self.zone.layout.lock()).release(self.metal);
    }
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// The machine, for what has to be done under the lock.
    pub fn metal(&mut self) -> &mut M {
        self.metal
    }

    /// Ticks since the lock was taken with [`Zone::lock_timed`]; 0 if it was not.
    pub fn held(&self) -> u64 {
        self.since.map_or(0, |since| self.metal.clock().wrapping_sub(since))
    }

    /// Free blocks of an order.
    #[inline]
    pub fn nr_free(&self, order: Order) -> u64 {
        self.metal.load(self.zone.layout.nr_free(order))
    }

    /// Those of them that are marked.
    #[inline]
    pub fn nr_reported(&self, order: Order) -> u64 {
        if REPORTS { self.metal.load(self.zone.layout.nr_reported(order)) } else { 0 }
    }

    /// Free pages.
    #[inline]
    pub fn free_pages(&self) -> u64 {
        self.zone.free_pages(self.metal)
    }

    /// Whether a block of `order` can be taken with more than `mark` pages left in blocks no larger than it
    /// (`__zone_watermark_ok`).
    #[inline]
    pub fn watermark_ok(&self, order: Order, mark: u64) -> bool {
        let unusable = order.pages() - 1;
        self.free_pages() > mark.saturating_add(unusable)
            && (order == Order::default() || page::from(order).any(|order| self.nr_free(order) > 0))
    }

    /// Whether `page` heads a block that is marked.
    #[inline]
    pub fn is_reported(&self, page: Page) -> bool {
        REPORTS && self.state(page).is_marked()
    }

    /// The order of the free block that `page` heads, if it does.
    #[inline]
    pub fn buddy_order(&self, page: Page) -> Option<Order> {
        match self.state(page).block() {
            Some(Heads::Free(order, _)) => Some(order),
            _ => None,
        }
    }

    /// Whether `page` heads a block that was isolated and not put back.
    #[inline]
    pub fn is_isolated(&self, page: Page) -> bool {
        self.state(page).is_isolated()
    }

    /// Whether marks are kept at all: without reporting a constant, else the flag that is tested.
    #[inline]
    pub(super) const fn marks(&self) -> bool {
        REPORTS && self.zone.allocator.config.marks
    }

    #[inline]
    pub(super) const fn boundaries(&self) -> bool {
        REPORTS && self.zone.allocator.config.boundaries
    }

    #[inline]
    pub(super) fn state(&self, page: Page) -> State {
        self.zone.allocator.state(self.metal, page)
    }

    #[inline]
    pub(super) fn set_state(&mut self, page: Page, state: State) {
        state.store(self.metal, self.zone.allocator.pages, page);
    }

    #[inline]
    pub(super) fn add_free_pages(&mut self, pages: u64) {
        let free = self.free_pages();
        self.metal.store(self.zone.layout.free_pages(), free.wrapping_add(pages));
    }

    #[inline]
    pub(super) fn remove_free_pages(&mut self, pages: u64) {
        let free = self.free_pages();
        self.metal.store(self.zone.layout.free_pages(), free.wrapping_sub(pages));
    }

    pub(super) fn clear_lists(&mut self) {
        self.set_links(Link::LOST, Link::LOST, Link::LOST);
        self.set_links(layout::held(), layout::held(), layout::held());
        for order in page::from(Order::default()) {
            for migrate_type in MigrateType::ALL {
                let head = layout::head(order, migrate_type);
                self.set_links(head, head, head);
                self.metal.store32(self.zone.layout.boundary(order, migrate_type), head.number());
            }
        }
    }

    /// Counts a violation at `page`.
    #[cold]
    pub(super) fn wrong(&mut self, what: Violation, page: Page) {
        let pfn = self.zone.allocator.pfn(page);
        self.books.violation(self.metal, what, pfn);
    }
}
