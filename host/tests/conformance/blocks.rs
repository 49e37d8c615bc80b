//! Pages with a status an entry: their encoder, and those that are none.

use abi::addr::{ByteRange, Gpa, Order, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, Operation};
use abi::layout::vcpu;
use abi::step::Step;
use abi::wire::status::{CAPACITY, ENTRY_SIZE, INVALID, SUCCESS, UNANSWERED, entry, status};
use host::axes::Coalesce;
use host::memory::GuestRam;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, Transport};
use crate::encoder::{Encoder, REFUSED_BY_KVM, equal, refused_by_kvm};
use crate::guest::{Guest, NONE};
use crate::memory::{ARENA_PAGES, Pages, RAM_END, page};

const PAGE: Gpa = vcpu::in_place(0);

/// Why a page of entries cannot name a range, if it cannot: a good one may be several entries, a bad one is one.
pub(crate) fn cannot_name(range: ByteRange) -> Option<&'static str> {
    let pages = range.len / PAGE_SIZE;
    let is_memory = range.gpa.0.checked_add(range.len).is_some_and(|end| end <= RAM_END.0);
    match pages {
        _ if !range.len.is_multiple_of(PAGE_SIZE) || !range.gpa.is_page_aligned() => {
            Some("an entry names a whole page")
        }
        0 => Some("an entry names a page"),
        1 => None,
        _ if pages > CAPACITY => Some("a page holds 512 entries"),
        _ if is_memory => None,
        _ => Some("an entry names no more than a page"),
    }
}

/// An entry a page.
#[derive(Default)]
pub(crate) struct StatusPage {
    count: u64,
}

impl Encoder for StatusPage {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let pages = |range: &ByteRange| {
            let first = range.gpa;
            (0..range.len / PAGE_SIZE).map(move |number| entry(first.offset(number * PAGE_SIZE).pfn()))
        };
        let entries: Vec<_> = ranges.iter().flat_map(pages).collect();
        ram.write_words(PAGE, &entries)?;
        self.count = entries.len() as u64;
        Ok(vec![call(u16::try_from(self.count)?, false, PAGE)])
    }

    fn acknowledged(&self, ram: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        let mut bad = 0;
        for number in 0..self.count {
            bad += u64::from(status(ram.read(PAGE.offset(number * ENTRY_SIZE))?) != SUCCESS);
        }
        equal("entries refused", bad, refused)?;
        equal("the answer", answers[0], refused)
    }
}

const fn call(count: u16, huge: bool, page: Gpa) -> Step {
    Step::Call { word: Operation::Status { count, huge }.word(), gpa: page.0, pages: 1 }
}

/// One call, with these entries from the beginning of a page.
struct Case {
    name: &'static str,
    at: Gpa,
    entries: &'static [u64],
    count: u16,
    huge: bool,
    answer: Answer,
    /// The statuses of the entries afterwards.
    statuses: &'static [u64],
    gone: &'static [Pages],
    refused: Refused,
}

const fn of(gpa: Gpa) -> u64 {
    entry(gpa.pfn())
}

const GOOD: Case = Case {
    name: "status-of-two-pages",
    at: PAGE,
    entries: &[of(page(5)), of(page(9)), of(page(11))],
    count: 2,
    huge: false,
    answer: Answer::Done { refused: 0 },
    statuses: &[SUCCESS, SUCCESS, UNANSWERED],
    gone: &[5..6, 9..10],
    refused: NONE,
};

/// A call that means nothing.
const BAD: Case = Case {
    name: "",
    answer: Answer::BadPage,
    statuses: &[],
    gone: &[],
    refused: Refused { bad_call: 1, ..NONE },
    ..GOOD
};

const HUGE: u64 = Order::HUGE.pages();
/// The frame after the last there is.
const BEYOND: u64 = u64::MAX << 12;

const CASES: &[Case] = &[
    GOOD,
    Case {
        name: "status-of-bad-entries-among-good-ones",
        entries: &[of(page(5)), of(RAM_END), of(page(9)), BEYOND],
        count: 4,
        answer: Answer::Done { refused: 2 },
        statuses: &[SUCCESS, INVALID, SUCCESS, INVALID],
        refused: Refused { outside: 1, wraps: 1, ..NONE },
        ..GOOD
    },
    Case {
        name: "status-of-huge-pages",
        entries: &[of(page(HUGE)), of(page(ARENA_PAGES)), of(page(0))],
        count: 2,
        huge: true,
        answer: Answer::Done { refused: 1 },
        statuses: &[SUCCESS, INVALID, UNANSWERED],
        gone: &[HUGE..2 * HUGE],
        refused: Refused { outside: 1, ..NONE },
        ..GOOD
    },
    Case {
        name: "status-of-a-huge-page-across-the-end-of-ram",
        entries: &[of(page(HUGE + 1)), of(page(5))],
        count: 1,
        huge: true,
        answer: Answer::Done { refused: 1 },
        statuses: &[INVALID, UNANSWERED],
        gone: &[],
        refused: Refused { outside: 1, ..NONE },
        ..GOOD
    },
    Case {
        name: "status-with-all-other-bits-set",
        entries: &[of(page(5)) | 0xfff, of(page(9)) & !0xfff],
        statuses: &[SUCCESS, SUCCESS],
        ..GOOD
    },
    Case { name: "status-of-none", count: 0, statuses: &[UNANSWERED; 3], gone: &[], ..GOOD },
    Case { name: "status-count-over-512", count: 513, answer: Answer::TooMany, ..BAD },
    Case { name: "status-count-of-all-ones", count: u16::MAX, answer: Answer::TooMany, ..BAD },
    Case { name: "status-page-outside-ram", at: RAM_END, ..BAD },
    Case { name: "status-page-across-the-end-of-ram", at: Gpa(RAM_END.0 - PAGE_SIZE / 2), ..BAD },
    Case { name: "status-page-unaligned", at: PAGE.offset(ENTRY_SIZE), ..BAD },
    Case { name: "status-page-last-of-the-address-space", at: Gpa(u64::MAX - (PAGE_SIZE - 1)), ..BAD },
];

/// The cases over one transport; none over those without such pages.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::Status {
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
    guest.ram().write_words(PAGE, case.entries)?;
    let call = call(case.count, case.huge, case.at);
    if refused_by_kvm(transport, case.at, 1) {
        equal("KVM's answer", guest.call(&[call], 0)?, vec![REFUSED_BY_KVM])?;
        guest.expect(&[], &NONE)?;
    } else {
        let answers = guest.call(&[call], 1)?;
        equal("the answer", answers[0].cast_signed(), case.answer.value().cast_signed())?;
        for (number, expected) in (0..).zip(case.statuses) {
            let found = guest.ram().read(PAGE.offset(number * ENTRY_SIZE))?;
            equal("a status", status(found), *expected)?;
        }
        guest.expect(case.gone, &case.refused)?;
    }
    guest.still_served(&mut StatusPage::default())
}
