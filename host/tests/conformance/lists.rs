//! Lists of descriptors in a packed ring as no driver should write them.

use abi::addr::ByteRange;
use abi::axes::Carrier;
use abi::wire::packed_ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use host::axes::Coalesce;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::encoder::{Element, KICK, PackedDriver, list};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, pages};

/// One list, in a ring of a given size. It must be used, by the id of its last descriptor.
struct Case {
    name: &'static str,
    list: fn(u16) -> Vec<Element>,
    gone: &'static [Pages],
    refused: Refused,
}

const MORE: u16 = DESC_WRITE | DESC_NEXT;
const BEFORE: Element = element(pages(3, 1), 1, MORE);
const AFTER: Element = element(pages(20, 2), 2, DESC_WRITE);
/// What the descriptor between [`BEFORE`] and [`AFTER`] names.
const BETWEEN: ByteRange = pages(5, 1);
const BOTH: &[Pages] = &[3..4, 20..22];

const fn element(range: ByteRange, id: u16, flags: u16) -> Element {
    Element { range, id, flags }
}

/// Good descriptors with one in between that has these flags.
fn around(flags: u16) -> Vec<Element> {
    vec![BEFORE, element(BETWEEN, 0, flags), AFTER]
}

/// As many descriptors as there are, a page each.
fn full(size: u16) -> Vec<Element> {
    let ranges: Vec<_> = (0..u64::from(size)).map(|number| pages(number, 1)).collect();
    list(&ranges, 7)
}

const CASES: &[Case] = &[
    Case {
        name: "wrong-direction",
        list: |_| around(DESC_NEXT),
        gone: BOTH,
        refused: Refused { read_only: 1, ..NONE },
    },
    Case {
        name: "wrong-direction-alone",
        list: |_| vec![element(BETWEEN, 0, 0)],
        gone: &[],
        refused: Refused { read_only: 1, ..NONE },
    },
    Case {
        name: "indirect-not-negotiated",
        list: |_| around(DESC_INDIRECT | DESC_NEXT),
        gone: BOTH,
        refused: Refused { indirect: 1, ..NONE },
    },
    Case {
        name: "indirect-and-writable",
        list: |_| around(DESC_INDIRECT | MORE),
        gone: BOTH,
        refused: Refused { indirect: 1, ..NONE },
    },
    Case {
        name: "flags-without-meaning",
        list: |_| around(0x7f78 | MORE),
        gone: &[3..4, 5..6, 20..22],
        refused: NONE,
    },
    Case { name: "id-beyond-the-ring", list: |size| list(&[BETWEEN], size), gone: &[5..6], refused: NONE },
    Case {
        name: "id-far-beyond-the-ring",
        list: |_| list(&[BETWEEN], u16::MAX),
        gone: &[5..6],
        refused: NONE,
    },
    Case { name: "list-as-long-as-the-ring", list: full, gone: &[0..32], refused: NONE },
    Case {
        name: "list-longer-than-the-ring",
        list: |size| {
            let mut list = full(size);
            list[usize::from(size) - 1].flags = MORE;
            list
        },
        gone: &[0..32],
        refused: Refused { broken_chain: 1, ..NONE },
    },
];

/// Lists of which there are none, some, or as many as there can be; and descriptors that are not the device's turn.
type Rule = fn(&mut Guest, &mut PackedDriver) -> Checked;

const RULES: &[(&str, Rule)] = &[
    ("kick-with-nothing-available", |guest, _| {
        guest.call(&[KICK], 0)?;
        guest.expect(&[], &NONE)
    }),
    ("wrap-counter-wrong", not_its_turn),
    ("wrap-counter-wrong-on-the-second-lap", |guest, driver| {
        a_lap(guest, driver)?;
        guest.expect(&[], &Refused { empty: driver.size().into(), ..NONE })?;
        not_its_turn(guest, driver)
    }),
    ("list-goes-on-in-what-is-not-available", |guest, driver| {
        let beyond = driver.offered() + 2;
        driver.write(guest.ram(), beyond, element(pages(7, 1), 9, DESC_WRITE | wrong(driver, beyond)))?;
        driver.offer(guest.ram(), &[BEFORE, element(BETWEEN, 4, MORE)], 4)?;
        guest.call(&[KICK], 1)?;
        driver.used(guest.ram(), 1)?;
        guest.expect(&[3..4, 5..6], &Refused { broken_chain: 1, ..NONE })
    }),
    ("two-lists-a-kick", |guest, driver| {
        driver.offer(guest.ram(), &[BEFORE, AFTER], 2)?;
        driver.offer(guest.ram(), &list(&[BETWEEN], 1), 1)?;
        guest.call(&[KICK], 2)?;
        driver.used(guest.ram(), 2)?;
        guest.expect(&[3..4, 5..6, 20..22], &NONE)
    }),
    ("bad-list-between-good-ones", |guest, driver| {
        driver.offer(guest.ram(), &[AFTER], 2)?;
        driver.offer(guest.ram(), &[element(pages(7, 1), 3, 0)], 3)?;
        driver.offer(guest.ram(), &list(&[BETWEEN], 1), 1)?;
        guest.call(&[KICK], 3)?;
        driver.used(guest.ram(), 3)?;
        guest.expect(&[5..6, 20..22], &Refused { read_only: 1, ..NONE })
    }),
    ("one-id-twice", |guest, driver| {
        driver.offer(guest.ram(), &[AFTER], 2)?;
        driver.offer(guest.ram(), &[AFTER], 2)?;
        guest.call(&[KICK], 2)?;
        driver.used(guest.ram(), 2)?;
        guest.expect(&[20..22], &NONE)
    }),
    ("as-many-lists-as-entries", |guest, driver| {
        for page in 0..driver.size() {
            driver.offer(guest.ram(), &list(&[pages(page.into(), 1)], page), page)?;
        }
        guest.call(&[KICK], driver.size().into())?;
        driver.used(guest.ram(), driver.size().into())?;
        guest.expect(&[0..32], &NONE)
    }),
    ("many-laps", |guest, driver| {
        for _ in 0..99 {
            a_lap(guest, driver)?;
        }
        // Lists of three: they go from one lap into the next at each place in turn.
        for _ in 0..40 {
            driver.offer(guest.ram(), &[BEFORE, element(BETWEEN, 0, MORE), AFTER], 2)?;
            guest.call(&[KICK], 1)?;
            driver.used(guest.ram(), 1)?;
        }
        guest.expect(&[3..4, 5..6, 20..22], &Refused { empty: 99 * u64::from(driver.size()), ..NONE })
    }),
];

/// Lists of nothing all around the ring.
fn a_lap(guest: &mut Guest, driver: &mut PackedDriver) -> Checked {
    for id in 0..driver.size() {
        driver.offer(guest.ram(), &list(&[pages(5, 0)], id), id)?;
    }
    guest.call(&[KICK], driver.size().into())?;
    driver.used(guest.ram(), driver.size().into())
}

/// The two bits of a descriptor whose driver has the wrap counter of another lap.
fn wrong(driver: &PackedDriver, number: u64) -> u16 {
    driver.available(number + u64::from(driver.size()))
}

/// The next descriptor is written, and not made available: by the other wrap counter, or as one that is used.
fn not_its_turn(guest: &mut Guest, driver: &mut PackedDriver) -> Checked {
    let next = driver.offered();
    let both = driver.available(next) | wrong(driver, next);
    for turn in [wrong(driver, next), both, 0] {
        driver.write(guest.ram(), next, element(BETWEEN, 0, DESC_WRITE | turn))?;
        guest.call(&[KICK], 0)?;
        guest.expect(&[], &NONE)?;
    }
    Ok(())
}

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::PackedRing {
        // Chains have cases of the same names.
        return Vec::new();
    }
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let transport = transport.clone();
        Trial::test(format!("{}::{name}", transport.name), move || check(&transport))
    };
    let cases = CASES
        .iter()
        .map(|case| test(case.name, Box::new(move |transport| check_list(case, transport, facts))));
    let rules = RULES
        .iter()
        .map(|(name, rule)| test(name, Box::new(move |transport| check_rule(*rule, transport, facts))));
    cases.chain(rules).collect()
}

fn check_list(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = PackedDriver::new(transport.way.ring_features);
    let list = (case.list)(driver.size());
    let id = list.last().map_or(0, |element| element.id);
    driver.offer(guest.ram(), &list, id)?;
    guest.call(&[KICK], 1)?;
    driver.used(guest.ram(), 1)?;
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut driver)
}

fn check_rule(rule: Rule, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = PackedDriver::new(transport.way.ring_features);
    rule(&mut guest, &mut driver)?;
    guest.still_served(&mut driver)
}
