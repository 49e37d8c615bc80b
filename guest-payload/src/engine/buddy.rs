//! The buddy allocator: `mm/page_alloc.c` of Linux 6.12, as far as free page reporting can see it.
//!
//! ```text
//!   page        a managed page: its number, its links, its state
//!   migrate     migrate types and what they fall back to
//!   link        a place in a free list
//!   layout      where a zone keeps its lists and counts
//!   allocator   what the allocator knows: its pages, their zones, their states
//!   zone        a zone and its lock
//!   list        the free lists
//!   take        allocation: smallest that fits, split, fall back
//!   give        freeing: merge with the buddies, choose head or tail
//!   isolate     what the reporting core does: isolate, put back, mark
//!   pcp         the lists of free pages that each processor has in front of all that
//!   timed       the same verbs for callers who want to know more
//!   audit       do lists, counts and pages agree
//! ```
//!
//! Left out: atomic reserves, compaction on demand, reclaim. A managed page that is free heads a
//! block or lies inside one; only the first page of a block, free or not, has a state, so that no other page can be
//! taken for one.

use abi::addr::Order;
use abi::engine::map::ZONES;

use crate::engine::books::Books;
use crate::metal::Metal;

mod allocator;
mod audit;
mod give;
mod isolate;
mod layout;
mod link;
mod list;
mod migrate;
mod page;
mod pcp;
mod take;
#[cfg(test)]
mod tests;
mod timed;
mod zone;

pub use allocator::{Allocator, Config};
pub use audit::Audit;
pub use give::Freed;
pub use isolate::At;
pub use link::Link;
pub use migrate::MigrateType;
pub use page::{Block, Page};
pub use pcp::PageLists;
pub use take::Taken;
pub use zone::{Locked, Zone};

use allocator::{DMA, DMA32, PAGEBLOCK_PAGES};

impl<const REPORTS: bool> Allocator<REPORTS> {
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
}
