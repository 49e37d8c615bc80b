//! What the reporting core does to free blocks: isolate, put back, mark, and the boundary.

use super::*;

#[test]
fn isolated_is_neither_free_nor_allocated() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let page = fixture.movables(10)[0];
    let block = Block { page, order: Order::MAX };
    let mut zone = fixture.dma32();
    let before = zone.free_pages();
    assert!(!zone.isolate(page, order(9)), "no block of that order");
    assert!(zone.isolate(page, Order::MAX));
    assert!(zone.is_isolated(page) && zone.buddy_order(page).is_none());
    assert!(!zone.isolate(page, Order::MAX), "only once");
    assert_eq!((zone.free_pages(), zone.nr_free(Order::MAX)), (before - LARGEST, 2));
    drop(zone);
    assert_eq!(fixture.audit().isolated, LARGEST);
    let mut zone = fixture.dma32();
    assert!(zone.put_back(block, MigrateType::Movable, At::Tail));
    zone.mark_reported(page);
    assert_eq!((zone.free_pages(), zone.nr_reported(Order::MAX)), (before, 1));
    drop(zone);
    assert_eq!(fixture.movables(10).last(), Some(&page));
    fixture.audit();
}

#[test]
fn isolating_obeys_the_min_watermark() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages = fixture.movables(10);
    let mut zone = fixture.dma32();
    assert!(zone.isolate(pages[0], Order::MAX) && zone.isolate(pages[1], Order::MAX));
    assert!(!zone.isolate(pages[2], Order::MAX));
    let blocks = [pages[0], pages[1]].map(|page| Block { page, order: Order::MAX });
    assert!(blocks.map(|block| zone.put_back(block, MigrateType::Movable, At::Head)) == [true; 2]);
    drop(zone);
    assert_eq!(fixture.movables(10), [pages[1], pages[0], pages[2]]);
}

#[test]
fn a_block_that_merges_when_put_back_is_not_this_block_any_more() {
    let mut fixture = Fixture::<true>::new(BOUNDARIES);
    let (a, b) = (fixture.movable(9), fixture.movables(9)[0]);
    let mut zone = fixture.dma32();
    assert!(zone.isolate(b, order(9)));
    drop(zone);
    assert_eq!(fixture.free(a).block, a, "its buddy is out");
    let mut zone = fixture.dma32();
    assert!(!zone.put_back(Block { page: b, order: order(9) }, MigrateType::Movable, At::Boundary));
    let (order, movable) = (Order::MAX, MigrateType::Movable);
    assert_eq!(zone.boundary(order, movable), zone.head(order, movable), "it will not be marked");
    drop(zone);
    fixture.audit();
}

#[test]
fn the_boundary_gives_way() {
    let mut fixture = Fixture::<true>::new(BOUNDARIES);
    let pages = fixture.movables(10);
    let movable = MigrateType::Movable;
    let mut zone = fixture.dma32();
    for page in [pages[2], pages[1]] {
        assert!(zone.isolate(page, Order::MAX));
        zone.put_back(Block { page, order: Order::MAX }, movable, At::Boundary);
        zone.mark_reported(page);
        assert_eq!(zone.boundary(Order::MAX, movable), zone.link(page));
    }
    drop(zone);
    assert_eq!(fixture.movables(10), pages);
    let first = fixture.movable(10);
    assert_eq!(first.page, pages[0]);
    let second = fixture.alloc(Order::MAX, movable).unwrap();
    assert!(second.was_reported && second.block.page == pages[1]);
    let zone = fixture.dma32();
    assert_eq!(zone.boundary(Order::MAX, movable), zone.link(pages[2]), "one on");
    drop(zone);
    fixture.free(second.block);
    fixture.free(first);
    assert_eq!(fixture.movables(10), pages, "in front of the boundary");
    fixture.dma32().set_boundary(Order::MAX, movable, Link::LOST);
    assert_ne!(fixture.allocator.audit(&mut fixture.metal).wrong, 0);
}

#[test]
fn compaction_moves_the_front_behind_the_back() {
    let mut fixture = Fixture::<true>::new(MARKS);
    let pages = fixture.movables(10);
    let movable = MigrateType::Movable;
    assert_eq!(fixture.dma32().cut(Order::MAX, movable, 2), 2);
    assert_eq!(fixture.movables(10), [pages[2], pages[0], pages[1]]);
    for steps in [3, 4, u64::MAX] {
        assert_eq!(fixture.dma32().cut(Order::MAX, movable, steps), 0, "{steps}");
    }
    fixture.dma32().rotate_to_front(Order::MAX, movable, pages[1]);
    assert_eq!(fixture.movables(10), [pages[1], pages[2], pages[0]]);
    fixture.dma32().rotate_to_front(Order::MAX, movable, pages[1]);
    assert_eq!(fixture.movables(10), [pages[1], pages[2], pages[0]]);
    assert_eq!(fixture.dma32().cut(order(3), movable, 1), 0, "nothing there");
    fixture.audit();
}

#[test]
fn a_mark_ends_with_allocation_unless_the_fault_is_planted() {
    for keep_mark in [false, true] {
        let mut fixture = Fixture::<true>::new(Config { keep_mark, ..MARKS });
        let page = fixture.movables(10)[0];
        fixture.dma32().mark_reported(page);
        let taken = fixture.alloc(Order::MAX, MigrateType::Movable).unwrap();
        assert!(taken.was_reported && taken.block.page == page);
        assert_eq!(fixture.dma32().nr_reported(Order::MAX), 0);
        let freed = fixture.free(taken.block);
        assert_eq!(fixture.dma32().is_reported(page), keep_mark);
        assert_eq!(freed.unreported, 3 - u64::from(keep_mark));
        fixture.audit();
    }
}

#[test]
fn without_marks_nothing_is_marked() {
    let mut off = Fixture::<true>::new(Config::default());
    let mut absent = Fixture::<false>::new(BOUNDARIES);
    let page = off.movables(10)[0];
    off.dma32().mark_reported(page);
    assert!(!off.dma32().is_reported(page));
    absent.dma32().mark_reported(page);
    assert!(!absent.dma32().is_reported(page));
    assert!(!off.alloc(Order::MAX, MigrateType::Movable).unwrap().was_reported);
    assert!(!absent.alloc(Order::MAX, MigrateType::Movable).unwrap().was_reported);
    assert_eq!((off.audit(), absent.audit()), (off.audit(), off.audit()));
}
