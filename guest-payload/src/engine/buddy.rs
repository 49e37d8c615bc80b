//! The buddy allocator: `mm/page_alloc.c` of Linux 6.12, as far as free page reporting can see it.
//!
//! ```text
//!   page        a managed page: its number, its links, its state
//!   migrate     migrate types and what they fall back to
//!   layout      where a zone keeps its lists and counts
//!   zone        a zone and its lock
//!   list        the free lists
//!   take        allocation: smallest that fits, split, fall back
//!   give        freeing: merge with the buddies, choose head or tail
//!   isolate     what the reporting core does: isolate, put back, mark
//!   watermark   how much must stay free
//!   timed       the same verbs for callers who want to know more
//!   audit       do lists, counts and pages agree
//! ```
//!
//! Left out: per-processor lists, atomic reserves, compaction on demand, reclaim. A managed page that is free heads a
//! block or lies inside one; only the first page of a block, free or not, has a state, so that no other page can be
//! taken for one.

use abi::addr::{Gpa, Order, PageRange, Pfn};
use abi::engine::map::{Map, PAGEBLOCK, ZONES, dma_pages};

use crate::engine::books::Books;
use crate::metal::Metal;

mod audit;
mod give;
mod isolate;
mod layout;
mod link;
mod list;
mod migrate;
mod page;
mod take;
#[cfg(test)]
mod tests;
mod timed;
mod watermark;
mod zone;

pub use audit::Audit;
pub use isolate::At;
pub use link::Link;
pub use migrate::MigrateType;
pub use page::{Block, Page};
pub use zone::{Locked, Zone};

use page::State;

/// Number of the zone that is allocated from last: see [`dma_pages`].
const DMA: u64 = 0;
/// Number of the zone that has the rest.
const DMA32: u64 = 1;
const _: () = assert!(DMA32 + 1 == ZONES);
/// Pages of a pageblock.
const PAGEBLOCK_PAGES: u32 = 1 << PAGEBLOCK.get();

/// How the allocator is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Reporting is switched on: blocks may be marked. The flag of the freeing path (Linux: the static key
    /// `page_reporting_enabled`).
    pub marks: bool,
    /// The pointers of the boundary walk are kept.
    pub boundaries: bool,
    /// The planted fault: allocation does not clear the mark.
    pub keep_mark: bool,
}

/// The allocator. A handle: everything it knows is in guest memory, shared by all virtual processors.
///
/// Without `REPORTS` everything about marks and boundaries is compiled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allocator<const REPORTS: bool> {
    config: Config,
    map: Map,
    /// [`Map::page`] of page 0: kept, because every step needs it.
    pages: Gpa,
    pageblocks: Gpa,
    first: Pfn,
    managed: u32,
    /// First page of zone DMA32.
    dma32: u32,
}

/// A block that was allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of exactly the order asked for.
    pub block: Block,
    /// Whether the free block it was cut from carried the mark.
    pub was_reported: bool,
}

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

impl<const REPORTS: bool> Allocator<REPORTS> {
    /// The allocator of these pages.
    #[must_use]
    pub const fn new(map: Map, config: Config) -> Self {
        let managed = map.managed();
        let dma32 = dma_pages(managed);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an arena has at most ARENA_MAX_PAGES pages: 2^19"
        )]
        let [managed, dma32] = [managed as u32, dma32 as u32];
        let (pages, pageblocks, first) = (map.page(0), map.pageblock(0), map.first());
        Self { config, map, pages, pageblocks, first, managed, dma32 }
    }

    /// How it was built.
    #[must_use]
    pub const fn config(self) -> Config {
        self.config
    }

    /// The pages it manages.
    #[must_use]
    pub const fn map(self) -> Map {
        self.map
    }

    /// Makes every page free, in largest blocks, every pageblock movable. Once, by one virtual processor, before any
    /// other begins; the arena is zeroed, as it comes from the host.
    pub fn initialise<M: Metal>(self, metal: &mut M) {
        for page in (0..self.managed).step_by(PAGEBLOCK_PAGES as usize) {
            self.set_migrate_type(metal, Page::new(page), MigrateType::Movable);
        }
        // The lock is free and stays so: nobody else is here.
        let books = Books::of(self.map, metal.vcpu());
        for zone in 0..ZONES {
            self.zone(zone).initialise(metal, &books);
        }
    }

    /// Allocates a block: from zone DMA32, else from DMA, as far as their watermarks allow.
    #[inline]
    pub fn alloc<M: Metal>(
        self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
    ) -> Option<Taken> {
        [DMA32, DMA].into_iter().find_map(|zone| {
            let mut zone = self.zone(zone).lock(metal, books);
            zone.take(order, migrate_type)
        })
    }

    /// Frees a block that was allocated; one that was not is refused, and counted as a violation.
    #[inline]
    pub fn free<M: Metal>(self, metal: &mut M, books: &Books, block: Block) -> Freed {
        let zone = self.zone_of(block.page);
        self.zone(zone).lock(metal, books).give(block)
    }

    /// A zone.
    #[must_use]
    #[inline]
    pub const fn zone(self, zone: u64) -> Zone<REPORTS> {
        Zone::new(self, zone)
    }

    /// The zone of a page.
    #[must_use]
    #[inline]
    pub const fn zone_of(self, page: Page) -> u64 {
        if page.get() < self.dma32 { DMA } else { DMA32 }
    }

    /// The frames of a block.
    #[must_use]
    pub const fn frames(self, block: Block) -> PageRange {
        PageRange::block(self.pfn(block.page), block.order)
    }

    /// The migrate type of the pageblock that a page lies in. One that no page has is taken for movable.
    #[inline]
    pub fn migrate_type<M: Metal>(self, metal: &M, page: Page) -> MigrateType {
        if self.has(page) {
            MigrateType::from_bits(metal.load32(self.pageblock(page)))
        } else {
            MigrateType::Movable
        }
    }

    fn set_migrate_type<M: Metal>(self, metal: &mut M, page: Page, migrate_type: MigrateType) {
        metal.store32(self.pageblock(page), migrate_type.bits());
    }

    fn pageblock(self, page: Page) -> Gpa {
        self.pageblocks.offset(u64::from(page.get() / PAGEBLOCK_PAGES) * 4)
    }

    /// Whether there is such a page.
    #[inline]
    const fn has(self, page: Page) -> bool {
        page.get() < self.managed
    }

    /// Whether there can be such a block.
    #[inline]
    const fn has_block(self, block: Block) -> bool {
        self.has(block.page) && (block.page.get() as u64).is_multiple_of(block.order.pages())
    }

    const fn pfn(self, page: Page) -> Pfn {
        Pfn(self.first.0 + page.get() as u64)
    }

    /// The state of a page; a page that there is not is like one inside a block.
    #[inline]
    fn state<M: Metal>(self, metal: &M, page: Page) -> State {
        if self.has(page) { State::load(metal, self.pages, page) } else { State::INSIDE }
    }
}
