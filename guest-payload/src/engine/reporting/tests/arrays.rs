//! What walks no list: the array of freed blocks, and the free that reports at once.

use super::*;

#[test]
fn an_array_that_is_full_forgets_what_comes_next() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(6);
    assert_eq!(rig.counted(Counter::Missed), 2);
    rig.settle();
    assert_eq!((rig.counted(Counter::Reports), rig.counted(Counter::Reported)), (1, 4));
    assert_eq!(rig.found(), []);
}

#[test]
fn what_was_noted_and_is_taken_again_is_missed() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(4);
    rig.take(PAGE).unwrap();
    rig.settle();
    assert_eq!((rig.counted(Counter::Missed), rig.counted(Counter::Reported)), (1, 3));
    assert_eq!(rig.found(), []);
}

#[test]
fn a_round_makes_a_report_of_each_zone() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    let mut taken = rig.take_all();
    taken.sort();
    let highest = taken.split_off(taken.len() - 256);
    rig.slack(highest);
    rig.slack(taken.drain(..256).collect());
    let lone: Vec<_> = taken.into_iter().filter(|block| block.page.get() % 64 == 32).collect();
    let (first, last) = (&lone[..2], &lone[lone.len() - 2..]);
    for block in first.iter().chain(last) {
        rig.give(*block);
    }
    rig.settle();
    assert_eq!((rig.counted(Counter::Reports), rig.counted(Counter::Reported)), (2, 4));
    assert_eq!([0, DMA32].map(|zone| rig.marked(zone, PAGE)[0]), [2, 2]);
    assert_eq!(rig.allocator.audit(&mut rig.metal).wrong, 0);
    assert_eq!(rig.found(), []);
}

#[test]
fn an_array_that_is_not_full_waits_until_it_is_flushed() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(3);
    for _ in 0..1000 {
        rig.core.between(&mut rig.metal);
    }
    assert_eq!(rig.metal.rings, 0);
    rig.settle();
    assert_eq!(rig.counted(Counter::Reported), 3);
}

#[test]
fn a_synchronous_free_is_reported_before_it_returns() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::Synchronous, ..INFO });
    rig.comb(5);
    assert_eq!((rig.metal.rings, rig.counted(Counter::Reported)), (5, 5));
    assert_eq!(rig.marked(DMA32, PAGE), [5, 5]);
    assert_eq!(rig.found(), []);
}
