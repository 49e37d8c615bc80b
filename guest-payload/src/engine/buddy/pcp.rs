//! The lists of free pages that each processor has of each zone, in front of the allocator (`struct per_cpu_pages`).
//!
//! Blocks of orders 0 to 3 and huge pages are freed into them and allocated from them, without the zone's lock; they come
//! from the zone and go back to it in batches. To the zone they are allocated. What is freed and allocated again in
//! between is never on a free list, so that nobody reports it.
//!
//! ```text
//!   zone ─ refill ─► list ─ pop ─► owner ─ free ─► list ─ give back ─► zone
//!                                  (its head)      (its tail: the oldest)
//! ```
//!
//! Pages leave a list for the zone where they do in Linux 6.12: when too many are on it (`free_unref_page_commit`), as
//! time passes (`decay_pcp_high`), and when an allocation fails (`drain_all_pages`). Simpler than there: a block on a
//! list is taken without a look at the watermark, and each that fills a list with one; whether a zone is below its
//! high watermark is looked at when it matters, and kept in no flag; caches are taken for small (no
//! `PCPF_FREE_HIGH_BATCH`); and a processor that finds no memory empties its own lists, and nobody else's.

use abi::addr::{Gpa, Order};
use abi::engine::map::PCP_BYTES;

use super::allocator::{DMA, DMA32};
use super::page::State;
use super::{Allocator, Block, Freed, MigrateType, Taken};
use crate::engine::books::Books;
use crate::metal::Metal;
use list::List;
use size::{COSTLY, Limits, Size};

mod audit;
mod list;
mod size;

const TYPES: u64 = MigrateType::ALL.len() as u64;
/// Lists: an order's types are neighbours; huge pages come last, movable ones after all others.
const SMALL: u64 = (COSTLY as u64 + 1) * TYPES;
const LISTS: u64 = SMALL + 2;

const COUNT: u64 = 0;
const HIGH: u64 = 8;
const ALLOC_FACTOR: u64 = 16;
const FREE_COUNT: u64 = 24;
const FREED_HIGH_ORDER: u64 = 32;
const HEADS: u64 = 40;
const _: () = assert!(HEADS + LISTS * list::BYTES <= PCP_BYTES);

/// The lists of one virtual processor. A handle: everything is in guest memory, and nobody else touches it.
#[derive(Clone, Copy, Debug)]
pub struct PageLists<const REPORTS: bool> {
    allocator: Allocator<REPORTS>,
    vcpu: u32,
    /// Of zone DMA and of zone DMA32.
    limits: [Limits; 2],
}

impl<const REPORTS: bool> PageLists<REPORTS> {
    /// Those of virtual processor `vcpu` of `vcpus`; empty in an arena that is zeroed.
    #[must_use]
    pub fn new(allocator: Allocator<REPORTS>, vcpu: u32, vcpus: u64) -> Self {
        let limits = [DMA, DMA32].map(|zone| {
            let [first, end] = allocator.zone(zone).pages();
            Limits::of(allocator.managed.into(), u64::from(end - first), vcpus)
        });
        Self { allocator, vcpu, limits }
    }

    /// Allocates a block, from a list if there is one for its order. Says too for how many ticks a lock was held.
    /// `freed` hears of every block that goes to the zone for it: from a list under the zone's lock, else after it.
    pub fn alloc<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
        freed: impl FnMut(&mut M, &Freed),
    ) -> (Option<Taken>, u64) {
        let (taken, held) = self.try_alloc(metal, books, order, migrate_type);
        if taken.is_some() {
            return (taken, held);
        }
        self.drain(metal, books, freed);
        let (taken, again) = self.try_alloc(metal, books, order, migrate_type);
        (taken, held + again)
    }

    fn try_alloc<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
    ) -> (Option<Taken>, u64) {
        let Some(index) = index(order, migrate_type) else {
            return self.allocator.alloc_timed(metal, books, order, migrate_type);
        };
        let mut held = 0;
        let taken = [DMA32, DMA].into_iter().find_map(|zone| {
            let list = self.list(zone, index);
            self.resize(metal, zone, Size::asked);
            if list.first(metal).is_none() {
                held += self.refill(metal, books, zone, list, order, migrate_type);
            }
            self.pop(metal, zone, list, order)
        });
        (taken, held)
    }

    /// Frees a block, to a list if there is one for its order. Says for how many ticks a lock was held. `freed` as for
    /// [`Self::alloc`].
    pub fn free<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        block: Block,
        mut freed: impl FnMut(&mut M, &Freed),
    ) -> u64 {
        let Block { page, order } = block;
        let is_allocated =
            self.allocator.has_block(block) && self.allocator.state(metal, page).is(State::allocated(order));
        let index = index(order, self.allocator.migrate_type(metal, page)).filter(|_| is_allocated);
        let Some(index) = index else {
            let (gone, held) = self.allocator.free_timed(metal, books, block);
            freed(metal, &gone);
            return held;
        };
        let zone = self.allocator.zone_of(page);
        self.list(zone, index).push_front(metal, page);
        let (limits, is_below_high) = (self.limits(zone), self.is_below_high(metal, zone));
        let pages = self.resize(metal, zone, |size| size.freed(limits, order, is_below_high));
        self.give_back(metal, books, zone, index, pages, &mut freed)
    }

    /// Some time has passed: gives back what has lain on the lists for long.
    pub fn decay<M: Metal>(self, metal: &mut M, books: &Books, mut freed: impl FnMut(&mut M, &Freed)) {
        for zone in [DMA32, DMA] {
            let pages = self.resize(metal, zone, |size| size.decayed(self.limits(zone)));
            self.give_back(metal, books, zone, 0, pages, &mut freed);
        }
    }

    /// Whether no time that passes takes anything off the lists.
    #[must_use]
    pub fn is_at_rest<M: Metal>(self, metal: &M) -> bool {
        [DMA32, DMA].into_iter().all(|zone| self.size(metal, zone).is_at_rest(self.limits(zone)))
    }

    /// Gives everything back to the zones.
    pub fn drain<M: Metal>(self, metal: &mut M, books: &Books, mut freed: impl FnMut(&mut M, &Freed)) {
        for zone in [DMA32, DMA] {
            let pages = self.count(metal, zone);
            self.give_back(metal, books, zone, 0, pages, &mut freed);
        }
    }

    /// Pages on the lists of a zone.
    #[must_use]
    pub fn count<M: Metal>(self, metal: &M, zone: u64) -> u64 {
        metal.load(self.at(zone, COUNT))
    }

    /// Fills an empty list (`rmqueue_bulk`). Says for how many ticks the lock was held.
    fn refill<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        zone: u64,
        list: List,
        order: Order,
        migrate_type: MigrateType,
    ) -> u64 {
        let (limits, is_below_high) = (self.limits(zone), self.is_below_high(metal, zone));
        let blocks = self.resize(metal, zone, |size| size.wanted(limits, order, is_below_high));
        let mut locked = self.allocator.zone(zone).lock_timed(metal, books);
        let mut taken = 0;
        while taken < blocks {
            let Some(Taken { block, was_reported }) = locked.take(order, migrate_type) else { break };
            // Whoever is given the block is told whether it had been reported.
            locked.set_state(block.page, State::allocated(order).marked(was_reported));
            list.push_back(locked.metal(), block.page);
            taken += 1;
        }
        let held = locked.held();
        drop(locked);
        self.resize(metal, zone, |size| size.count += taken * order.pages());
        held
    }

    fn pop<M: Metal>(self, metal: &mut M, zone: u64, list: List, order: Order) -> Option<Taken> {
        let page = list.first(metal)?;
        list.remove(metal, page);
        self.resize(metal, zone, |size| size.count = size.count.saturating_sub(order.pages()));
        let was_reported = self.allocator.state(metal, page).is_marked();
        if was_reported && !self.allocator.config.keep_mark {
            // The page is this processor's: others only look whether it is free, which it was not and is not.
            State::allocated(order).store(metal, self.allocator.pages, page);
        }
        Some(Taken { block: Block { page, order }, was_reported })
    }

    /// Gives at least so many pages back, the oldest of list `first` before those of the others
    /// (`free_pcppages_bulk`). Says for how many ticks the lock was held.
    fn give_back<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        zone: u64,
        first: u64,
        pages: u64,
        freed: &mut impl FnMut(&mut M, &Freed),
    ) -> u64 {
        if pages == 0 {
            return 0;
        }
        let mut given = 0;
        let mut locked = self.allocator.zone(zone).lock_timed(metal, books);
        for index in (first..LISTS).chain(0..first) {
            let (list, order) = (self.list(zone, index), order_of(index));
            while let Some(page) = list.last(locked.metal()).filter(|_| given < pages) {
                list.remove(locked.metal(), page);
                given += order.pages();
                let gone = locked.give(Block { page, order });
                freed(locked.metal(), &gone);
            }
        }
        let held = locked.held();
        drop(locked);
        self.resize(metal, zone, |size| size.count = size.count.saturating_sub(given));
        held
    }

    fn resize<M: Metal, R>(self, metal: &mut M, zone: u64, change: impl FnOnce(&mut Size) -> R) -> R {
        let mut size = self.size(metal, zone);
        let result = change(&mut size);
        metal.store(self.at(zone, COUNT), size.count);
        metal.store(self.at(zone, HIGH), size.high);
        metal.store(self.at(zone, ALLOC_FACTOR), size.alloc_factor);
        metal.store(self.at(zone, FREE_COUNT), size.free_count);
        metal.store(self.at(zone, FREED_HIGH_ORDER), size.freed_high_order.into());
        result
    }

    fn size<M: Metal>(self, metal: &M, zone: u64) -> Size {
        let word = |what| metal.load(self.at(zone, what));
        Size {
            count: word(COUNT),
            high: word(HIGH),
            alloc_factor: word(ALLOC_FACTOR),
            free_count: word(FREE_COUNT),
            freed_high_order: word(FREED_HIGH_ORDER) != 0,
        }
    }

    fn is_below_high<M: Metal>(self, metal: &M, zone: u64) -> bool {
        self.limits(zone).is_below_high(self.allocator.zone(zone).free_pages(metal))
    }

    const fn limits(self, zone: u64) -> Limits {
        if zone == DMA { self.limits[0] } else { self.limits[1] }
    }

    const fn list(self, zone: u64, index: u64) -> List {
        List { at: self.at(zone, HEADS + index * list::BYTES), pages: self.allocator.pages }
    }

    const fn at(self, zone: u64, offset: u64) -> Gpa {
        self.allocator.map.pcp(self.vcpu, zone).offset(offset)
    }
}

/// The list of an order and type, if it has one (`pcp_allowed_order`, `order_to_pindex`).
fn index(order: Order, migrate_type: MigrateType) -> Option<u64> {
    match order.get() {
        small if small <= COSTLY => Some(u64::from(small) * TYPES + u64::from(migrate_type.bits())),
        _ if order == Order::HUGE => Some(SMALL + u64::from(migrate_type == MigrateType::Movable)),
        _ => None,
    }
}

/// The order of the blocks of a list (`pindex_to_order`).
fn order_of(index: u64) -> Order {
    if index < SMALL { Order::new(index / TYPES).unwrap_or_default() } else { Order::HUGE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_blocks_and_huge_pages_have_lists() {
        let of = |order| MigrateType::ALL.map(|migrate_type| index(order, migrate_type));
        let orders = (0..=10).map(|order| Order::new(order).unwrap());
        let listed: Vec<u8> =
            orders.clone().filter(|order| of(*order)[0].is_some()).map(Order::get).collect();
        assert_eq!(listed, [0, 1, 2, 3, 9]);
        let mut lists: Vec<u64> = orders.flat_map(of).flatten().collect();
        lists.sort_unstable();
        lists.dedup();
        assert_eq!(lists, (0..LISTS).collect::<Vec<_>>(), "each list is somebody's");
        for order in (0..=9).map(|order| Order::new(order).unwrap()) {
            assert!(of(order).into_iter().flatten().all(|index| order_of(index) == order));
        }
    }
}
