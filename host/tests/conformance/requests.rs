//! Request pages: their encoder, and those that are none.

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::{REQUEST_PAGE, vcpu};
use abi::step::Step;
use abi::wire::request::{BYTES, DONTNEED, FAULT, INVALID, UNSUPPORTED, error};
use host::axes::Coalesce;
use host::memory::GuestRam;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, Transport};
use crate::encoder::{Encoder, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, page};

/// Where requests are written, one behind the other.
const PAGE: Gpa = vcpu::in_place(0);
const CALL: Step = Step::Call { word: Operation::Request.word(), gpa: IDLE_GPA, pages: IDLE_PAGES };

/// A request a range, each where the guest says it is.
#[derive(Default)]
pub(crate) struct Requests {
    count: u64,
}

impl Encoder for Requests {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        self.count = ranges.len() as u64;
        let mut steps = Vec::new();
        for (at, range) in places().zip(ranges) {
            ram.write_words(at, &[DONTNEED, range.gpa.0, range.len, 0])?;
            steps.extend(place(at));
            steps.push(CALL);
        }
        Ok(steps)
    }

    fn calls(&self, steps: &[Step]) -> u64 {
        steps.iter().filter(|step| matches!(step, Step::Call { .. })).count() as u64
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], refused: u64) -> Checked {
        let mut errors = 0;
        for at in places().take(usize::try_from(self.count)?) {
            errors += u64::from(error(ram.read(at)?) != 0);
        }
        equal("requests with an error", errors, refused)
    }
}

fn places() -> impl Iterator<Item = Gpa> {
    (0..).map(|number| PAGE.offset(number * BYTES))
}

/// The guest says where its request is.
fn place(at: Gpa) -> [Step; 2] {
    [(0, at.0 & 0xffff_ffff), (4, at.0 >> 32)].map(|(half, value)| Step::Store {
        gpa: REQUEST_PAGE.0 + half,
        value: u32::try_from(value).unwrap_or_default(),
    })
}

/// One request.
struct Case {
    name: &'static str,
    at: Gpa,
    words: [u64; 4],
    answer: Answer,
    /// What is found where the request was, if it was in memory: the error, and the bytes acted on.
    response: Option<(u32, u64)>,
    gone: &'static [Pages],
    refused: Refused,
}

const GOOD: Case = Case {
    name: "request-of-two-pages",
    at: PAGE,
    words: [DONTNEED, page(5).0, 2 * PAGE_SIZE, 0],
    answer: Answer::Done { refused: 0 },
    response: Some((0, 2 * PAGE_SIZE)),
    gone: &[5..7],
    refused: NONE,
};

/// Not acted on, and nothing to answer in.
const NOWHERE: Case = Case {
    name: "",
    answer: Answer::BadPage,
    response: None,
    gone: &[],
    refused: Refused { bad_call: 1, ..NONE },
    ..GOOD
};

const UNKNOWN: Case = Case {
    name: "",
    answer: Answer::Done { refused: 1 },
    response: Some((UNSUPPORTED, 0)),
    gone: &[],
    refused: Refused { bad_call: 1, ..NONE },
    ..GOOD
};

const CASES: &[Case] = &[
    GOOD,
    Case { name: "request-with-an-argument", words: [DONTNEED, page(5).0, 2 * PAGE_SIZE, u64::MAX], ..GOOD },
    Case { name: "request-page-unaligned", at: PAGE.offset(3), ..GOOD },
    Case { name: "request-page-at-the-end-of-ram", at: Gpa(RAM_END.0 - BYTES), ..GOOD },
    Case { name: "request-page-across-the-end-of-ram", at: Gpa(RAM_END.0 - BYTES / 2), ..NOWHERE },
    Case { name: "request-page-outside-ram", at: RAM_END, ..NOWHERE },
    Case { name: "request-page-on-a-device", at: REQUEST_PAGE, ..NOWHERE },
    Case { name: "request-page-across-the-end-of-the-address-space", at: Gpa(u64::MAX - 7), ..NOWHERE },
    Case { name: "request-of-no-function", words: [0, page(5).0, PAGE_SIZE, 0], ..UNKNOWN },
    Case { name: "request-of-an-unknown-function", words: [15, page(5).0, PAGE_SIZE, 0], ..UNKNOWN },
    Case {
        name: "request-of-a-function-beyond-32-bits",
        words: [1 << 32 | DONTNEED, page(5).0, PAGE_SIZE, 0],
        ..UNKNOWN
    },
    Case {
        name: "request-outside-ram",
        words: [DONTNEED, RAM_END.0, PAGE_SIZE, 0],
        response: Some((FAULT, 0)),
        refused: Refused { outside: 1, ..NONE },
        ..UNKNOWN
    },
    Case {
        name: "request-of-nothing",
        words: [DONTNEED, page(5).0, 0, 0],
        response: Some((INVALID, 0)),
        refused: Refused { empty: 1, ..NONE },
        ..UNKNOWN
    },
    Case {
        name: "request-that-wraps",
        words: [DONTNEED, page(5).0, u64::MAX, 0],
        response: Some((INVALID, 0)),
        refused: Refused { wraps: 1, ..NONE },
        ..UNKNOWN
    },
];

/// The cases over one transport; none over those without request pages.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::Request {
        return Vec::new();
    }
    let test = |case: &'static Case| {
        let transport = transport.clone();
        Trial::test(format!("{}::{}", transport.name, case.name), move || check(case, &transport, facts))
    };
    CASES.iter().map(test).collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let room = RAM_END.0.saturating_sub(case.at.0) / 8;
    let words = &case.words[..usize::try_from(room.min(4))?];
    let lies_in_the_arena = (page(0)..RAM_END).contains(&case.at);
    let before = guest.ram().read_words::<4>(Gpa(RAM_END.0 - BYTES))?;
    if case.at < RAM_END {
        guest.ram().write_words(case.at, words)?;
    }
    for step in place(case.at) {
        guest.call(&[step], 0)?;
    }
    let answers = guest.call(&[CALL], 1)?;
    equal("the answer", answers[0].cast_signed(), case.answer.value().cast_signed())?;
    if let Some((expected, value)) = case.response {
        let [response, found] = guest.ram().read_words(case.at)?;
        equal("the error", error(response), expected)?;
        equal("the code", response >> 32, 0)?;
        equal("bytes acted on", found, value)?;
    }
    if lies_in_the_arena {
        // The stamp of the page that the request was written over.
        guest.ram().write_words(Gpa(RAM_END.0 - BYTES), &before)?;
    }
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut Requests::default())
}
