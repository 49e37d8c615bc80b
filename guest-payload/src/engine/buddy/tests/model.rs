//! Random work, after every step of which the lists are what a model says: which pages are free decides which blocks
//! there are, because whatever can merge has merged.

use std::collections::{BTreeMap, BTreeSet};

use abi::addr::Gpa;
use abi::engine::map::PAGE_TRUTH;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// One step. What an index picks from may be empty; then nothing happens.
#[derive(Clone, Copy, Debug)]
enum Op {
    Alloc(Order, MigrateType),
    Free(Index),
    Isolate(Index),
    PutBack(Index, At),
    /// Isolate, put back, mark, as a report does; under one lock.
    Report(Index, At),
    Mark(Index),
    Rotate(Index),
    Cut(Order, MigrateType, u64),
    /// The boundary is forgotten.
    Reset(Order, MigrateType),
}

fn orders() -> impl Strategy<Value = Order> {
    (0_u64..=10).prop_map(order)
}

fn types() -> impl Strategy<Value = MigrateType> {
    select(&MigrateType::ALL[..])
}

/// What any walk does.
fn common() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (orders(), types()).prop_map(|(order, migrate_type)| Op::Alloc(order, migrate_type)),
        4 => any::<Index>().prop_map(Op::Free),
        1 => any::<Index>().prop_map(Op::Isolate),
    ]
}

/// What happens where no boundaries are kept.
fn marking() -> impl Strategy<Value = Op> {
    let at = select(&[At::Head, At::Tail][..]);
    prop_oneof![
        6 => common(),
        1 => (any::<Index>(), at.clone()).prop_map(|(pick, at)| Op::PutBack(pick, at)),
        1 => (any::<Index>(), at).prop_map(|(pick, at)| Op::Report(pick, at)),
        1 => any::<Index>().prop_map(Op::Mark),
        1 => any::<Index>().prop_map(Op::Rotate),
        1 => (orders(), types(), 0_u64..4).prop_map(|(order, mt, steps)| Op::Cut(order, mt, steps)),
    ]
}

/// What happens where they are: only at the boundary is anything marked.
fn bounding() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => common(),
        4 => any::<Index>().prop_map(|pick| Op::PutBack(pick, At::Tail)),
        8 => any::<Index>().prop_map(|pick| Op::Report(pick, At::Boundary)),
        1 => (orders(), types()).prop_map(|(order, mt)| Op::Reset(order, mt)),
    ]
}

/// What a list holds.
type Lists = BTreeMap<(u64, Order, MigrateType), Vec<Page>>;

/// What is where.
struct Model<const REPORTS: bool> {
    fixture: Fixture<REPORTS>,
    /// By page.
    free: Vec<bool>,
    allocated: Vec<Block>,
    isolated: Vec<Block>,
    marked: BTreeSet<Block>,
    reset: bool,
}

impl<const REPORTS: bool> Model<REPORTS> {
    fn new(config: Config) -> Self {
        let mut fixture = Fixture::new(config);
        for page in 0..fixture.allocator.managed {
            fixture.metal.store32(truth(fixture.allocator, page), page);
        }
        let free = vec![true; fixture.allocator.managed as usize];
        Self { fixture, free, allocated: vec![], isolated: vec![], marked: BTreeSet::new(), reset: false }
    }

    fn marks(&self) -> bool {
        REPORTS && self.fixture.allocator.config.marks
    }

    /// The free blocks: the largest that the free pages make.
    fn blocks(&self) -> BTreeSet<Block> {
        let (mut blocks, mut page) = (BTreeSet::new(), 0);
        while page < self.fixture.allocator.managed {
            // As long as the next as many are free too.
            let largest = page::from(order(0)).take_while(|order| {
                let (pages, known) = (1 << order.get(), 1 << order.get() >> 1);
                page % pages == 0
                    && self.free[page as usize + known..page as usize + pages as usize]
                        .iter()
                        .all(|free| *free)
            });
            let largest = largest.last();
            blocks.extend(largest.map(|order| Block { page: Page::new(page), order }));
            page += largest.map_or(1, |order| 1 << order.get());
        }
        blocks
    }

    fn pick(&self, index: Index) -> Option<Block> {
        let blocks: Vec<_> = self.blocks().into_iter().collect();
        (!blocks.is_empty()).then(|| *index.get(&blocks))
    }

    fn take_from_free(&mut self, block: Block) {
        for page in pages(block) {
            assert!(self.free[page as usize], "page {page} of {block:?} was not free");
            self.free[page as usize] = false;
        }
    }

    fn add_to_free(&mut self, block: Block) {
        for page in pages(block) {
            self.free[page as usize] = true;
        }
    }

    fn free_in(&self, zone: u64) -> u64 {
        let [first, end] = self.fixture.allocator.zone(zone).pages();
        self.free[first as usize..end as usize].iter().filter(|free| **free).count() as u64
    }

    fn lists(&mut self) -> Lists {
        let mut lists = Lists::new();
        for zone in 0..ZONES {
            for order in page::from(order(0)) {
                for migrate_type in MigrateType::ALL {
                    lists.insert((zone, order, migrate_type), self.fixture.list(zone, order, migrate_type));
                }
            }
        }
        lists
    }

    /// Which block an allocation is cut from.
    fn source(&mut self, order: Order, migrate_type: MigrateType) -> Option<Block> {
        let (lists, allocator) = (self.lists(), self.fixture.allocator);
        [DMA32, DMA].into_iter().find_map(|zone| {
            let mark = allocator.zone(zone).min_watermark(&self.fixture.metal);
            if self.free_in(zone) < mark + order.pages() {
                return None;
            }
            let first = |order, migrate_type| {
                let page = *lists[&(zone, order, migrate_type)].first()?;
                Some(Block { page, order })
            };
            let own = page::from(order).find_map(|order| first(order, migrate_type));
            own.or_else(|| {
                page::from(order).rev().find_map(|order| {
                    migrate_type.fallbacks().into_iter().find_map(|other| first(order, other))
                })
            })
        })
    }

    fn zone_of(&mut self, block: Block) -> Locked<'_, Fake, REPORTS> {
        let zone = self.fixture.allocator.zone_of(block.page);
        self.fixture.zone(zone)
    }

    fn type_of(&self, block: Block) -> MigrateType {
        self.fixture.allocator.migrate_type(&self.fixture.metal, block.page)
    }

    fn isolate(&mut self, block: Block) -> bool {
        let zone = self.fixture.allocator.zone(self.fixture.allocator.zone_of(block.page));
        let allowed = zone.free_pages(&self.fixture.metal)
            > zone.min_watermark(&self.fixture.metal) + block.order.pages();
        assert_eq!(self.zone_of(block).isolate(block.page, block.order), allowed);
        if allowed {
            self.take_from_free(block);
        }
        allowed
    }

    fn put_back(&mut self, block: Block, at: At) -> bool {
        let migrate_type = self.type_of(block);
        let same = self.zone_of(block).put_back(block, migrate_type, at);
        self.add_to_free(block);
        assert_eq!(same, self.blocks().contains(&block));
        same
    }

    fn mark(&mut self, block: Block) {
        self.zone_of(block).mark_reported(block.page);
        if self.marks() {
            self.marked.insert(block);
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Alloc(order, migrate_type) => {
                let source = self.source(order, migrate_type);
                let taken = self.fixture.alloc(order, migrate_type);
                assert_eq!(taken.map(|taken| taken.block.page), source.map(|source| source.page));
                if let (Some(taken), Some(source)) = (taken, source) {
                    assert_eq!(taken.block.order, order);
                    assert_eq!(taken.was_reported, self.marked.contains(&source));
                    self.take_from_free(taken.block);
                    self.allocated.push(taken.block);
                }
            }
            Op::Free(pick) if !self.allocated.is_empty() => {
                let block = self.allocated.swap_remove(pick.index(self.allocated.len()));
                let migrate_type = self.type_of(block);
                let freed = self.fixture.free(block);
                self.add_to_free(block);
                let blocks = self.blocks();
                assert!(blocks.contains(&freed.block) && pages(freed.block).contains(&block.page.get()));
                assert_eq!(
                    (freed.zone, freed.migrate_type),
                    (self.fixture.allocator.zone_of(block.page), migrate_type)
                );
                let alike = |block: &&Block| {
                    block.order == freed.block.order
                        && self.fixture.allocator.zone_of(block.page) == freed.zone
                };
                let unmarked = blocks.difference(&self.marked).filter(alike).count();
                assert_eq!(freed.unreported, unmarked as u64);
            }
            Op::Isolate(pick) => {
                if let Some(block) = self.pick(pick).filter(|block| self.isolate(*block)) {
                    self.isolated.push(block);
                }
            }
            Op::PutBack(pick, at) if !self.isolated.is_empty() => {
                let block = self.isolated.swap_remove(pick.index(self.isolated.len()));
                self.put_back(block, at);
            }
            Op::Report(pick, at) => {
                let Some(block) = self.pick(pick) else { return };
                if self.isolate(block) && self.put_back(block, at) {
                    // Isolating ended an older mark.
                    self.mark(block);
                }
            }
            Op::Mark(pick) => {
                if let Some(block) = self.pick(pick) {
                    self.mark(block);
                }
            }
            Op::Rotate(pick) => {
                let Some(block) = self.pick(pick) else { return };
                let (zone, migrate_type) = (self.fixture.allocator.zone_of(block.page), self.type_of(block));
                let mut list = self.fixture.list(zone, block.order, migrate_type);
                let at = list.iter().position(|page| *page == block.page).unwrap();
                self.zone_of(block).rotate_to_front(block.order, migrate_type, block.page);
                list.rotate_left(at);
                assert_eq!(self.fixture.list(zone, block.order, migrate_type), list);
            }
            Op::Cut(order, migrate_type, steps) => {
                let mut list = self.fixture.list(DMA32, order, migrate_type);
                let moved = self.fixture.dma32().cut(order, migrate_type, steps);
                let at = usize::try_from(moved).unwrap();
                assert!(moved == steps || moved == 0 && list.len() as u64 <= steps);
                list.rotate_left(at);
                assert_eq!(self.fixture.list(DMA32, order, migrate_type), list);
            }
            Op::Reset(order, migrate_type) => {
                self.reset = true;
                let mut zone = self.fixture.dma32();
                let head = zone.head(order, migrate_type);
                zone.set_boundary(order, migrate_type, head);
            }
            Op::Free(_) | Op::PutBack(..) => {}
        }
    }

    fn check(&mut self) {
        let blocks = self.blocks();
        self.marked.retain(|block| blocks.contains(block));
        let lists = self.lists();
        let mut listed = BTreeSet::new();
        for ((zone, order, migrate_type), pages) in &lists {
            for page in pages {
                let block = Block { page: *page, order: *order };
                assert!(listed.insert(block), "{block:?} is on two lists");
                assert_eq!(self.fixture.allocator.zone_of(*page), *zone);
                for page in self::pages(block).map(Page::new) {
                    assert_eq!(self.fixture.allocator.migrate_type(&self.fixture.metal, page), *migrate_type);
                }
                assert_eq!(self.zone_of(block).buddy_order(*page), Some(*order));
                let marked = self.zone_of(block).is_reported(*page);
                assert_eq!(marked, self.marked.contains(&block));
            }
            self.check_boundary(*zone, *order, *migrate_type, pages);
        }
        assert_eq!(listed, blocks);
        for zone in 0..ZONES {
            let [first, end] = self.fixture.allocator.zone(zone).pages();
            let of = |block: &&Block| (first..end).contains(&block.page.get());
            let count = |blocks: &BTreeSet<Block>, order| {
                blocks.iter().filter(of).filter(|block| block.order == order).count() as u64
            };
            let free = self.free_in(zone);
            let marked = &self.marked;
            let zone = self.fixture.zone(zone);
            assert_eq!(zone.free_pages(), free);
            for order in page::from(order(0)) {
                assert_eq!(zone.nr_free(order), count(&blocks, order));
                assert_eq!(zone.nr_reported(order), count(marked, order));
            }
        }
    }

    /// From the boundary on all are reported; and none before it, unless it was forgotten.
    fn check_boundary(&mut self, zone: u64, order: Order, migrate_type: MigrateType, pages: &[Page]) {
        if !REPORTS || !self.fixture.allocator.config.boundaries {
            return;
        }
        let locked = self.fixture.zone(zone);
        let boundary = locked.page(locked.boundary(order, migrate_type));
        let at = boundary.map_or(pages.len(), |boundary| {
            pages.iter().position(|page| *page == boundary).expect("the boundary is on its list")
        });
        let marked = |page: &Page| self.marked.contains(&Block { page: *page, order });
        assert!(pages[at..].iter().all(marked));
        assert!(self.reset || !pages[..at].iter().any(marked));
    }

    fn run(mut self, ops: &[Op]) {
        for op in ops {
            self.step(*op);
            self.check();
        }
        let audit = self.fixture.audit();
        assert_eq!(audit.free, self.free.iter().filter(|free| **free).count() as u64);
        assert_eq!(audit.isolated, self.isolated.iter().map(|block| block.order.pages()).sum::<u64>());
        for what in Violation::ALL {
            assert_eq!(self.fixture.violations(what), 0, "{}", what.name());
        }
        for page in 0..self.fixture.allocator.managed {
            assert_eq!(self.fixture.metal.load32(truth(self.fixture.allocator, page)), page, "not ours");
        }
    }
}

fn pages(block: Block) -> std::ops::Range<u32> {
    block.page.get()..block.page.get() + (1 << block.order.get())
}

fn truth<const REPORTS: bool>(allocator: Allocator<REPORTS>, page: u32) -> Gpa {
    allocator.map().page(u64::from(page)).offset(PAGE_TRUTH)
}

proptest! {
    #[test]
    fn with_marks(ops in vec(marking(), 1..120)) {
        Model::<true>::new(MARKS).run(&ops);
    }

    #[test]
    fn with_boundaries(ops in vec(bounding(), 1..120)) {
        Model::<true>::new(BOUNDARIES).run(&ops);
    }

    #[test]
    fn switched_off(ops in vec(marking(), 1..120)) {
        Model::<true>::new(Config::default()).run(&ops);
    }

    #[test]
    fn left_out(ops in vec(marking(), 1..120)) {
        Model::<false>::new(BOUNDARIES).run(&ops);
    }
}
