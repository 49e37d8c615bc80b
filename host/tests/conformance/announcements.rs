//! Ranges that were announced by a call before they are on the ring, and ranges that were not.

use abi::addr::{ByteRange, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, Operation};
use abi::step::Step;
use host::axes::Coalesce;
use host::axes::RingFeatures;
use host::memory::GuestRam;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, Transport};
use crate::encoder::{Encoder, KICK, SplitDriver, chain, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, bytes, pages};

/// A call for each range of which there is something to discard, then all of them as a chain.
pub(crate) struct Announcing(SplitDriver);

impl Announcing {
    pub(crate) fn new() -> Self {
        Self(SplitDriver::new(RingFeatures::NONE))
    }
}

impl Encoder for Announcing {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let good = ranges.iter().filter_map(|range| range.inward().ok()).filter(|range| ram.contains(*range));
        let mut steps: Vec<_> = good.map(|range| announce(range.as_bytes())).collect();
        steps.extend(self.0.encode(ram, ranges)?);
        Ok(steps)
    }

    fn acknowledged(&self, ram: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        let (_, announced) = answers.split_last().ok_or("no call was made")?;
        equal("announcements refused", announced.iter().sum(), 0)?;
        self.0.acknowledged(ram, answers, refused)
    }
}

const fn announce(range: ByteRange) -> Step {
    Step::Call { word: Operation::Announce.word(), gpa: range.gpa.0, pages: range.len / PAGE_SIZE }
}

/// What is announced, with the answers, and what is reported then.
struct Case {
    name: &'static str,
    announced: &'static [(ByteRange, u64)],
    reported: &'static [ByteRange],
    gone: &'static [Pages],
    refused: Refused,
}

const UNANNOUNCED: Refused = Refused { unannounced: 1, ..NONE };
const REFUSED: u64 = Answer::Done { refused: 1 }.value();

const CASES: &[Case] = &[
    Case {
        name: "range-that-no-call-announced",
        announced: &[(pages(3, 1), 0)],
        reported: &[pages(3, 1), pages(5, 2)],
        gone: &[3..4],
        refused: UNANNOUNCED,
    },
    Case {
        name: "range-announced-in-part",
        announced: &[(pages(5, 1), 0)],
        reported: &[pages(5, 2)],
        gone: &[],
        refused: UNANNOUNCED,
    },
    Case {
        name: "range-announced-in-parts",
        announced: &[(pages(6, 1), 0), (pages(5, 1), 0)],
        reported: &[pages(5, 2)],
        gone: &[5..7],
        refused: NONE,
    },
    Case {
        name: "range-announced-among-others",
        announced: &[(pages(0, 100), 0)],
        reported: &[pages(5, 2), pages(70, 1)],
        gone: &[5..7, 70..71],
        refused: NONE,
    },
    Case {
        name: "range-announced-twice",
        announced: &[(pages(5, 2), 0), (pages(5, 2), 0)],
        reported: &[pages(5, 2)],
        gone: &[5..7],
        refused: NONE,
    },
    Case {
        name: "range-announced-and-not-reported",
        announced: &[(pages(5, 2), 0)],
        reported: &[],
        gone: &[],
        refused: NONE,
    },
    Case {
        name: "announcement-outside-ram",
        announced: &[(bytes(RAM_END, PAGE_SIZE), REFUSED)],
        reported: &[],
        gone: &[],
        refused: Refused { outside: 1, ..NONE },
    },
];

/// The cases over one transport; none over those without announcements.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::CallAndRing {
        return Vec::new();
    }
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let transport = transport.clone();
        Trial::test(format!("{}::{name}", transport.name), move || check(&transport))
    };
    let again =
        test("announcement-of-the-report-before", Box::new(|transport| check_again(transport, facts)));
    CASES
        .iter()
        .map(|case| test(case.name, Box::new(move |transport| check(case, transport, facts))))
        .chain([again])
        .collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = Announcing::new();
    for (range, answer) in case.announced {
        equal("the answer", guest.call(&[announce(*range)], 1)?, vec![*answer])?;
    }
    if !case.reported.is_empty() {
        report_only(&mut guest, &mut driver, case.reported)?;
    }
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut driver)
}

/// An announcement is for one report.
fn check_again(transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = Announcing::new();
    guest.report(&mut driver, &[pages(5, 2)], 0)?;
    guest.expect(&[5..7], &NONE)?;
    report_only(&mut guest, &mut driver, &[pages(5, 2)])?;
    guest.expect(&[], &UNANNOUNCED)?;
    guest.still_served(&mut driver)
}

/// Reports ranges without a word before.
fn report_only(guest: &mut Guest, driver: &mut Announcing, ranges: &[ByteRange]) -> Checked {
    driver.0.table(guest.ram(), &chain(ranges))?;
    driver.0.offer(guest.ram(), 0)?;
    guest.call(&[KICK], 1)?;
    driver.0.used(guest.ram(), &[0])
}
