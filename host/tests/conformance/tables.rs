//! Indirect tables as no driver should write them; the same cases for both formats of a ring.

use abi::addr::{ByteRange, Gpa};
use abi::axes::Carrier;
use abi::wire::split_ring::{DESC_INDIRECT, DESC_SIZE, DESC_WRITE};
use abi::wire::{indirect, virtio::balloon::QUEUE_MAX};
use host::axes::Coalesce;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{KICK, PackedDriver, SplitDriver, Tables, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, bytes, pages};

/// One table, of ranges and flags, in a ring of a given size. What points to it must be used.
struct Case {
    name: &'static str,
    table: fn(u16) -> Vec<(ByteRange, u16)>,
    /// What it is said to be, if that is not where and what it is.
    pointed: Option<fn(u16) -> ByteRange>,
    gone: &'static [Pages],
    refused: Refused,
    /// Whether the device goes through it at all.
    seen: bool,
}

const BEFORE: (ByteRange, u16) = (pages(3, 1), DESC_WRITE);
const AFTER: (ByteRange, u16) = (pages(20, 2), DESC_WRITE);
/// What the descriptor between [`BEFORE`] and [`AFTER`] names.
const BETWEEN: ByteRange = pages(5, 1);
const BOTH: &[Pages] = &[3..4, 20..22];
const NO_TABLE: Refused = Refused { table: 1, ..NONE };
const OUTSIDE: Refused = Refused { outside: 1, ..NONE };

/// Good descriptors with one in between that has these flags.
fn around(flags: u16) -> Vec<(ByteRange, u16)> {
    vec![BEFORE, (BETWEEN, flags), AFTER]
}

/// As many descriptors as the ring has, and so many more, a page each.
fn full(size: u16, more: u64) -> Vec<(ByteRange, u16)> {
    (0..u64::from(size) + more).map(|number| (pages(number, 1), DESC_WRITE)).collect()
}

/// So many bytes from the beginning of the table on.
const fn of(len: u64) -> ByteRange {
    bytes(indirect::AT, len)
}

const fn refused(name: &'static str, pointed: fn(u16) -> ByteRange, refused: Refused) -> Case {
    Case { name, table: |_| around(DESC_WRITE), pointed: Some(pointed), gone: &[], refused, seen: false }
}

const fn seen(
    name: &'static str,
    table: fn(u16) -> Vec<(ByteRange, u16)>,
    gone: &'static [Pages],
    refused: Refused,
) -> Case {
    Case { name, table, pointed: None, gone, refused, seen: true }
}

const CASES: &[Case] = &[
    seen("table", |_| around(DESC_WRITE), &[3..4, 5..6, 20..22], NONE),
    seen("table-of-wrong-direction", |_| around(0), BOTH, Refused { read_only: 1, ..NONE }),
    seen("table-in-a-table", |_| around(DESC_INDIRECT), BOTH, Refused { indirect: 1, ..NONE }),
    seen(
        "table-in-a-table-that-is-writable",
        |_| around(DESC_INDIRECT | DESC_WRITE),
        BOTH,
        Refused { indirect: 1, ..NONE },
    ),
    seen("table-as-long-as-the-ring", |size| full(size, 0), &[0..32], NONE),
    Case {
        name: "table-longer-than-the-ring",
        table: |size| full(size, 1),
        pointed: None,
        gone: &[],
        refused: NO_TABLE,
        seen: false,
    },
    refused("table-longer-than-any-ring", |_| of((u64::from(QUEUE_MAX) + 1) * DESC_SIZE), NO_TABLE),
    refused("table-longer-than-16-bits", |_| of((0x1_0000 + 2) * DESC_SIZE), NO_TABLE),
    refused("table-of-length-0", |_| of(0), NO_TABLE),
    refused("table-of-a-part", |_| of(DESC_SIZE - 1), NO_TABLE),
    refused("table-of-one-and-a-part", |_| of(DESC_SIZE + 1), NO_TABLE),
    refused("table-beyond-ram", |_| bytes(RAM_END, 3 * DESC_SIZE), OUTSIDE),
    refused("table-over-the-end-of-ram", |_| bytes(Gpa(RAM_END.0 - 2 * DESC_SIZE), 3 * DESC_SIZE), OUTSIDE),
    refused(
        "table-around-the-address-space",
        |_| bytes(Gpa(DESC_SIZE.wrapping_neg()), 2 * DESC_SIZE),
        OUTSIDE,
    ),
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |case: &'static Case| {
        let name = format!("{}::{}", transport.name, case.name);
        if !transport.way.ring_features.indirect {
            return ignored(name, "no tables");
        }
        let transport = transport.clone();
        Trial::test(name, move || check(case, &transport, facts))
    };
    CASES.iter().map(test).collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let options = transport.way.ring_features;
    match transport.way.carrier {
        Carrier::PackedRing => {
            let driver = PackedDriver::new(options);
            let size = driver.size();
            check_with(case, driver, size, transport, facts)
        }
        _ => {
            let driver = SplitDriver::new(options);
            let size = driver.size();
            check_with(case, driver, size, transport, facts)
        }
    }
}

fn check_with(
    case: &Case,
    mut driver: impl Tables,
    size: u16,
    transport: &Transport,
    facts: &Facts,
) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let pointed = case.pointed.map(|pointed| pointed(size));
    driver.offer_marked(guest.ram(), &(case.table)(size), pointed)?;
    guest.call(&[KICK], 1)?;
    driver.acknowledged(guest.ram(), &[], 0)?;
    equal("tables", guest.rig.ring_counts().tables, u64::from(case.seen))?;
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut driver)
}
