//! The loop and its oracle against hosts that behave and hosts that do not.

use abi::axes::{Afterwards, Bell, Completion, GuestRing, Program, RingFeatures, Workload};
use abi::calls::Operation;
use abi::violation::Violation;

use super::*;
use crate::metal::fake::{Fake, Rung};
use crate::transport::{BatchPage, Empty, Registers};

pub(crate) fn info(carrier: Carrier, afterwards: Afterwards) -> BootInfo {
    BootInfo {
        program: Program::Report,
        guest_ring: GuestRing::Three,
        carrier,
        bell: Bell::CallPort,
        completion: Completion::Return,
        afterwards,
        workload: Workload::Random,
        order: Order::PAGE,
        batch: 16,
        queue_size: 32,
        arena_pages: 512,
        warmup: 3,
        reports: 60,
        idle: 0,
        gathers: 0,
        in_flight: 1,
        seed: 7,
        fenced: true,
        ring_features: RingFeatures::NONE,
    }
}

/// The range a `registers` call names.
fn range(rung: Rung) -> PageRange {
    assert_eq!(Operation::from_word(rung.word), Some(Operation::Range));
    abi::addr::ByteRange::of_pages(rung.gpa, rung.pages).unwrap().inward().unwrap()
}

fn discard(metal: &mut Fake, range: PageRange) {
    metal.zero(range.gpa(), range.bytes());
}

pub(crate) fn found(metal: &Fake) -> Vec<Violation> {
    Violation::ALL.into_iter().filter(|kind| metal.load(notes::violations(*kind)) > 0).collect()
}

fn registers(afterwards: Afterwards, host: impl FnMut(&mut Fake, Rung) + 'static) -> Fake {
    let mut metal = Fake::new(host);
    run(&mut metal, &info(Carrier::Registers, afterwards), Registers::default());
    metal
}

/// Around both proofs everything that is not reported is looked at, if the host wants that; what it did to a page beside is
/// seen there.
#[test]
fn a_guest_looks_around_where_it_is_asked_to() {
    let looked = |wanted| {
        let mut metal = Fake::new(|metal, rung| discard(metal, range(rung)));
        metal.store(notes::LOOKS, u64::from(wanted));
        let info = BootInfo { reports: 1, warmup: 0, ..info(Carrier::Registers, Afterwards::Zeroed) };
        run(&mut metal, &info, Registers::default());
        assert_eq!(found(&metal), []);
        let said: Vec<_> = metal
            .said
            .iter()
            .copied()
            .filter(|said| matches!(said, Control::Filled | Control::Reported | Control::Looked))
            .collect();
        (said, metal.load(notes::CHECKED))
    };
    let ((unasked, few), (asked, many)) = (looked(false), looked(true));
    assert_eq!(unasked, [Control::Filled, Control::Reported].repeat(2));
    assert_eq!(asked, [Control::Filled, Control::Looked, Control::Reported, Control::Looked].repeat(2));
    // All before a report, and all but its sixteen after it.
    assert_eq!(many - few, 2 * (512 + 512 - 16));
}

#[test]
fn a_host_that_discards_is_found_right() {
    let metal = registers(Afterwards::Zeroed, |metal, rung| discard(metal, range(rung)));
    assert_eq!(found(&metal), []);
    // 3 warm-up reports, 60 measured and 2 proofs, 16 calls each.
    assert_eq!(metal.load(notes::CALLS), 65 * 16);
    assert_eq!(metal.load(notes::REPORTS), 65);
    assert_eq!(metal.load(notes::DIGEST_PAGES), 65 * 16);
    // Every reported page before and after, and the sweep.
    assert_eq!(metal.load(notes::CHECKED), 2 * 65 * 16 + 512);
    assert!(metal.said.starts_with(&[Control::Ready, Control::Filled, Control::Reported, Control::Begin]));
    assert!(metal.said.ends_with(&[Control::End, Control::Filled, Control::Reported, Control::Done]));
}

#[test]
fn a_host_that_does_nothing_is_right_if_nothing_is_expected() {
    assert_eq!(found(&registers(Afterwards::Kept, |_, _| {})), []);
}

#[test]
fn a_host_that_may_discard_is_right_either_way_and_wrong_with_anything_else() {
    assert_eq!(found(&registers(Afterwards::Either, |_, _| {})), []);
    assert_eq!(found(&registers(Afterwards::Either, |metal, rung| discard(metal, range(rung)))), []);
    let metal = registers(Afterwards::Either, |metal, rung| {
        metal.store(range(rung).gpa().offset(abi::addr::PAGE_SIZE - 8), 1);
    });
    assert_eq!(found(&metal), [Violation::Scrambled]);
}

#[test]
fn a_discard_skipped_is_found() {
    assert_eq!(found(&registers(Afterwards::Zeroed, |_, _| {})), [Violation::StillThere]);
}

#[test]
fn a_discard_where_none_is_expected_is_found() {
    let metal = registers(Afterwards::Kept, |metal, rung| discard(metal, range(rung)));
    assert_eq!(found(&metal), [Violation::Scrambled]);
}

#[test]
fn a_page_too_many_is_found() {
    let mut done = false;
    let metal = registers(Afterwards::Zeroed, move |metal, rung| {
        let range = range(rung);
        discard(metal, range);
        if !done && range.end().0 < ARENA_START.0 + 512 {
            done = true;
            discard(metal, PageRange::block(range.end(), Order::PAGE));
        }
    });
    assert_eq!(found(&metal), [Violation::UnreportedLost]);
}

#[test]
fn an_acknowledgement_before_the_discard_is_found() {
    let mut late = None;
    let metal = registers(Afterwards::Zeroed, move |metal, rung| {
        if let Some(range) = late.replace(range(rung)) {
            discard(metal, range);
        }
    });
    assert!(found(&metal).contains(&Violation::ReusedLost), "{:?}", found(&metal));
}

#[test]
fn a_refusal_is_counted() {
    let mut metal = Fake::new(|_, _| {});
    metal.answer_with(abi::calls::Answer::BadPage.value());
    run(&mut metal, &info(Carrier::Batch, Afterwards::Kept), BatchPage::of(0));
    assert_eq!(metal.load(notes::REFUSED), 65);
}

#[test]
fn an_empty_report_is_one_call() {
    let mut metal =
        Fake::new(|_, rung| assert_eq!(Operation::from_word(rung.word), Some(Operation::Nothing)));
    run(&mut metal, &info(Carrier::Empty, Afterwards::Kept), Empty::new(Bell::CallPort));
    assert_eq!((metal.rings, metal.load(notes::CALLS)), (65, 65));
}

#[test]
fn an_empty_call_that_is_refused_is_counted_where_there_is_an_answer() {
    // What KVM answers to a call it does not know: -KVM_ENOSYS.
    let unknown = 1000_u64.wrapping_neg();
    for (bell, refused) in [(Bell::VmcallToKernel, 65), (Bell::Vmmcall, 65), (Bell::CallPort, 0)] {
        let mut metal = Fake::new(|_, _| {});
        metal.answer_with(unknown);
        run(&mut metal, &info(Carrier::Empty, Afterwards::Kept), Empty::new(bell));
        assert_eq!(metal.load(notes::REFUSED), refused, "{bell:?}");
    }
}

#[test]
fn a_guest_that_idles_does_so_before_each_report_and_not_during_one() {
    for (idle, naps) in [(0, 0), (1, 1), (10_000, 1), (25_000, 3)] {
        let mut metal = Fake::new(|_, _| {});
        let info = BootInfo { idle, ..info(Carrier::Batch, Afterwards::Kept) };
        run(&mut metal, &info, BatchPage::of(0));
        // Not before the two proofs, which nobody times.
        assert_eq!(metal.idled, naps * 63, "{idle}");
    }
}

#[test]
fn a_full_trace_is_drained() {
    let mut metal = Fake::new(|_, _| {});
    let info = BootInfo { reports: 3000, ..info(Carrier::Empty, Afterwards::Kept) };
    run(&mut metal, &info, Empty::new(Bell::CallPort));
    assert_eq!(metal.said.iter().filter(|said| **said == Control::Drain).count(), 2);
}
