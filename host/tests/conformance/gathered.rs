//! Logs whose entries take one another back, and words that are written where words are queued.

use abi::addr::{ByteRange, Gpa, Order, PAGE_SIZE, PageRange, Pfn};
use abi::axes::Carrier;
use abi::calls::{Answer, CALL_PORT, Operation, STORE_PORT};
use abi::layout::{BATCH, STORE_MMIO};
use abi::step::Step;
use abi::wire::log::{self, State};
use abi::wire::{page as batch_page, store};
use host::axes::{Coalesce, Doorbell};
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, Transport};
use crate::encoder::{encoder, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, bytes, page, pages};
use State::{Stable, Unused};

/// A log.
struct Said {
    name: &'static str,
    entries: &'static [(ByteRange, State)],
    gone: &'static [Pages],
    refused: Refused,
}

const OUTSIDE: Refused = Refused { outside: 1, ..NONE };
const BAD_CALL: Refused = Refused { bad_call: 1, ..NONE };

const LOGS: &[Said] = &[
    Said {
        name: "stable-after-unused",
        entries: &[(pages(3, 1), Unused), (pages(5, 1), Unused), (pages(3, 1), Stable)],
        gone: &[5..6],
        refused: NONE,
    },
    Said {
        name: "unused-after-stable",
        entries: &[(pages(3, 1), Stable), (pages(5, 1), Unused), (pages(3, 1), Unused)],
        gone: &[3..4, 5..6],
        refused: NONE,
    },
    Said {
        name: "unused-after-stable-after-unused",
        entries: &[(pages(3, 1), Unused), (pages(3, 1), Stable), (pages(3, 1), Unused)],
        gone: &[3..4],
        refused: NONE,
    },
    Said {
        name: "entry-twice",
        entries: &[(pages(3, 1), Unused), (pages(3, 1), Unused)],
        gone: &[3..4],
        refused: NONE,
    },
    Said { name: "stable-alone", entries: &[(pages(3, 1), Stable)], gone: &[], refused: NONE },
    Said {
        name: "stable-inside-unused",
        entries: &[(pages(100, 200), Unused), (pages(110, 3), Stable), (pages(290, 20), Stable)],
        gone: &[100..110, 113..290],
        refused: NONE,
    },
    Said {
        name: "stable-around-unused",
        entries: &[(pages(110, 3), Unused), (pages(100, 200), Stable), (pages(250, 1), Unused)],
        gone: &[250..251],
        refused: NONE,
    },
    Said {
        name: "stable-outside-ram",
        entries: &[(pages(3, 1), Unused), (bytes(RAM_END, PAGE_SIZE), Stable)],
        gone: &[3..4],
        refused: OUTSIDE,
    },
    Said {
        // It is refused as a whole, and takes nothing back.
        name: "stable-across-the-end-of-ram",
        entries: &[(pages(1023, 1), Unused), (pages(1023, 2), Stable)],
        gone: &[1023..1024],
        refused: OUTSIDE,
    },
    Said {
        name: "stable-of-nothing",
        entries: &[(pages(3, 1), Unused), (pages(3, 0), Stable)],
        gone: &[3..4],
        refused: Refused { empty: 1, ..NONE },
    },
];

/// A call of a log whose entries name the first 511 pages of the arena.
type Call = (&'static str, u16, Gpa, Answer, &'static [Pages]);

const CALLS: &[Call] = &[
    ("log-of-none", 0, BATCH, Answer::Done { refused: 0 }, &[]),
    ("log-of-511", 511, BATCH, Answer::Done { refused: 0 }, &[0..511]),
    ("log-index-over-the-page", 512, BATCH, Answer::TooMany, &[]),
    ("log-index-of-all-ones", u16::MAX, BATCH, Answer::TooMany, &[]),
    ("log-outside-ram", 1, RAM_END, Answer::BadPage, &[]),
    ("log-across-the-end-of-ram", 511, Gpa(RAM_END.0 - PAGE_SIZE / 2), Answer::BadPage, &[]),
    ("log-unaligned", 1, Gpa(BATCH.0 + 8), Answer::BadPage, &[]),
];

/// One write, and what becomes of it.
type Write = (&'static str, Step, &'static [Pages], Refused);

/// The cases over one transport; none where nothing is gathered or written.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let transport = transport.clone();
        Trial::test(format!("{}::{name}", transport.name), move || check(&transport))
    };
    match transport.way.carrier {
        Carrier::Log => {
            let logs =
                LOGS.iter().map(|said| test(said.name, Box::new(move |over| check_log(said, over, facts))));
            let calls =
                CALLS.iter().map(|call| test(call.0, Box::new(move |over| check_call(call, over, facts))));
            logs.chain(calls).collect()
        }
        Carrier::Store => {
            let write = |write: Write| {
                test(write.0, Box::new(move |over: &Transport| check_write(&write, over, facts)))
            };
            let mut tests: Vec<_> = writes(transport).into_iter().map(write).collect();
            if transport.way.doorbell.is_coalesced() {
                tests.push(test("more-than-kvm-queues", Box::new(|over| check_full(over, facts))));
                tests.push(test(
                    "nothing-is-taken-before-the-call",
                    Box::new(|over| check_early(over, facts)),
                ));
            }
            tests
        }
        _ => Vec::new(),
    }
}

fn check_log(said: &Said, transport: &Transport, facts: &Facts) -> Checked {
    let entry = |(range, state): &(ByteRange, State)| {
        let state = if *state == Stable { 1 << 11 } else { 0 };
        range.gpa.0 | state | (range.len / PAGE_SIZE)
    };
    let entries: Vec<_> = said.entries.iter().map(entry).collect();
    let count = u16::try_from(entries.len())?;
    let answer = Answer::Done { refused: u16::try_from(said.refused.total())? };
    check_entries(&entries, (count, BATCH, answer), (said.gone, &said.refused), transport, facts)
}

fn check_call((_, count, gpa, answer, gone): &Call, transport: &Transport, facts: &Facts) -> Checked {
    let entries: Vec<_> = (0..log::CAPACITY).map(|number| page(number).0 | 1).collect();
    let refused = if matches!(answer, Answer::Done { .. }) { NONE } else { BAD_CALL };
    check_entries(&entries, (*count, *gpa, *answer), (gone, &refused), transport, facts)
}

fn check_entries(
    entries: &[u64],
    (count, gpa, answer): (u16, Gpa, Answer),
    (gone, refused): (&[Pages], &Refused),
    transport: &Transport,
    facts: &Facts,
) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    guest.ram().write_words(BATCH.offset(batch_page::ENTRIES), entries)?;
    let call = Step::Call { word: Operation::Log { count }.word(), gpa: gpa.0, pages: 1 };
    if crate::encoder::refused_by_kvm(transport, gpa, 1) {
        return equal("KVM's answer", guest.call(&[call], 0)?, vec![crate::encoder::REFUSED_BY_KVM]);
    }
    let answers = guest.call(&[call], 1)?;
    equal("the answer", answers[0].cast_signed(), answer.value().cast_signed())?;
    guest.expect(gone, refused)?;
    guest.still_served(encoder(transport).as_mut())
}

const fn word(frame: u64, order: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^28")]
    let frame = frame as u32;
    frame << 4 | order
}

/// The writes to where this transport's are made.
fn writes(transport: &Transport) -> Vec<Write> {
    let to_port = matches!(transport.way.doorbell, Doorbell::Port | Doorbell::CoalescedPort);
    let of_word = |value| {
        if to_port { Step::Out { port: STORE_PORT, value } } else { Step::Store { gpa: STORE_MMIO.0, value } }
    };
    let short = if to_port {
        Step::Out8 { port: STORE_PORT, value: 0 }
    } else {
        Step::Store16 { gpa: STORE_MMIO.0, value: 0 }
    };
    let frame = |gpa: Gpa| gpa.0 / PAGE_SIZE;
    vec![
        ("largest-block", of_word(word(frame(page(0)), 10)), &[0..1024], NONE),
        ("unaligned-block", of_word(word(frame(page(3)), 2)), &[3..7], NONE),
        ("write-outside-ram", of_word(word(frame(RAM_END), 0)), &[], OUTSIDE),
        ("block-across-the-end-of-ram", of_word(word(frame(page(1023)), 1)), &[], OUTSIDE),
        ("last-frame-there-is", of_word(word((1 << 28) - 1, 0)), &[], OUTSIDE),
        ("order-above-the-largest", of_word(word(frame(page(3)), 11)), &[], BAD_CALL),
        ("all-ones", of_word(u32::MAX), &[], BAD_CALL),
        ("write-of-another-length", short, &[], BAD_CALL),
    ]
}

const FLUSH: Step = Step::Out { port: CALL_PORT, value: Operation::Kick.word() };

fn check_write((_, step, gone, refused): &Write, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    if transport.way.doorbell.is_coalesced() {
        guest.call(&[*step, FLUSH], 1)?;
    } else {
        guest.call(&[*step], 1)?;
    }
    guest.expect(gone, refused)?;
    guest.still_served(encoder(transport).as_mut())
}

/// A write that finds the queue full exits, and what is queued is taken before it. There is no call that its guest made.
fn check_full(transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    // Before Linux 6.12 KVM takes half of its queue for all of it, but not twice in a row.
    let first = until_full(&mut guest, 0)?;
    if ![store::QUEUE / 2 + 2, store::QUEUE + 1].contains(&first) {
        return Err(format!("the first write that exits is number {first}").into());
    }
    guest.expect(&[0..first], &NONE)?;
    let second = until_full(&mut guest, first)?;
    equal("writes until the second exits", second, store::QUEUE + 1)?;
    guest.expect(&[first..first + second], &NONE)?;
    let rest = first + second..first + second + 10;
    let steps: Vec<_> = rest.clone().map(write_of).chain([FLUSH]).collect();
    guest.call(&steps, 1)?;
    guest.expect(&[rest], &NONE)?;
    guest.still_served(encoder(transport).as_mut())
}

const fn write_of(number: u64) -> Step {
    Step::Call { word: word(page(number).0 / PAGE_SIZE, 0), gpa: 0, pages: 0 }
}

/// Writes from page `from` on until that is gone; how many writes it took.
fn until_full(guest: &mut Guest, from: u64) -> Result<u64, Failed> {
    let oldest = PageRange::block(Pfn(page(from).0 / PAGE_SIZE), Order::PAGE);
    for writes in 1..=store::QUEUE + 1 {
        guest.call(&[write_of(from + writes - 1)], 0)?;
        // Not read, which would bring it back.
        if guest.rig.resident(oldest)? == [false] {
            return Ok(writes);
        }
    }
    Err("no write has found the queue full".into())
}

/// A page that is queued is as it was, whatever else exits.
fn check_early(transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let steps = encoder(transport).encode(guest.ram(), &[pages(3, 1), pages(8, 8)])?;
    let (writes, flush) = steps.split_at(steps.len() - 1);
    guest.call(writes, 0)?;
    guest.expect(&[], &NONE)?;
    guest.call(flush, 1)?;
    guest.expect(&[3..4, 8..16], &NONE)
}
