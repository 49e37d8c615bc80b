//! Calls of Hyper-V's that are none, and input pages that are none.

use abi::addr::{Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, Operation, hyperv};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::heat_hint::{CAPACITY, ENTRIES, ENTRY_SIZE, HEADER};
use host::axes::Coalesce;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::encoder::{encoder, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, page, pages};

/// One call, made while the page of hints names the first [`CAPACITY`] pages of the arena.
struct Case {
    name: &'static str,
    word: u32,
    gpa: Gpa,
    /// What the host answers; `None` if KVM answers before.
    answer: Option<Answer>,
    gone: &'static [Pages],
    refused: Refused,
}

const BAD: Case = Case {
    name: "",
    word: hints(1),
    gpa: BATCH,
    answer: Some(Answer::BadPage),
    gone: &[],
    refused: Refused { bad_call: 1, ..NONE },
};

const GOOD: Case = Case { answer: Some(Answer::Done { refused: 0 }), refused: NONE, ..BAD };

const fn hints(count: u16) -> u32 {
    Operation::HeatHint { count }.word()
}

/// What KVM answers to a call it does not know (`HV_STATUS_INVALID_HYPERCALL_CODE`).
const INVALID_CODE: u64 = 2;

const CASES: &[Case] = &[
    Case { name: "hints-of-none", word: hints(0), ..GOOD },
    Case { name: "hints-of-511", word: hints(CAPACITY), gone: &[0..CAPACITY as u64], ..GOOD },
    Case { name: "hint-count-over-the-page", word: hints(512), answer: Some(Answer::TooMany), ..BAD },
    Case {
        name: "hint-count-of-all-it-has-bits-for",
        word: hints(0xfff),
        answer: Some(Answer::TooMany),
        ..BAD
    },
    Case { name: "hint-page-outside-ram", gpa: RAM_END, ..BAD },
    Case { name: "hint-page-last-of-the-address-space", gpa: Gpa(u64::MAX - (PAGE_SIZE - 1)), ..BAD },
    Case { name: "hint-page-across-a-page", word: hints(CAPACITY), gpa: BATCH.offset(ENTRY_SIZE), ..BAD },
    Case { name: "hint-page-across-the-end-of-ram", word: hints(2), gpa: Gpa(RAM_END.0 - 16), ..BAD },
    Case { name: "hint-page-unaligned", gpa: BATCH.offset(4), ..BAD },
    // The first hint is taken for a header.
    Case { name: "hint-of-no-kind", gpa: BATCH.offset(ENTRIES), answer: Some(Answer::NoSuchCall), ..BAD },
    Case { name: "unknown-extended-call", word: 0x8002, answer: Some(Answer::NoSuchCall), ..BAD },
    Case { name: "query-with-a-count", word: 0x8001 | 1 << 16, answer: Some(Answer::NoSuchCall), ..BAD },
    Case { name: "unknown-call-that-kvm-answers", word: 0x7fff, answer: None, ..GOOD },
];

/// The cases, over the transport that has such calls.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::HeatHint {
        return Vec::new();
    }
    let test = |case: &'static Case| {
        let over = transport.clone();
        Trial::test(format!("{}::{}", transport.name, case.name), move || check(case, &over, facts))
    };
    CASES.iter().map(test).collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut encoder = encoder(transport);
    let entries = (0..CAPACITY.into()).map(|number| page(number).0);
    let words: Vec<u64> = std::iter::once(HEADER).chain(entries).collect();
    guest.ram().write_words(BATCH, &words)?;

    let call = Step::Call { word: case.word, gpa: case.gpa.0, pages: 1 };
    let answers = guest.call(&[call], case.answer.is_some().into())?;
    let control = hyperv::control(case.word);
    let expected = case.answer.map_or(INVALID_CODE, |answer| hyperv::result(answer, control));
    equal("the result", answers[0], expected)?;
    guest.expect(case.gone, &case.refused)?;

    let good = [pages(600, 2), pages(700, 1)];
    guest.report(encoder.as_mut(), &good, 0)?;
    guest.expect(&[600..602, 700..701], &NONE)?;
    guest.still_served(encoder.as_mut())
}
