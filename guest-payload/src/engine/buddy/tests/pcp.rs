//! The processors' lists: against a model that knows who has what, and with pages where they must not be.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const PROCESSORS: u32 = 2;

fn lists(fixture: &Fixture<true>, vcpu: u32) -> PageLists<true> {
    PageLists::new(fixture.allocator, vcpu, PROCESSORS.into())
}

fn listed(fixture: &Fixture<true>) -> u64 {
    let of = |vcpu| [DMA, DMA32].map(|zone| lists(fixture, vcpu).count(&fixture.metal, zone));
    (0..PROCESSORS).flat_map(of).sum()
}

fn alloc(fixture: &mut Fixture<true>, vcpu: u32, order: Order, migrate_type: MigrateType) -> Option<Taken> {
    let lists = lists(fixture, vcpu);
    lists.alloc(&mut fixture.metal, &fixture.books, order, migrate_type, |_, _| {}).0
}

fn free(fixture: &mut Fixture<true>, vcpu: u32, block: Block) {
    lists(fixture, vcpu).free(&mut fixture.metal, &fixture.books, block, |_, _| {});
}

fn drain(fixture: &mut Fixture<true>) {
    for vcpu in 0..PROCESSORS {
        lists(fixture, vcpu).drain(&mut fixture.metal, &fixture.books, |_, _| {});
    }
}

#[test]
fn a_hot_huge_page_comes_back_without_the_zone() {
    // In a zone of a few MiB lists are too short for a huge page.
    let map = map(24);
    let mut metal = machine(map);
    let allocator = Allocator::new(map, MARKS);
    allocator.initialise(&mut metal);
    let mut fixture = Fixture::<true> { metal, books: Books::of(map, 0), allocator };
    let first = alloc(&mut fixture, 0, Order::HUGE, MigrateType::Movable).unwrap().block;
    // The other one that came with it goes; the limit grows with what was freed.
    free(&mut fixture, 0, first);
    for _ in 0..10 {
        let free_pages = fixture.dma32().free_pages();
        let (lists, books) = (lists(&fixture, 0), fixture.books);
        let (again, held) =
            lists.alloc(&mut fixture.metal, &books, Order::HUGE, MigrateType::Movable, |_, _| {});
        assert_eq!((again.unwrap().block, held), (first, 0));
        free(&mut fixture, 0, first);
        assert_eq!(fixture.dma32().free_pages(), free_pages, "it is on no free list");
    }
    fixture.audit();
}

#[test]
fn a_list_that_is_full_gives_its_oldest_back_and_says_so() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let blocks: Vec<Block> = (0..400).map(|_| fixture.movable(0)).collect();
    let (lists, mut heard) = (lists(&fixture, 0), 0);
    for block in &blocks {
        lists.free(&mut fixture.metal, &fixture.books, *block, |_, _| heard += 1);
    }
    assert!(heard > 0 && heard < 400);
    assert_eq!(fixture.audit().listed + heard, 400);
    let newest = alloc(&mut fixture, 0, order(0), MigrateType::Movable).unwrap().block;
    assert_eq!(newest, blocks[399]);
}

#[test]
fn a_mark_is_told_to_whoever_is_given_the_block_and_to_nobody_else() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let page = fixture.movables(10)[0];
    fixture.dma32().mark_reported(page);
    let taken = alloc(&mut fixture, 0, order(9), MigrateType::Movable).unwrap();
    assert!(taken.was_reported);
    free(&mut fixture, 0, taken.block);
    let again = alloc(&mut fixture, 0, order(9), MigrateType::Movable).unwrap();
    assert_eq!((again.block, again.was_reported), (taken.block, false));
    free(&mut fixture, 0, again.block);
    drain(&mut fixture);
    assert_eq!(fixture.audit().free, fixture.allocator.map().managed());
}

#[test]
fn a_page_both_on_a_list_and_free_is_found() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let block = fixture.movable(0);
    free(&mut fixture, 0, block);
    fixture.audit();
    // Freed a second time, past the list that has it.
    fixture.free(block);
    assert_ne!(fixture.allocator.audit(&mut fixture.metal).wrong, 0);
}

#[test]
fn a_page_on_two_lists_is_found() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let [first, second] = [0; 2].map(|n| fixture.movable(n));
    free(&mut fixture, 0, first);
    free(&mut fixture, 1, second);
    fixture.audit();
    free(&mut fixture, 1, first);
    assert_ne!(fixture.allocator.audit(&mut fixture.metal).wrong, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_is_given_what_another_has_and_nothing_goes_missing(
        steps in vec((0..8_u8, 0..PROCESSORS, select(&[0_u64, 0, 1, 3, 4, 9, 10][..]), any::<Index>()), 1..300),
    ) {
        let mut fixture = Fixture::<true>::new(MARKS);
        let managed = fixture.allocator.map().managed();
        let (mut taken, mut pages) = (Vec::new(), BTreeSet::new());
        for (what, vcpu, n, pick) in steps {
            if what < 4 {
                let migrate_type = MigrateType::ALL[pick.index(3)];
                let Some(got) = alloc(&mut fixture, vcpu, order(n), migrate_type) else { continue };
                prop_assert_eq!(got.block.order, order(n));
                for page in got.block.page.get()..got.block.page.get() + (1 << n) {
                    prop_assert!(pages.insert(page), "page {} was handed out twice", page);
                }
                taken.push(got.block);
            } else if what == 7 {
                lists(&fixture, vcpu).decay(&mut fixture.metal, &fixture.books, |_, _| {});
            } else if !taken.is_empty() {
                let block: Block = taken.swap_remove(pick.index(taken.len()));
                pages.retain(|page| !(block.page.get()..block.page.get() + (1 << block.order.get())).contains(page));
                free(&mut fixture, vcpu, block);
            }
            let audit = fixture.audit();
            prop_assert_eq!(audit.listed, listed(&fixture));
            prop_assert_eq!(audit.allocated - audit.listed, pages.len() as u64);
        }
        for block in taken {
            free(&mut fixture, 0, block);
        }
        drain(&mut fixture);
        let audit = fixture.audit();
        prop_assert_eq!((audit.free, audit.listed), (managed, 0));
        for what in Violation::ALL {
            prop_assert_eq!(fixture.violations(what), 0);
        }
    }
}
