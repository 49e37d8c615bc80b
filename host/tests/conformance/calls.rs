//! Call words, batch counts and batch pages that are none.

use abi::addr::{Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, Operation};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::page;
use abi::wire::page::BATCH_CAPACITY;
use host::axes::{Coalesce, Doorbell};
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{REFUSED_BY_KVM, encoder, equal, refused_by_kvm};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, page, pages};

/// One call, made while the batch page names the first [`BATCH_CAPACITY`] pages of the arena.
struct Case {
    name: &'static str,
    /// The carrier it is for; `None` for all.
    only: Option<Carrier>,
    word: u32,
    gpa: Gpa,
    pages: u64,
    answer: Answer,
    gone: &'static [Pages],
    refused: Refused,
}

const BAD_CALL: Refused = Refused { bad_call: 1, ..NONE };
const RANGE: u32 = Operation::Range.word();

/// A call that means nothing, with a good range in its registers.
const UNKNOWN: Case = Case {
    name: "",
    only: None,
    word: 0,
    gpa: page(5),
    pages: 1,
    answer: Answer::NoSuchCall,
    gone: &[],
    refused: BAD_CALL,
};

/// A call of the batch page.
const BATCHED: Case = Case { only: Some(Carrier::Batch), gpa: BATCH, ..UNKNOWN };

const fn batch_of(count: u16) -> u32 {
    Operation::Batch { count }.word()
}

const CASES: &[Case] = &[
    Case { name: "wrong-call-number", word: 99, ..UNKNOWN },
    Case { name: "wrong-call-number-all-ones", word: u32::MAX, ..UNKNOWN },
    Case { name: "count-where-none-belongs", word: RANGE | 1 << 16, ..UNKNOWN },
    Case {
        name: "call-of-another-carrier",
        only: Some(Carrier::Registers),
        word: batch_of(1),
        gpa: BATCH,
        ..UNKNOWN
    },
    Case { name: "call-of-another-carrier", only: Some(Carrier::Batch), word: RANGE, ..UNKNOWN },
    Case { name: "call-of-another-carrier", only: Some(Carrier::Ring), word: RANGE, ..UNKNOWN },
    Case { name: "call-of-another-carrier", only: Some(Carrier::PackedRing), word: RANGE, ..UNKNOWN },
    Case { name: "call-of-another-carrier", only: Some(Carrier::Inflate), word: RANGE, ..UNKNOWN },
    Case { name: "call-of-another-carrier", only: Some(Carrier::CallAndRing), word: RANGE, ..UNKNOWN },
    Case { name: "call-of-another-carrier", only: Some(Carrier::Request), word: RANGE, ..UNKNOWN },
    Case {
        name: "call-of-another-carrier",
        only: Some(Carrier::Status),
        word: batch_of(1),
        gpa: BATCH,
        ..UNKNOWN
    },
    Case {
        name: "length-that-wraps",
        only: Some(Carrier::Registers),
        word: RANGE,
        pages: 1 << 52,
        answer: Answer::Done { refused: 1 },
        refused: Refused { wraps: 1, ..NONE },
        ..UNKNOWN
    },
    Case {
        name: "length-of-all-ones",
        only: Some(Carrier::Registers),
        word: RANGE,
        pages: u64::MAX,
        answer: Answer::Done { refused: 1 },
        refused: Refused { wraps: 1, ..NONE },
        ..UNKNOWN
    },
    Case {
        name: "batch-of-none",
        word: batch_of(0),
        answer: Answer::Done { refused: 0 },
        refused: NONE,
        ..BATCHED
    },
    Case {
        name: "batch-of-511",
        word: batch_of(511),
        answer: Answer::Done { refused: 0 },
        gone: &[0..BATCH_CAPACITY],
        refused: NONE,
        ..BATCHED
    },
    Case { name: "batch-count-over-511", word: batch_of(512), answer: Answer::TooMany, ..BATCHED },
    Case { name: "batch-count-of-all-ones", word: batch_of(u16::MAX), answer: Answer::TooMany, ..BATCHED },
    Case {
        name: "batch-page-outside-ram",
        word: batch_of(1),
        gpa: RAM_END,
        answer: Answer::BadPage,
        ..BATCHED
    },
    Case {
        name: "batch-page-last-of-the-address-space",
        word: batch_of(511),
        gpa: Gpa(u64::MAX - (PAGE_SIZE - 1)),
        answer: Answer::BadPage,
        ..BATCHED
    },
    Case {
        name: "batch-page-across-the-end-of-ram",
        word: batch_of(511),
        gpa: Gpa(RAM_END.0 - PAGE_SIZE / 2),
        answer: Answer::BadPage,
        ..BATCHED
    },
    Case {
        name: "batch-page-unaligned",
        word: batch_of(1),
        gpa: BATCH.offset(page::ENTRY_SIZE),
        answer: Answer::BadPage,
        ..BATCHED
    },
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |case: &'static Case| {
        let name = format!("{}::{}", transport.name, case.name);
        if let Some(reason) = cannot_call(transport, case) {
            return ignored(name, reason);
        }
        let transport = transport.clone();
        Trial::test(name, move || check(case, &transport, facts))
    };
    // The case of the same name for another carrier is not this transport's.
    let is_ours = |case: &&Case| {
        case.only.is_none_or(|carrier| carrier == transport.way.carrier)
            || case.name != "call-of-another-carrier"
    };
    CASES.iter().filter(is_ours).map(test).collect()
}

/// Why a call cannot be made over a transport, if it cannot.
fn cannot_call(transport: &Transport, case: &Case) -> Option<&'static str> {
    match case.only {
        _ if transport.way.carrier == Carrier::HeatHint => Some("its calls are Hyper-V's"),
        Some(Carrier::Registers) if transport.way.carrier != Carrier::Registers => {
            Some("no range in registers")
        }
        Some(Carrier::Batch) if transport.way.carrier != Carrier::Batch => Some("no batch page"),
        _ if !makes_calls(transport) => Some("the doorbell brings no word"),
        _ => None,
    }
}

/// Whether the doorbell brings a word and registers; otherwise it only says that there is something to do.
fn makes_calls(transport: &Transport) -> bool {
    match transport.way.doorbell {
        // What is written there is a range.
        _ if transport.way.carrier == Carrier::Store => false,
        Doorbell::Hypercall | Doorbell::Port | Doorbell::XenHypercall | Doorbell::HypervHypercall => true,
        Doorbell::Mmio => {
            !matches!(transport.way.carrier, Carrier::Ring | Carrier::PackedRing | Carrier::Inflate)
        }
        _ => false,
    }
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut encoder = encoder(transport);
    let entries: Vec<_> = (0..BATCH_CAPACITY).map(|number| page(number).0 | 1).collect();
    guest.ram().write_words(BATCH.offset(page::ENTRIES), &entries)?;

    let call = Step::Call { word: case.word, gpa: case.gpa.0, pages: case.pages };
    if refused_by_kvm(transport, case.gpa, case.pages) {
        equal("KVM's answer", guest.call(&[call], 0)?, vec![REFUSED_BY_KVM])?;
        guest.expect(&[], &NONE)?;
    } else {
        let answers = guest.call(&[call], 1)?;
        equal("the answer", answers[0].cast_signed(), case.answer.value().cast_signed())?;
        guest.expect(case.gone, &case.refused)?;
    }

    let good = [pages(600, 2), pages(700, 1)];
    guest.report(encoder.as_mut(), &good, 0)?;
    guest.expect(&[600..602, 700..701], &NONE)?;
    guest.still_served(encoder.as_mut())
}
