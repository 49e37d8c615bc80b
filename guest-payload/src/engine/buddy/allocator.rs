//! What the allocator knows: its pages, the zones they lie in, their migrate types and states.

use abi::addr::{Gpa, PageRange, Pfn};
use abi::engine::map::{Map, PAGEBLOCK, ZONES, dma_pages};

use super::migrate::MigrateType;
use super::page::{Block, Page, State};
use crate::metal::Metal;

/// Number of the zone that is allocated from last: see [`dma_pages`].
pub(super) const DMA: u64 = 0;
/// Number of the zone that has the rest.
pub(super) const DMA32: u64 = 1;
const _: () = assert!(DMA32 + 1 == ZONES);
/// Pages of a pageblock.
pub(super) const PAGEBLOCK_PAGES: u32 = 1 << PAGEBLOCK.get();

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
    pub(super) config: Config,
    pub(super) map: Map,
    /// [`Map::page`] of page 0: kept, because every step needs it.
    pub(super) pages: Gpa,
    pageblocks: Gpa,
    pub(super) first: Pfn,
    pub(super) managed: u32,
    /// First page of zone DMA32.
    pub(super) dma32: u32,
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

    pub(super) fn set_migrate_type<M: Metal>(self, metal: &mut M, page: Page, migrate_type: MigrateType) {
        metal.store32(self.pageblock(page), migrate_type.bits());
    }

    fn pageblock(self, page: Page) -> Gpa {
        self.pageblocks.offset(u64::from(page.get() / PAGEBLOCK_PAGES) * 4)
    }

    /// Whether there is such a page.
    #[inline]
    pub(super) const fn has(self, page: Page) -> bool {
        page.get() < self.managed
    }

    /// Whether there can be such a block.
    #[inline]
    pub(super) const fn has_block(self, block: Block) -> bool {
        self.has(block.page) && (block.page.get() as u64).is_multiple_of(block.order.pages())
    }

    pub(super) const fn pfn(self, page: Page) -> Pfn {
        Pfn(self.first.0 + page.get() as u64)
    }

    /// The state of a page; a page that there is not is like one inside a block.
    #[inline]
    pub(super) fn state<M: Metal>(self, metal: &M, page: Page) -> State {
        if self.has(page) { State::load(metal, self.pages, page) } else { State::INSIDE }
    }
}
