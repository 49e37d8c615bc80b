//! Where the engine keeps its books, and which pages it manages.
//!
//! Everything is in the arena, as Linux carves its memory map out of the memory it maps:
//!
//! ```text
//!   ARENA            shared words        [books::shared]
//!   + 0x1000         zones, a page each  [zone]
//!   + 0x4000         passes              [pass_at]
//!   + 0x10000        books of vCPU 0, 1, …: counters, tallies, slots of the churn, array of freed blocks
//!   …                pageblocks, a word each: the migrate type
//!   …                pages, [PAGE_BYTES] each: links, state, truth
//!   next 4 MiB       the pages that are managed, up to the end of the arena
//! ```

use super::books::{COUNTERS_BYTES, PASS_WORDS, PASSES, TALLIES, TALLY_BYTES};
use crate::addr::{Gpa, Order, PAGE_SIZE, PageRange, Pfn, pages_for};
use crate::layout::{ARENA, ARENA_START, VCPUS_MAX};

/// Zones: DMA, and DMA32 with the rest: what a guest below 4 GiB has.
pub const ZONES: u64 = 2;
/// Pages of a pageblock, the grain of migrate types (Linux: `pageblock_nr_pages`).
pub const PAGEBLOCK: Order = Order::HUGE;
/// Bytes kept for each page.
pub const PAGE_BYTES: u64 = 16;
/// Offset in these of the 32 bits of [`super::Truth`], by its number; the rest is the guest's own.
pub const PAGE_TRUTH: u64 = 12;
/// Most blocks a churning processor has allocated at once.
pub const SLOTS: u64 = 4096;
/// Most blocks the array of a processor's freed blocks holds.
pub const FREED: u64 = super::CAPACITY_MAX as u64;

/// Bytes kept for the lists of free pages that a processor has of a zone.
pub const PCP_BYTES: u64 = 256;

/// Offset in a zone of the 64 bits that count its free pages; the rest is the guest's own.
pub const ZONE_FREE: u64 = 8;

/// Pages of zone DMA among so many managed ones: the first 16 MiB, of a small guest an eighth, and at least one largest
/// block. Zone DMA32 has the rest.
#[must_use]
pub const fn dma_pages(managed: u64) -> u64 {
    const MOST: u64 = (16 << 20) / PAGE_SIZE;
    let largest = Order::MAX.pages();
    let eighth = managed / 8 / largest * largest;
    match eighth {
        0 if managed >= largest => largest,
        _ if eighth < MOST => eighth,
        _ => MOST,
    }
}

const ZONES_AT: Gpa = ARENA.offset(0x1000);
const PASSES_AT: Gpa = ARENA.offset(0x4000);
const VCPUS_AT: Gpa = ARENA.offset(0x1_0000);
const SLOTS_OFFSET: u64 = COUNTERS_BYTES + TALLIES as u64 * TALLY_BYTES;
const FREED_OFFSET: u64 = SLOTS_OFFSET + SLOTS * 4;
const PCP_OFFSET: u64 = FREED_OFFSET + (FREED + 1) * 8;
const VCPU_BYTES: u64 = (PCP_OFFSET + ZONES * PCP_BYTES).next_multiple_of(PAGE_SIZE);
const _: () = assert!(0x1000 + ZONES * PAGE_SIZE <= 0x4000);
const _: () = assert!(PASSES_AT.0 + PASSES * PASS_WORDS as u64 * 8 <= VCPUS_AT.0);

/// Where the record of pass number `pass`, below [`PASSES`], is.
#[must_use]
pub const fn pass_at(pass: u64) -> Gpa {
    PASSES_AT.offset(pass * PASS_WORDS as u64 * 8)
}

/// The map of an engine's arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Map {
    arena_pages: u64,
}

impl Map {
    /// The map of an arena of so many pages.
    #[must_use]
    pub const fn new(arena_pages: u64) -> Self {
        Self { arena_pages }
    }

    /// Zone 0 or 1.
    #[must_use]
    pub const fn zone(self, zone: u64) -> Gpa {
        ZONES_AT.offset(zone * PAGE_SIZE)
    }

    /// The books of a virtual processor: its counters come first.
    #[must_use]
    pub const fn vcpu(self, vcpu: u32) -> Gpa {
        VCPUS_AT.offset(vcpu as u64 * VCPU_BYTES)
    }

    /// The slots of a churning processor: [`SLOTS`] words of 32 bits.
    #[must_use]
    pub const fn slots(self, vcpu: u32) -> Gpa {
        self.vcpu(vcpu).offset(SLOTS_OFFSET)
    }

    /// The array of a processor's freed blocks: a count, then up to [`FREED`] words.
    #[must_use]
    pub const fn freed(self, vcpu: u32) -> Gpa {
        self.vcpu(vcpu).offset(FREED_OFFSET)
    }

    /// The lists of free pages that a processor has of a zone: [`PCP_BYTES`].
    #[must_use]
    pub const fn pcp(self, vcpu: u32, zone: u64) -> Gpa {
        self.vcpu(vcpu).offset(PCP_OFFSET + zone * PCP_BYTES)
    }

    /// The 32-bit word of the pageblock that managed page `index` lies in.
    #[must_use]
    pub const fn pageblock(self, index: u64) -> Gpa {
        self.pageblocks().offset(index / PAGEBLOCK.pages() * 4)
    }

    const fn pageblocks(self) -> Gpa {
        self.vcpu(VCPUS_MAX)
    }

    /// What is kept for managed page `index`.
    #[must_use]
    pub const fn page(self, index: u64) -> Gpa {
        let pageblocks = (self.arena_pages / PAGEBLOCK.pages() * 4).next_multiple_of(PAGE_SIZE);
        self.pageblocks().offset(pageblocks + index * PAGE_BYTES)
    }

    /// Pages of the arena that the books take.
    #[must_use]
    pub const fn reserved(self) -> u64 {
        let books = self.page(self.arena_pages).0 - ARENA.0;
        pages_for(books).next_multiple_of(Order::MAX.pages())
    }

    /// The first page that is managed; the boundary of a largest block.
    #[must_use]
    pub const fn first(self) -> Pfn {
        Pfn(ARENA_START.0 + self.reserved())
    }

    /// How many are: 0 if the arena is too small for its books. A multiple of the largest block.
    #[must_use]
    pub const fn managed(self) -> u64 {
        self.arena_pages.saturating_sub(self.reserved()) / Order::MAX.pages() * Order::MAX.pages()
    }

    /// The block of `order` at managed page `index`.
    #[must_use]
    pub const fn block(self, index: u64, order: Order) -> PageRange {
        PageRange::block(Pfn(self.first().0 + index), order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::Axis;
    use crate::engine::books::{Tally, tally};

    #[test]
    fn zone_dma_is_16_mib_or_an_eighth() {
        let pages = [0, 1, 8, 24, 32, 100, 500].map(|blocks| dma_pages(blocks * 1024) / 1024);
        assert_eq!(pages, [0, 1, 1, 3, 4, 4, 4]);
    }

    #[test]
    fn nothing_overlaps() {
        for arena_pages in [1 << 12, 1 << 16, 1 << 19] {
            let map = Map::new(arena_pages);
            let edges = [
                map.zone(0),
                map.zone(1),
                map.zone(2),
                PASSES_AT,
                map.vcpu(0),
                tally(map.vcpu(0), Tally::ALL[0]),
                map.slots(0),
                map.freed(0),
                map.pcp(0, 0),
                map.pcp(0, 1),
                map.vcpu(1),
                map.vcpu(VCPUS_MAX),
                map.pageblock(0),
                map.pageblock(arena_pages - 1),
                map.page(0),
                map.page(arena_pages),
                map.first().gpa().offset(1),
            ];
            assert!(edges.is_sorted(), "{edges:?}");
            assert!(map.first().0.is_multiple_of(Order::MAX.pages()));
            assert_eq!(map.first().0 + map.managed(), (ARENA_START.0 + arena_pages).max(map.first().0));
        }
    }
}
