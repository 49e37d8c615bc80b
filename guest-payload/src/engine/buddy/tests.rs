//! The allocator, step by step: allocation and freeing here, what the reporting core does in [`isolate`]; in [`model`]
//! against a model of it, in [`damage`] with memory that lies.

use abi::addr::Order;
use abi::engine::books::violation;
use abi::engine::map::Map;
use abi::violation::Violation;

use super::layout::LARGEST;
use super::*;
use crate::metal::fake::Fake;

mod damage;
mod isolate;
mod model;
mod pcp;

const MARKS: Config = Config { marks: true, boundaries: false, keep_mark: false };
const BOUNDARIES: Config = Config { marks: true, boundaries: true, keep_mark: false };

/// A map that manages so many largest blocks.
fn map(blocks: u64) -> Map {
    let books = Map::new(blocks * LARGEST).reserved();
    let map = Map::new(books + blocks * LARGEST);
    assert_eq!(map.managed(), blocks * LARGEST, "another largest block would have needed more books");
    map
}

fn machine(map: Map) -> Fake {
    Fake::with_arena(map.reserved() + map.managed(), |_, _| {})
}

fn order(order: u64) -> Order {
    Order::new(order).unwrap()
}

/// A machine whose pages are all free: one largest block of DMA and three of DMA32.
struct Fixture<const REPORTS: bool> {
    metal: Fake,
    books: Books,
    allocator: Allocator<REPORTS>,
}

impl<const REPORTS: bool> Fixture<REPORTS> {
    fn new(config: Config) -> Self {
        let map = map(4);
        let mut metal = machine(map);
        let allocator = Allocator::new(map, config);
        allocator.initialise(&mut metal);
        Self { metal, books: Books::of(map, 0), allocator }
    }

    fn alloc(&mut self, order: Order, migrate_type: MigrateType) -> Option<Taken> {
        self.allocator.alloc(&mut self.metal, &self.books, order, migrate_type)
    }

    fn movable(&mut self, n: u64) -> Block {
        self.alloc(order(n), MigrateType::Movable).unwrap().block
    }

    fn free(&mut self, block: Block) -> Freed {
        self.allocator.free(&mut self.metal, &self.books, block)
    }

    fn zone(&mut self, zone: u64) -> Locked<'_, Fake, REPORTS> {
        self.allocator.zone(zone).lock(&mut self.metal, &self.books)
    }

    fn dma32(&mut self) -> Locked<'_, Fake, REPORTS> {
        self.zone(DMA32)
    }

    /// What is on a list, from the head on.
    fn list(&mut self, zone: u64, order: Order, migrate_type: MigrateType) -> Vec<Page> {
        let zone = self.zone(zone);
        let after = |link: &Link| Some(zone.next(*link));
        let links = std::iter::successors(after(&zone.head(order, migrate_type)), after);
        let pages: Vec<_> = links.map_while(|link| zone.page(link)).take(5000).collect();
        assert!(pages.len() < 5000, "the list has no end");
        pages
    }

    fn movables(&mut self, n: u64) -> Vec<Page> {
        self.list(DMA32, order(n), MigrateType::Movable)
    }

    fn violations(&self, what: Violation) -> u64 {
        self.metal.load(violation(self.allocator.map().vcpu(0), what))
    }

    /// The audit, which must find nothing wrong.
    fn audit(&mut self) -> Audit {
        let audit = self.allocator.audit(&mut self.metal);
        assert_eq!((audit.wrong, audit.first_wrong), (0, None), "{audit:?}");
        assert_eq!(audit.free + audit.isolated + audit.allocated, self.allocator.map().managed());
        audit
    }
}

#[test]
fn what_was_allocated_and_freed_is_whole_again() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let mut taken = Vec::new();
    loop {
        let before = taken.len();
        for (n, migrate_type) in (0..=10).zip(MigrateType::ALL.into_iter().cycle()) {
            taken.extend(fixture.alloc(order(n), migrate_type).map(|taken| taken.block));
        }
        if taken.len() == before {
            break;
        }
    }
    let audit = fixture.audit();
    for zone in 0..ZONES {
        let left = fixture.zone(zone).free_pages();
        assert_eq!(left, fixture.allocator.zone(zone).min_watermark(&fixture.metal), "down to the watermark");
    }
    assert!(audit.allocated > 3 * LARGEST, "{audit:?}");
    for block in taken {
        fixture.free(block);
    }
    assert_eq!(fixture.audit().free, fixture.allocator.map().managed());
    for zone in 0..ZONES {
        let zone = fixture.zone(zone);
        assert_eq!(zone.nr_free(Order::MAX) * LARGEST, zone.free_pages());
    }
    assert_eq!(fixture.violations(Violation::Accounts), 0);
}

#[test]
fn the_first_eighth_is_dma_and_is_allocated_from_last() {
    let allocator = Allocator::<true>::new(map(24), MARKS);
    assert_eq!(allocator.zone_of(Page::new(3 * 1024 - 1)), DMA);
    assert_eq!(allocator.zone_of(Page::new(3 * 1024)), DMA32);
    let allocator = Allocator::<true>::new(map(1), MARKS);
    assert_eq!(allocator.zone_of(Page::new(1023)), DMA, "at least one block");
    let allocator = Allocator::<true>::new(map(100), MARKS);
    assert_eq!(allocator.zone_of(Page::new(4095)), DMA, "16 MiB");
    assert_eq!(allocator.zone_of(Page::new(4096)), DMA32, "and no more");

    let mut fixture = Fixture::<true>::new(MARKS);
    let taken: Vec<_> = std::iter::from_fn(|| fixture.alloc(order(9), MigrateType::Movable)).collect();
    let zones: Vec<_> = taken.iter().map(|taken| fixture.allocator.zone_of(taken.block.page)).collect();
    // The last half block of each zone would leave less than its watermark.
    assert_eq!(zones, [DMA32, DMA32, DMA32, DMA32, DMA32, DMA]);
}

#[test]
fn an_arena_that_is_too_small_has_no_pages() {
    let map = Map::new(1024);
    let (mut metal, books) = (machine(Map::new(8192)), Books::of(map, 0));
    let allocator = Allocator::<true>::new(map, MARKS);
    allocator.initialise(&mut metal);
    assert_eq!(allocator.alloc(&mut metal, &books, order(0), MigrateType::Movable), None);
    assert_eq!(allocator.audit(&mut metal), Audit::default());
}

#[test]
fn a_block_is_split_from_its_upper_end() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let block = fixture.movable(7);
    assert_eq!(block, Block { page: Page::new(1024), order: order(7) });
    assert_eq!(fixture.movables(7), [block.page.offset(128)]);
    assert_eq!(fixture.movables(8), [block.page.offset(256)]);
    assert_eq!(fixture.movables(9), [block.page.offset(512)]);
    assert_eq!(fixture.movable(8).page, block.page.offset(256), "the smallest that fits");
}

#[test]
fn a_freed_block_says_how_it_lies() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let [a, b, c] = [fixture.movable(9), fixture.movable(9), fixture.movable(9)];
    let freed = fixture.free(c);
    assert_eq!(freed.block, Block { page: c.page, order: Order::MAX }, "merged with the rest of its block");
    assert_eq!((freed.zone, freed.migrate_type), (DMA32, MigrateType::Movable));
    assert_eq!(freed.unreported, 2);
    let freed = fixture.free(b);
    assert_eq!((freed.block, freed.unreported), (b, 1));
    fixture.dma32().mark_reported(b.page);
    let freed = fixture.free(a);
    assert_eq!((freed.block.order, freed.unreported), (Order::MAX, 3));
    assert!(!fixture.dma32().is_reported(b.page), "what merged is not reported");
    assert_eq!(fixture.dma32().nr_reported(order(9)), 0);
    fixture.audit();
}

#[test]
fn what_will_merge_soon_goes_to_the_tail() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages: Vec<_> = (0..8).map(|_| fixture.movable(0)).collect();
    assert!(pages.is_sorted());
    fixture.free(pages[0]);
    fixture.free(pages[2]);
    assert_eq!(fixture.movables(0), [pages[2].page, pages[0].page], "newest first");
    fixture.free(pages[4]);
    // Now 4 to 7 lacks only one page, and 6 is in that half.
    fixture.free(pages[5]);
    fixture.free(pages[6]);
    assert_eq!(fixture.movables(0), [pages[2].page, pages[0].page, pages[6].page]);
    fixture.audit();
}

#[test]
fn a_small_block_of_another_type_leaves_the_rest_where_it_was() {
    let mut fixture = Fixture::<true>::new(MARKS);
    // Of DMA32 all but 128 pages is allocated, and those are too small a block for a claim.
    while fixture.alloc(order(8), MigrateType::Movable).is_some() {}
    fixture.movable(7);
    let [left] = fixture.movables(7)[..] else { panic!("{:?}", fixture.movables(7)) };
    let taken = fixture.alloc(order(3), MigrateType::Unmovable).unwrap();
    assert_eq!(taken.block.page, left);
    assert_eq!(fixture.allocator.migrate_type(&fixture.metal, left), MigrateType::Movable);
    assert_eq!(fixture.movables(6), [left.offset(64)]);
    fixture.audit();
}

#[test]
fn a_large_block_of_another_type_brings_its_pageblock_along() {
    let mut fixture = Fixture::<true>::new(MARKS);
    // One page of one half of the pageblock is allocated, the other half is free.
    let page = fixture.movable(0);
    let half = fixture.movable(8);
    assert_eq!(half.page.buddy(half.order), page.page);
    while fixture.alloc(order(8), MigrateType::Movable).is_some() {}
    fixture.free(half);
    assert_eq!(fixture.movables(8), [half.page]);
    let piece = page.page.offset(64);
    fixture.dma32().mark_reported(piece);
    let taken = fixture.alloc(order(2), MigrateType::Reclaimable).unwrap();
    assert_eq!(taken.block.page, half.page, "the largest");
    assert_eq!(fixture.allocator.migrate_type(&fixture.metal, page.page), MigrateType::Reclaimable);
    for n in 0..8 {
        assert_eq!(fixture.movables(n), [], "order {n}");
    }
    let moved = fixture.list(DMA32, order(6), MigrateType::Reclaimable);
    assert!(moved.contains(&piece));
    assert!(fixture.dma32().is_reported(piece), "moved, not taken");
    fixture.audit();
    // Freed, the page goes to the list of its pageblock's type.
    assert_eq!(fixture.free(page).migrate_type, MigrateType::Reclaimable);
    fixture.audit();
}

#[test]
fn pageblocks_of_two_types_merge_into_one_type() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let [a, b] = [fixture.movable(9), fixture.movable(9)];
    fixture.free(b);
    assert_eq!(b.page, a.page.buddy(order(9)));
    let hold: Vec<_> = std::iter::from_fn(|| fixture.alloc(Order::MAX, MigrateType::Movable)).collect();
    let c = fixture.alloc(order(8), MigrateType::Unmovable).unwrap().block;
    assert_eq!(c.page, b.page);
    assert_eq!(fixture.allocator.migrate_type(&fixture.metal, c.page), MigrateType::Unmovable);
    fixture.free(c);
    let freed = fixture.free(a);
    assert_eq!((freed.block.order, freed.migrate_type), (Order::MAX, MigrateType::Movable));
    assert_eq!(fixture.allocator.migrate_type(&fixture.metal, c.page), MigrateType::Movable);
    assert!(!hold.is_empty());
    fixture.audit();
}

#[test]
fn freeing_what_is_not_allocated_is_refused_and_counted() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let block = fixture.movable(4);
    let before = fixture.dma32().free_pages();
    let wrong = [
        Block { page: block.page, order: order(3) },
        Block { page: block.page.offset(1), order: order(0) },
        Block { page: block.page.offset(16), order: order(4) },
        Block { page: Page::new(u32::MAX), order: order(0) },
    ];
    for (block, n) in wrong.into_iter().zip(1..) {
        assert_eq!(fixture.free(block).unreported, 0);
        assert_eq!(fixture.violations(Violation::Accounts), n);
    }
    assert_eq!(fixture.dma32().free_pages(), before);
    fixture.free(block);
    fixture.free(block);
    assert_eq!(fixture.violations(Violation::Accounts), 5, "twice");
    let mut zone = fixture.dma32();
    assert!(!zone.put_back(block, MigrateType::Movable, At::Tail), "not isolated");
    zone.mark_reported(block.page.offset(1));
    drop(zone);
    assert_eq!(fixture.violations(Violation::Accounts), 7);
    fixture.audit();
}

#[test]
fn only_a_timed_lock_looks_at_the_clock() {
    let mut fixture = Fixture::<true>::new(MARKS);
    assert_eq!(fixture.dma32().held(), 0);
    let (zone, before) = (fixture.allocator.zone(DMA32), fixture.metal.clock());
    assert_eq!(zone.lock_timed(&mut fixture.metal, &fixture.books).held(), 1);
    assert_eq!(fixture.metal.clock(), before + 3);
}
