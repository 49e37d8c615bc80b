//! The allocator, step by step.

use abi::addr::Order;
use abi::engine::map::Map;
use abi::trace::Violation;

use super::*;
use crate::metal::fake::Fake;

/// Books take 3072 pages; this leaves four largest blocks of DMA32 and Normal together.
pub(super) const BLOCKS: u64 = 4;

pub(super) fn map(blocks: u64) -> Map {
    let mut pages = blocks * LARGEST;
    while Map::new(pages).managed() < blocks * LARGEST {
        pages += LARGEST;
    }
    Map::new(pages)
}

pub(super) fn machine(map: Map) -> Fake {
    let end = map.first().0 + map.managed() - abi::layout::ARENA_START.0;
    Fake::with_arena(end, |_, _| {})
}

fn order(order: u64) -> Order {
    Order::new(order).unwrap()
}

fn clean(allocator: Allocator<true>, metal: &mut Fake) -> Audit {
    let audit = allocator.audit(metal);
    assert_eq!((audit.wrong, audit.first_wrong), (0, None), "{audit:?}");
    audit
}

#[test]
fn what_was_allocated_and_freed_is_whole_again() {
    let map = map(BLOCKS);
    let (mut metal, books) = (machine(map), Books::of(map, 0));
    let allocator = Allocator::<true>::new(map, Config { marks: true, ..Config::default() });
    allocator.initialise(&mut metal);
    assert_eq!(clean(allocator, &mut metal).free, map.managed());
    let mut taken = Vec::new();
    loop {
        let before = taken.len();
        for (n, migrate_type) in (0..=10).zip(MigrateType::ALL.into_iter().cycle()) {
            taken
                .extend(allocator.alloc(&mut metal, &books, order(n), migrate_type).map(|taken| taken.block));
        }
        if taken.len() == before {
            break;
        }
    }
    let audit = clean(allocator, &mut metal);
    assert_eq!(audit.free + audit.allocated, map.managed());
    assert!(audit.allocated > 3 * LARGEST, "{audit:?}");
    for block in taken {
        allocator.free(&mut metal, &books, block);
    }
    assert_eq!(clean(allocator, &mut metal).free, map.managed());
    for zone in 0..ZONES {
        let zone = allocator.zone(zone).lock(&mut metal, &books);
        assert_eq!(zone.nr_free(Order::MAX) * LARGEST, zone.free_pages());
    }
    assert_eq!(metal.load(abi::engine::books::violation(map.vcpu(0), Violation::Accounts)), 0);
}
