//! What two processors find, with and without a planted fault.

use std::cell::RefCell;
use std::rc::Rc;

use abi::axes::Axis;

use super::*;
use crate::engine::buddy::Page;

/// What two processors find, of which the second takes all there is while the first reports.
fn second_processor(info: EngineInfo) -> (Vec<Violation>, Vec<Violation>) {
    let second = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&second);
    let allocator = allocator(&info);
    let witness = Witness::new(&BOOT, &info, MAP, Books::of(MAP, 1));
    let mut rig = Rig::with_host(info, move |metal, rung| {
        let books = Books::of(MAP, 1);
        let first = allocator.block(named(metal, rung)[0]).unwrap();
        if !seen.borrow().is_empty() || allocator.zone_of(first.page) != DMA32 {
            return discard(metal, rung);
        }
        while let Some(block) = take(metal, allocator, witness, &books, PAGE) {
            seen.borrow_mut().push(block);
        }
        discard(metal, rung);
    });
    rig.comb(20);
    rig.settle();
    let theirs = second.take();
    assert!(!theirs.is_empty(), "the second processor took nothing");
    for block in theirs {
        let frames = rig.allocator.frames(block);
        rig.witness.freed(&mut rig.metal, frames);
    }
    (rig.found(), found(&rig.metal, 1))
}

#[test]
fn a_second_processor_is_given_nothing_that_is_in_flight() {
    for walk in LISTS {
        assert_eq!(second_processor(EngineInfo { walk, ..INFO }), (vec![], vec![]), "{walk:?}");
    }
}

#[test]
fn blocks_left_on_their_lists_are_found() {
    for walk in LISTS {
        let (first, second) = second_processor(EngineInfo { walk, fault: GuestFault::ReportOnList, ..INFO });
        assert!(first.contains(&Violation::NotIsolated), "{walk:?} {first:?}");
        assert!(second.contains(&Violation::HandedOutInFlight), "{walk:?} {second:?}");
        // The discard takes what the second processor has written.
        assert!(first.contains(&Violation::ReusedLost), "{walk:?} {first:?}");
    }
}

#[test]
fn blocks_put_back_too_early_are_found() {
    for walk in Walk::ALL {
        let (first, second) =
            second_processor(EngineInfo { walk: *walk, fault: GuestFault::PutBackEarly, ..INFO });
        assert!(!first.contains(&Violation::NotIsolated), "{walk:?} {first:?}");
        assert!(second.contains(&Violation::HandedOutInFlight), "{walk:?} {second:?}");
        assert!(first.contains(&Violation::ReusedLost), "{walk:?} {first:?}");
    }
}

#[test]
fn a_mark_that_is_kept_is_found() {
    for walk in [Walk::Rewalk, Walk::Boundary, Walk::Rotation, Walk::PerCpuArray] {
        let mut rig = Rig::new(EngineInfo { walk, fault: GuestFault::KeepMark, ..INFO });
        rig.comb(20);
        rig.settle();
        let taken: Vec<_> = core::iter::from_fn(|| rig.take(PAGE)).collect();
        assert_eq!(rig.found(), [], "{walk:?}: a kept mark is right once");
        taken.into_iter().for_each(|block| rig.give(block));
        let _: Vec<_> = core::iter::from_fn(|| rig.take(PAGE)).collect();
        assert_eq!(rig.found(), [Violation::StaleMark], "{walk:?}");
    }
}

#[test]
fn every_batch_is_off_its_list_when_it_is_reported() {
    for walk in Walk::ALL {
        let allocator = allocator(&EngineInfo { walk: *walk, ..INFO });
        let mut rig = Rig::with_host(EngineInfo { walk: *walk, ..INFO }, move |metal, rung| {
            let blocks = named(metal, rung);
            let first = allocator.block(blocks[0]).unwrap();
            let zone = allocator.zone(allocator.zone_of(first.page)).lock(metal, &Books::of(MAP, 1));
            for block in &blocks {
                let page: Page = allocator.block(*block).unwrap().page;
                assert_eq!(zone.buddy_order(page), None);
            }
            drop(zone);
            discard(metal, rung);
        });
        rig.comb(16);
        rig.settle();
        assert!(rig.metal.rings > 0);
    }
}
