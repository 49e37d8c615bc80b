//! The walks: how a list is gone through, what is passed over, what compaction does to it.

use proptest::prelude::*;

use super::*;
use crate::engine::buddy::Locked;

#[test]
fn every_walk_reports_everything_that_is_free() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, budget: 2, ..INFO });
        rig.comb(300);
        rig.settle();
        let [marked, free] = rig.marked(DMA32, PAGE);
        assert_eq!(marked, free, "{walk:?}");
        assert!(free >= 300);
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn a_reported_block_that_merges_is_not_marked_and_is_reported_again() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, ..INFO });
        let mut blocks = rig.take_all();
        blocks.sort();
        let highest = blocks.split_off(blocks.len() - 256);
        rig.slack(highest);
        let pair: Vec<_> = blocks.iter().copied().filter(|block| block.page.get() / 2 == 3000).collect();
        rig.give(pair[0]);
        rig.settle();
        rig.give(pair[1]);
        let is_marked = |rig: &mut Rig| {
            rig.allocator.zone(DMA32).lock(&mut rig.metal, &rig.books).is_reported(pair[0].page)
        };
        assert!(!is_marked(&mut rig), "{walk:?}");
        rig.settle();
        assert!(is_marked(&mut rig), "{walk:?}");
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn rewalk_looks_at_what_was_reported_again_and_the_others_do_not() {
    let examined = |walk| {
        let mut rig = Rig::new(EngineInfo { walk, ..INFO });
        rig.comb(400);
        rig.settle();
        rig.counted(Counter::Examined)
    };
    // Four a batch, and one to see that there is more. Rotation looks through what was reported once, at the end.
    assert!((500..600).contains(&examined(Walk::Boundary)), "{}", examined(Walk::Boundary));
    assert!((900..1000).contains(&examined(Walk::Rotation)), "{}", examined(Walk::Rotation));
    // On average half of what was reported, too: 100 batches by 200 blocks.
    assert!((19_000..23_000).contains(&examined(Walk::Rewalk)), "{}", examined(Walk::Rewalk));
}

#[test]
fn putting_a_batch_back_and_finding_the_next_are_one_hold() {
    use abi::engine::books::{Tally, tally};
    use abi::tally::bucket;

    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, ..INFO });
        rig.comb(40);
        rig.settle();
        // On this machine a hold takes a tick, and two that are one take two.
        let holds = tally(MAP.vcpu(0), Tally::HoldWalk);
        let [single, joint] = [1, 2].map(|ticks| rig.metal.load(holds.offset(bucket(ticks) as u64 * 8)));
        let reports = rig.counted(Counter::Reports);
        assert!(joint >= 9 && joint < reports, "{walk:?}: {joint} of {reports}");
        assert!(single > 0, "{walk:?}: the first of a list puts nothing back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// `ceil(free / (capacity × budget)) + 1` reports of a list.
    #[test]
    fn a_pass_keeps_to_its_budget(teeth in 60_usize..400, capacity in 1_u64..=16, budget in 1_u64..=4, walk in 0_usize..3) {
        let mut rig = Rig::new(EngineInfo { walk: LISTS[walk], capacity, budget, ..INFO });
        rig.comb(teeth);
        let [_, free] = rig.marked(DMA32, PAGE);
        rig.one_pass();
        let reports = free.div_ceil(capacity * budget) + 1;
        let [marked, _] = rig.marked(DMA32, PAGE);
        prop_assert_eq!(marked, (reports * capacity).min(free));
        prop_assert_eq!(rig.counted(Counter::OutOfBudget) > 0, reports * capacity < free);
        prop_assert_eq!(rig.core.is_settled(&rig.metal), reports * capacity >= free);
    }
}

/// Blocks looked at to report twelve that lie at the other end of a list than the search begins at, behind a hundred that
/// are reported; `upset` does something to the list before. And how many those hundred are.
fn behind_reported(walk: Walk, upset: impl FnOnce(&mut Locked<'_, Fake, true>)) -> (u64, u64) {
    let mut rig = Rig::new(EngineInfo { walk, ..INFO });
    let mut later = rig.comb(100);
    rig.settle();
    let [reported, free] = rig.marked(DMA32, PAGE);
    assert_eq!(reported, free);
    later.retain(|block| rig.allocator.zone_of(block.page) == DMA32 && block.page.get() % 64 == 32);
    later[..12].iter().for_each(|block| rig.give(*block));
    upset(&mut rig.allocator.zone(DMA32).lock(&mut rig.metal, &rig.books));

    let before = rig.counted(Counter::Examined);
    rig.settle();
    assert_eq!(rig.marked(DMA32, PAGE)[0], free + 12);
    (rig.counted(Counter::Examined) - before, reported)
}

#[test]
fn rotation_passes_over_what_is_reported_once_for_all_batches() {
    let (examined, reported) = behind_reported(Walk::Rotation, |zone| {
        zone.cut(PAGE, MigrateType::Movable, 12);
    });
    // Once to find the first, and once more behind the last of them.
    assert!((2 * reported..2 * reported + 60).contains(&examined), "{examined}");
}

#[test]
fn a_boundary_that_was_reset_is_found_again_once_for_all_batches() {
    let (examined, reported) = behind_reported(Walk::Boundary, |zone| {
        let head = zone.head(PAGE, MigrateType::Movable);
        zone.set_boundary(PAGE, MigrateType::Movable, head);
    });
    assert!((reported..reported + 60).contains(&examined), "{examined}");
}

#[test]
fn without_a_budget_one_pass_is_enough() {
    let mut rig = Rig::new(EngineInfo { budget: 0, ..INFO });
    rig.comb(200);
    rig.one_pass();
    let [marked, free] = rig.marked(DMA32, PAGE);
    assert_eq!(marked, free);
    assert_eq!(rig.counted(Counter::OutOfBudget), 0);
}

#[test]
fn compaction_moves_lists_and_resets_boundaries_and_everything_is_reported_all_the_same() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, shuffle: Shuffle::Compaction, ..INFO });
        rig.comb(300);
        rig.settle();
        let [marked, free] = rig.marked(DMA32, PAGE);
        assert_eq!(marked, free, "{walk:?}");
        assert!(rig.counted(Counter::Shuffled) > 0);
        assert_eq!(rig.counted(Counter::Resets) > 0, walk == Walk::Boundary);
        assert_eq!(rig.allocator.audit(&mut rig.metal).wrong, 0);
    }
}
