//! When a pass is made, what it leaves alone, and in which steps it goes on and ends.

use abi::addr::Gpa;
use abi::axes::Axis;
use abi::calls::Answer;
use abi::wire::split_ring::Placement;

use super::*;
use crate::transport::{Plain, SplitRing};

#[test]
fn a_zone_below_its_watermark_is_skipped() {
    // The zone is some 300 pages above its min watermark; low is a quarter above that, and a full report 400 pages.
    let info = EngineInfo { watermark: true, capacity: 400, ..INFO };
    let mut rig = Rig::new(info);
    rig.comb(64);
    rig.settle();
    assert_eq!(rig.marked(DMA32, PAGE)[0], 0);
    assert_eq!(rig.counted(Counter::BelowWatermark), ZONES);

    let mut rig = Rig::new(info);
    rig.comb(400);
    rig.settle();
    assert!(rig.marked(DMA32, PAGE)[0] > 0);
    assert_eq!(rig.counted(Counter::BelowWatermark), ZONES - 1);
}

#[test]
fn a_pass_is_requested_at_the_high_water() {
    let mut rig = Rig::new(EngineInfo { high_water: 3, ..INFO });
    let blocks = rig.take_all();
    let [_, before] = rig.marked(DMA32, PAGE);
    assert_eq!(before, 0, "what is left after all was taken is no single page");
    let lone: Vec<_> = blocks.into_iter().filter(|block| block.page.get() % 64 == 32).collect();
    let lone: Vec<_> = lone.into_iter().filter(|block| rig.allocator.zone_of(block.page) == DMA32).collect();
    for (block, settled) in lone.into_iter().zip([true, true, false]) {
        rig.give(block);
        assert_eq!(rig.core.is_settled(&rig.metal), settled);
    }
}

#[test]
fn blocks_below_the_least_order_are_left_alone() {
    for walk in Walk::ALL {
        let mut rig = Rig::new(EngineInfo { walk: *walk, min_order: Order::HUGE, ..INFO });
        let blocks = rig.take_all();
        rig.give(blocks[9]);
        rig.settle();
        for what in [Counter::Reports, Counter::Requests, Counter::Missed] {
            assert_eq!(rig.counted(what), 0, "{walk:?} {what:?}");
        }
    }
}

#[test]
fn a_core_that_is_off_does_nothing() {
    let mut rig = Rig::new(INFO);
    rig.core.switch_off(&mut rig.metal);
    rig.comb(50);
    rig.core.ask(&mut rig.metal);
    for _ in 0..100 {
        rig.core.between(&mut rig.metal);
    }
    assert!(rig.core.is_settled(&rig.metal));
    assert_eq!((rig.metal.rings, rig.counted(Counter::Requests)), (0, 0));
}

#[test]
fn a_step_makes_at_most_one_report() {
    let mut rig = Rig::new(INFO);
    rig.comb(40);
    let mut rings = 0;
    while !rig.core.is_settled(&rig.metal) {
        rig.core.between(&mut rig.metal);
        assert!(rig.metal.rings <= rings + 1);
        rings = rig.metal.rings;
    }
    assert!(rings >= 10);
}

#[test]
fn a_processor_that_is_told_by_an_interrupt_goes_on_until_then() {
    const AT: Placement = Placement::of(32);
    for walk in [Walk::Rotation, Walk::PerCpuArray] {
        let metal = Fake::with_arena(ARENA_PAGES, |_, _| {});
        let ring = Box::leak(Box::new(SplitRing::beside(AT, Completion::Interrupt, Plain)));
        let mut rig = Rig::with(EngineInfo { walk, ..INFO }, Completion::Interrupt, metal, ring);
        rig.comb(4);
        let free = rig.allocator.zone(DMA32).free_pages(&rig.metal);
        while rig.metal.rings == 0 {
            rig.core.between(&mut rig.metal);
        }
        // The device has not answered: nothing more happens, and the batch is nobody's.
        for _ in 0..10 {
            rig.core.between(&mut rig.metal);
        }
        assert_eq!(rig.metal.rings, 1);
        assert!(rig.allocator.zone(DMA32).free_pages(&rig.metal) < free, "{walk:?}");
        assert!(!rig.core.is_settled(&rig.metal));

        // Now it discards and answers.
        let chain = (0..4).map(|index| rig.metal.load(AT.desc.offset(index * 16))).collect::<Vec<_>>();
        chain.into_iter().for_each(|page| rig.metal.zero(Gpa(page), 4096));
        rig.metal.store16(AT.used.offset(2), 1);
        rig.core.between(&mut rig.metal);
        assert_eq!(rig.counted(Counter::Reported), 4, "{walk:?}");
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn switching_off_waits_for_what_is_in_flight() {
    const AT: Placement = Placement::of(32);
    let metal = Fake::with_arena(ARENA_PAGES, |metal, _| {
        let chain = (0..4).map(|index| metal.load(AT.desc.offset(index * 16))).collect::<Vec<_>>();
        chain.into_iter().for_each(|page| metal.zero(Gpa(page), 4096));
        let used = metal.load16(AT.used.offset(2));
        metal.store16(AT.used.offset(2), used + 1);
    });
    let ring = Box::leak(Box::new(SplitRing::beside(AT, Completion::Interrupt, Plain)));
    let mut rig = Rig::with(INFO, Completion::Interrupt, metal, ring);
    rig.comb(40);
    while rig.metal.rings == 0 {
        rig.core.between(&mut rig.metal);
    }
    rig.core.switch_off(&mut rig.metal);
    let audit = rig.allocator.audit(&mut rig.metal);
    assert_eq!((audit.wrong, audit.isolated), (0, 0));
    assert_eq!(rig.found(), []);
}

#[test]
fn a_refused_report_marks_nothing_and_ends_the_pass() {
    for walk in Walk::ALL {
        let mut rig = Rig::with_host(EngineInfo { walk: *walk, ..INFO }, |_, _| {});
        rig.metal.answer_with(Answer::BadPage.value());
        rig.comb(12);
        let rings = rig.metal.rings;
        if walk.walks_lists() {
            rig.one_pass();
            assert_eq!(rig.metal.rings, rings + 1);
        } else {
            rig.settle();
        }
        assert_eq!(rig.marked(DMA32, PAGE)[0], 0, "{walk:?}");
        assert!(rig.counted(Counter::Refused) > 0);
        assert_eq!(rig.counted(Counter::Reported), 0);
        assert_eq!(rig.found(), [], "{walk:?}");
        if walk.walks_lists() {
            // A host that thinks better of it is told about all of them.
            rig.metal.answer_with(Answer::Done { refused: 0 }.value());
            rig.core.ask(&mut rig.metal);
            rig.settle();
            let [marked, free] = rig.marked(DMA32, PAGE);
            assert_eq!(marked, free, "{walk:?}");
        }
    }
}
