//! What is held, and everything at once.

use super::*;

/// Takes a page as a load does.
fn alloc(rig: &mut Rig) -> Option<Block> {
    let taken = rig.core.alloc(&mut rig.metal, &rig.books, PAGE, MigrateType::Movable, false).0?;
    touch(&mut rig.metal, rig.allocator.frames(taken.block));
    rig.witness.allocated(&mut rig.metal, rig.allocator.frames(taken.block), taken.was_reported);
    Some(taken.block)
}

#[test]
fn what_is_held_is_on_no_list_until_memory_is_asked_for() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::Hold, ..INFO });
    let taken = rig.comb(300).len();
    rig.settle();
    let held = rig.counted(Counter::Held);
    assert!(held >= 300 && held == rig.counted(Counter::Reported), "{held}");
    assert_eq!(rig.marked(DMA32, PAGE)[0], 0, "nothing that is reported is on a list");
    assert_eq!(rig.allocator.audit(&mut rig.metal).wrong, 0);
    assert_eq!(rig.counted(Counter::Released), 0);

    let more = core::iter::from_fn(|| alloc(&mut rig)).count();
    assert!(more >= 300, "{more} beside {taken}");
    assert!(rig.counted(Counter::Released) >= 300);
    rig.core.switch_off(&mut rig.metal);
    let audit = rig.allocator.audit(&mut rig.metal);
    assert_eq!((audit.wrong, audit.isolated), (0, 0));
    assert_eq!(rig.found(), []);
}

#[test]
fn an_eighth_is_left_alone() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::Hold, watermark: true, ..INFO });
    let mut blocks = rig.take_all();
    blocks.drain(..).for_each(|block| rig.give(block));
    rig.settle();
    let zone = rig.allocator.zone(DMA32);
    let (free, eighth) = (zone.free_pages(&rig.metal), zone.size() / 8);
    assert!(free >= eighth, "{free} of {}", zone.size());
    assert!(rig.counted(Counter::Held) > 0 && rig.counted(Counter::Missed) > 0);
}

#[test]
fn everything_is_reported_at_once_whatever_delay_budget_and_watermark_say() {
    for walk in LISTS.into_iter().chain([Walk::Hold]) {
        let slow = EngineInfo { walk, delay: 1 << 40, budget: 1, watermark: true, ..INFO };
        let mut rig = Rig::new(slow);
        rig.comb(300);
        assert!(!rig.core.is_settled(&rig.metal));
        let before = rig.metal.clock();
        let flushed = rig.core.report_all(&mut rig.metal);
        let [marked, free] = rig.marked(DMA32, PAGE);
        assert_eq!(marked, free, "{walk:?}");
        assert_eq!(flushed.pages, rig.counted(Counter::ReportedPages), "{walk:?}");
        assert_eq!(flushed.reports, rig.counted(Counter::Reports), "{walk:?}");
        assert!(flushed.pages >= 300 && flushed.acknowledged > before);
        assert!(rig.core.is_settled(&rig.metal), "{walk:?}");
        let again = rig.core.report_all(&mut rig.metal);
        assert_eq!((again.reports, rig.found()), (0, vec![]), "{walk:?}");
    }
}

#[test]
fn a_flush_goes_on_with_the_pass_under_way_and_counts_only_what_comes() {
    let mut rig = Rig::new(EngineInfo { budget: 1, ..INFO });
    rig.comb(300);
    while rig.counted(Counter::Reports) == 0 {
        rig.core.rest(&mut rig.metal, u64::MAX);
    }
    let before = rig.counted(Counter::ReportedPages);
    let flushed = rig.core.report_all(&mut rig.metal);
    assert_eq!(before + flushed.pages, rig.counted(Counter::ReportedPages));
    let [marked, free] = rig.marked(DMA32, PAGE);
    assert_eq!(marked, free);
}

/// A host that refuses is asked once.
#[test]
fn a_refusal_ends_a_flush() {
    let mut rig =
        Rig::with_host(INFO, |metal, _| metal.answer_with(abi::calls::Answer::Done { refused: 1 }.value()));
    rig.comb(40);
    let flushed = rig.core.report_all(&mut rig.metal);
    assert_eq!(flushed.reports, 1);
}
