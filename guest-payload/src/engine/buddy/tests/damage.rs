//! Memory that does not hold what was written to it.

use abi::addr::Gpa;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::engine::buddy::page::State;

/// A fixture in the middle of its work: blocks of all kinds, some reported, one isolated.
fn busy() -> (Fixture<true>, Vec<Block>) {
    let mut fixture = Fixture::<true>::new(BOUNDARIES);
    let mut taken = Vec::new();
    for (n, migrate_type) in (0..=8).zip(MigrateType::ALL.into_iter().cycle()) {
        taken.extend(fixture.alloc(order(n), migrate_type).map(|taken| taken.block));
    }
    let mut out = None;
    for n in 0..=10 {
        let Some(page) = fixture.movables(n).first().copied() else { continue };
        let (mut zone, block) = (fixture.dma32(), Block { page, order: order(n) });
        if zone.isolate(page, block.order) {
            zone.put_back(block, MigrateType::Movable, At::Boundary);
            zone.mark_reported(page);
            out = out.or(Some(block));
        }
    }
    let out = out.unwrap();
    assert!(fixture.dma32().isolate(out.page, out.order));
    fixture.audit();
    (fixture, taken)
}

/// Where the words are that say something, each with the bits of it that do.
fn words(fixture: &mut Fixture<true>) -> Vec<(Gpa, u32)> {
    let allocator = fixture.allocator;
    let mut words = Vec::new();
    for zone in 0..ZONES {
        let layout = layout::Layout(allocator.map().zone(zone));
        words.push((layout.free_pages(), u32::MAX));
        for order in page::from(order(0)) {
            words.push((layout.nr_free(order), u32::MAX));
            words.push((layout.nr_reported(order), u32::MAX));
            for migrate_type in MigrateType::ALL {
                let head = layout::head(order, migrate_type);
                let head = layout.0.offset(u64::from(head.number() & !(1 << 31)));
                words.extend([(head, u32::MAX), (head.offset(4), u32::MAX)]);
                let pages = fixture.list(zone, order, migrate_type);
                let places = pages.iter().map(|page| page.bytes(allocator.pages));
                // The state of a free block: all of it.
                words.extend(
                    places.flat_map(|at| [(at, u32::MAX), (at.offset(4), u32::MAX), (at.offset(8), 0x1ff)]),
                );
            }
        }
    }
    // Inside a block no page has an order or a kind.
    let inside = (0..allocator.managed)
        .map(Page::new)
        .filter(|page| allocator.state(&fixture.metal, *page) == State::INSIDE);
    words.extend(inside.map(|page| (page.bytes(allocator.pages).offset(8), 0xcf)));
    words
}

/// What a random step does; errors are expected, an end is required.
fn stumble(fixture: &mut Fixture<true>, taken: &mut Vec<Block>, pick: Index, n: u64) {
    let (page, n) = (Page::new(u32::try_from(pick.index(5000)).unwrap()), n % 11);
    let (block, mt) = (Block { page, order: order(n) }, MigrateType::ALL[pick.index(3)]);
    match pick.index(8) {
        0..3 => taken.extend(fixture.alloc(order(n), mt).map(|taken| taken.block)),
        3 => {
            let block = if taken.is_empty() { block } else { taken.swap_remove(pick.index(taken.len())) };
            fixture.free(block);
        }
        4 => {
            if let Some(page) = fixture.movables(n).first() {
                fixture.dma32().isolate(*page, order(n));
            }
        }
        5 => {
            fixture.dma32().put_back(block, mt, At::Boundary);
        }
        6 => {
            fixture.dma32().cut(order(n), mt, 7);
        }
        _ => fixture.dma32().mark_reported(page),
    }
}

/// Any word; more often a page's number or a head's, of which some exist.
fn lie() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0_u32..5000, (128_u32..900).prop_map(|at| 1 << 31 | at)]
}

proptest! {
    #[test]
    fn the_audit_finds_it(pick: Index, value: u32) {
        let (mut fixture, _) = busy();
        let words = words(&mut fixture);
        let (at, bits) = *pick.get(&words);
        let before = fixture.metal.load32(at);
        prop_assume!((before ^ value) & bits != 0);
        fixture.metal.store32(at, value);
        prop_assert_ne!(fixture.allocator.audit(&mut fixture.metal).wrong, 0);
        fixture.metal.store32(at, before);
        fixture.audit();
    }

    #[test]
    fn nothing_hangs_and_nothing_panics(
        lies in vec((any::<Index>(), lie()), 1..8),
        steps in vec((any::<Index>(), any::<u64>()), 1..60),
    ) {
        let (mut fixture, mut taken) = busy();
        let words = words(&mut fixture);
        for (pick, value) in lies {
            fixture.metal.store32(pick.get(&words).0, value);
        }
        for (pick, n) in steps {
            stumble(&mut fixture, &mut taken, pick, n);
        }
        fixture.allocator.audit(&mut fixture.metal);
    }
}

#[test]
fn a_list_whose_links_disagree_is_left_alone() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages = fixture.movables(10);
    let prev = pages[0].bytes(fixture.allocator.pages).offset(page::PREV);
    let before = fixture.metal.load32(prev);
    fixture.metal.store32(prev, pages[2].get());
    assert_eq!(fixture.alloc(Order::MAX, MigrateType::Movable), None);
    assert_eq!(fixture.violations(Violation::Accounts), 1);
    assert!(!fixture.dma32().isolate(pages[0], Order::MAX));
    assert_eq!(fixture.movables(10), pages);
    fixture.metal.store32(prev, before);
    fixture.audit();
}

#[test]
fn what_is_in_use_is_not_handed_out() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages = fixture.movables(10);
    State::allocated(Order::MAX).store(&mut fixture.metal, fixture.allocator.pages, pages[0]);
    assert_eq!(
        fixture.alloc(order(0), MigrateType::Movable).map(|taken| taken.block.page.get() / 1024),
        Some(0)
    );
    assert_eq!(fixture.violations(Violation::HandedOutTwice), 1);
    let first_wrong = fixture.metal.load(abi::engine::books::first_wrong(fixture.allocator.map().vcpu(0)));
    assert_eq!(first_wrong, fixture.allocator.frames(Block { page: pages[0], order: Order::MAX }).start().0);
}

#[test]
fn a_list_without_an_end_is_walked_no_longer_than_any() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages = fixture.movables(10);
    let next = pages[1].bytes(fixture.allocator.pages).offset(page::NEXT);
    fixture.metal.store32(next, pages[0].get());
    fixture.dma32().cut(Order::MAX, MigrateType::Movable, u64::MAX);
    assert_ne!(fixture.allocator.audit(&mut fixture.metal).wrong, 0);
}
