//! Descriptor chains and available rings as no driver should write them. Lists of a packed ring: see [`crate::lists`].

use abi::addr::ByteRange;
use abi::axes::Carrier;
use abi::wire::split_ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use abi::wire::virtio::balloon::REPORTING_QUEUE;
use abi::wire::virtio::status;
use host::axes::Coalesce;
use host::balloon::RingError;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{Descriptor, KICK, SplitDriver, chain, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, pages};

/// One chain, from descriptor 0 on, in a table of a given size. It must be acknowledged.
struct Case {
    name: &'static str,
    table: fn(u16) -> Vec<Descriptor>,
    gone: &'static [Pages],
    refused: Refused,
}

const MORE: u16 = DESC_WRITE | DESC_NEXT;
const BEFORE: Descriptor = descriptor(pages(3, 1), MORE, 1);
const AFTER: Descriptor = descriptor(pages(20, 2), DESC_WRITE, 0);
/// What the descriptor between [`BEFORE`] and [`AFTER`] names.
const BETWEEN: ByteRange = pages(5, 1);
const BOTH: &[Pages] = &[3..4, 20..22];

const fn descriptor(range: ByteRange, flags: u16, next: u16) -> Descriptor {
    Descriptor { range, flags, next }
}

/// Good descriptors with one in between that has these flags.
fn around(flags: u16) -> Vec<Descriptor> {
    vec![BEFORE, descriptor(BETWEEN, flags, 2), AFTER]
}

/// As many descriptors as there are, a page each.
fn full(size: u16) -> Vec<Descriptor> {
    let ranges: Vec<_> = (0..u64::from(size)).map(|number| pages(number, 1)).collect();
    chain(&ranges)
}

const CASES: &[Case] = &[
    Case {
        name: "wrong-direction",
        table: |_| around(DESC_NEXT),
        gone: BOTH,
        refused: Refused { read_only: 1, ..NONE },
    },
    Case {
        name: "wrong-direction-alone",
        table: |_| vec![descriptor(BETWEEN, 0, 0)],
        gone: &[],
        refused: Refused { read_only: 1, ..NONE },
    },
    Case {
        name: "indirect-not-negotiated",
        table: |_| around(DESC_INDIRECT | DESC_NEXT),
        gone: BOTH,
        refused: Refused { indirect: 1, ..NONE },
    },
    Case {
        name: "indirect-and-writable",
        table: |_| around(DESC_INDIRECT | MORE),
        gone: BOTH,
        refused: Refused { indirect: 1, ..NONE },
    },
    Case {
        name: "flags-without-meaning",
        table: |_| around(0xfff8 | MORE),
        gone: &[3..4, 5..6, 20..22],
        refused: NONE,
    },
    Case {
        name: "next-without-its-flag",
        table: |_| vec![descriptor(BETWEEN, DESC_WRITE, u16::MAX)],
        gone: &[5..6],
        refused: NONE,
    },
    Case {
        name: "chain-loop",
        table: |_| vec![BEFORE, descriptor(BETWEEN, MORE, 0)],
        gone: &[3..4, 5..6],
        refused: Refused { broken_chain: 1, ..NONE },
    },
    Case {
        name: "chain-loop-of-one",
        table: |_| vec![descriptor(BETWEEN, MORE, 0)],
        gone: &[5..6],
        refused: Refused { broken_chain: 1, ..NONE },
    },
    Case { name: "chain-as-long-as-the-ring", table: full, gone: &[0..32], refused: NONE },
    Case {
        name: "chain-longer-than-the-ring",
        table: |size| {
            let mut table = full(size);
            table[usize::from(size) - 1].flags = MORE;
            table[usize::from(size) - 1].next = 0;
            table
        },
        gone: &[0..32],
        refused: Refused { broken_chain: 1, ..NONE },
    },
    Case {
        name: "next-beyond-the-table",
        table: |size| vec![BEFORE, descriptor(BETWEEN, MORE, size)],
        gone: &[3..4, 5..6],
        refused: Refused { broken_chain: 1, ..NONE },
    },
    Case {
        name: "next-far-beyond-the-table",
        table: |_| vec![BEFORE, descriptor(BETWEEN, MORE, u16::MAX)],
        gone: &[3..4, 5..6],
        refused: Refused { broken_chain: 1, ..NONE },
    },
];

/// Chains in the available ring, of which there may be none, some, or more than there can be.
type Rule = fn(&mut Guest, &mut SplitDriver) -> Checked;

const RULES: &[(&str, Rule)] = &[
    ("kick-with-nothing-available", |guest, driver| {
        guest.call(&[KICK], 0)?;
        driver.used(guest.ram(), &[])
    }),
    ("two-chains-a-kick", |guest, driver| {
        driver.table(guest.ram(), &[AFTER, descriptor(BETWEEN, DESC_WRITE, 0)])?;
        driver.offer(guest.ram(), 1)?;
        driver.offer(guest.ram(), 0)?;
        guest.call(&[KICK], 2)?;
        driver.used(guest.ram(), &[1, 0])?;
        guest.expect(&[5..6, 20..22], &NONE)
    }),
    ("bad-chain-between-good-ones", |guest, driver| {
        let bad = descriptor(pages(7, 1), MORE, 0xfff);
        driver.table(guest.ram(), &[AFTER, bad, descriptor(BETWEEN, DESC_WRITE, 0)])?;
        for head in [0, 1, 2] {
            driver.offer(guest.ram(), head)?;
        }
        guest.call(&[KICK], 3)?;
        driver.used(guest.ram(), &[0, 1, 2])?;
        guest.expect(&[5..6, 7..8, 20..22], &Refused { broken_chain: 1, ..NONE })
    }),
    ("one-chain-twice", |guest, driver| {
        driver.table(guest.ram(), &[AFTER])?;
        driver.offer(guest.ram(), 0)?;
        driver.offer(guest.ram(), 0)?;
        guest.call(&[KICK], 2)?;
        driver.used(guest.ram(), &[0, 0])?;
        guest.expect(&[20..22], &NONE)
    }),
    ("as-many-chains-as-entries", |guest, driver| {
        let single = |page| descriptor(pages(page, 1), DESC_WRITE, 0);
        let table: Vec<_> = (0..u64::from(driver.size())).map(single).collect();
        driver.table(guest.ram(), &table)?;
        let heads: Vec<_> = (0..driver.size()).rev().collect();
        for head in &heads {
            driver.offer(guest.ram(), *head)?;
        }
        guest.call(&[KICK], heads.len() as u64)?;
        driver.used(guest.ram(), &heads)?;
        guest.expect(&[0..32], &NONE)
    }),
    ("index-past-16-bits", |guest, driver| {
        // Nothing is in the chain, to be quick.
        driver.table(guest.ram(), &[descriptor(pages(5, 0), DESC_WRITE, 0)])?;
        let (chains, rounds) = (driver.size(), (1 << 16) / u64::from(driver.size()) + 1);
        for _ in 0..rounds {
            for _ in 0..chains {
                driver.offer(guest.ram(), 0)?;
            }
            guest.call(&[KICK], chains.into())?;
        }
        driver.used(guest.ram(), &[0])?;
        guest.expect(&[], &Refused { empty: rounds * u64::from(chains), ..NONE })
    }),
];

/// What breaks the ring for good, and the error it must be called by.
type Break = (&'static str, fn(&Guest, &mut SplitDriver) -> Checked, fn(&RingError, u16) -> bool);

const BREAKS: &[Break] = &[
    (
        "head-beyond-the-table",
        |guest, driver| driver.offer(guest.ram(), driver.size()),
        |error, size| matches!(error, RingError::Head { queue: REPORTING_QUEUE, head, size: entries } if (*head, *entries) == (size, size)),
    ),
    (
        "head-far-beyond-the-table",
        |guest, driver| driver.offer(guest.ram(), u16::MAX),
        |error, _| matches!(error, RingError::Head { queue: REPORTING_QUEUE, head: u16::MAX, .. }),
    ),
    (
        "available-index-jump",
        |guest, driver| driver.move_on(guest.ram(), driver.size() + 1),
        |error, _| matches!(error, RingError::AvailableJump { queue: REPORTING_QUEUE }),
    ),
    (
        "available-index-back",
        |guest, driver| driver.move_on(guest.ram(), u16::MAX),
        |error, _| matches!(error, RingError::AvailableJump { queue: REPORTING_QUEUE }),
    ),
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier == Carrier::PackedRing {
        // Lists have cases of the same names.
        return Vec::new();
    }
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let name = format!("{}::{name}", transport.name);
        if transport.way.carrier != Carrier::Ring {
            return ignored(name, "no split ring");
        }
        let transport = transport.clone();
        Trial::test(name, move || check(&transport))
    };
    let cases = CASES
        .iter()
        .map(|case| test(case.name, Box::new(move |transport| check_chain(case, transport, facts))));
    let rules = RULES
        .iter()
        .map(|(name, rule)| test(name, Box::new(move |transport| check_rule(*rule, transport, facts))));
    let breaks = BREAKS
        .iter()
        .map(|broken| test(broken.0, Box::new(move |transport| check_break(broken, transport, facts))));
    cases.chain(rules).chain(breaks).collect()
}

fn check_chain(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = SplitDriver::new(transport.way.ring_features);
    driver.table(guest.ram(), &(case.table)(driver.size()))?;
    driver.offer(guest.ram(), 0)?;
    guest.call(&[KICK], 1)?;
    driver.used(guest.ram(), &[0])?;
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut driver)
}

fn check_rule(rule: Rule, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = SplitDriver::new(transport.way.ring_features);
    rule(&mut guest, &mut driver)?;
    guest.still_served(&mut driver)
}

/// A broken ring is a typed error, and the device asks for a reset and does nothing more.
fn check_break((_, write, is_expected): &Break, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = SplitDriver::new(transport.way.ring_features);
    driver.table(guest.ram(), &[AFTER])?;
    write(&guest, &mut driver)?;
    let error = guest.break_ring()?;
    if !is_expected(&error, driver.size()) {
        return Err(format!("broken by another name: {error:?}").into());
    }
    let needs_reset = status::DEVICE_NEEDS_RESET | status::DRIVER_OK;
    equal("the status", guest.rig.device_status() & needs_reset, needs_reset)?;
    equal("the used index", driver.used_index(guest.ram())?, 0)?;
    guest.expect(&[], &NONE)
}
