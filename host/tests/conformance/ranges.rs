//! Ranges a guest may name, good and bad. The same table for every carrier.

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::layout::VIRTIO_MMIO;
use host::axes::{Axis, Coalesce, Way};
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{Encoder, REFUSED_BY_KVM, cannot_name, encoder, equal, refused_by_kvm};
use crate::guest::{Guest, NONE};
use crate::memory::{ARENA_PAGES, Pages, RAM_END, bytes, page, pages};

/// One report.
struct Case {
    name: &'static str,
    ranges: &'static [ByteRange],
    /// Pages that must be gone afterwards; all others must be untouched.
    gone: &'static [Pages],
    refused: Refused,
}

/// First byte of the last page of the address space.
const LAST_PAGE: Gpa = Gpa(u64::MAX - (PAGE_SIZE - 1));
/// Good ranges around a bad one.
const BEFORE: ByteRange = pages(3, 1);
const AFTER: ByteRange = pages(20, 2);
const BOTH: &[Pages] = &[3..4, 20..22];

const CASES: &[Case] = &[
    Case { name: "whole-pages", ranges: &[pages(3, 1), pages(10, 4)], gone: &[3..4, 10..14], refused: NONE },
    Case {
        name: "all-of-the-arena",
        ranges: &[pages(0, ARENA_PAGES)],
        gone: &[0..ARENA_PAGES],
        refused: NONE,
    },
    Case {
        name: "backwards",
        ranges: &[pages(12, 2), pages(10, 2), pages(8, 2)],
        gone: &[8..14],
        refused: NONE,
    },
    Case {
        name: "duplicate",
        ranges: &[BEFORE, pages(5, 2), pages(5, 2)],
        gone: &[3..4, 5..7],
        refused: NONE,
    },
    Case { name: "overlapping", ranges: &[pages(5, 4), pages(7, 4)], gone: &[5..11], refused: NONE },
    Case { name: "one-inside-another", ranges: &[pages(5, 8), pages(7, 1)], gone: &[5..13], refused: NONE },
    Case {
        name: "gpa-outside-ram",
        ranges: &[BEFORE, bytes(RAM_END.offset(1 << 20), PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "first-page-after-ram",
        ranges: &[BEFORE, bytes(RAM_END, PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "last-page-of-ram",
        ranges: &[pages(ARENA_PAGES - 1, 1)],
        gone: &[ARENA_PAGES - 1..ARENA_PAGES],
        refused: NONE,
    },
    Case {
        name: "device-registers",
        ranges: &[BEFORE, bytes(VIRTIO_MMIO, PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "across-the-end-of-ram",
        ranges: &[BEFORE, pages(ARENA_PAGES - 2, 3), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "far-beyond-the-end-of-ram",
        ranges: &[BEFORE, pages(30, 4095), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "longer-than-32-bits",
        ranges: &[BEFORE, pages(30, 1 << 20), AFTER],
        gone: BOTH,
        refused: Refused { outside: 1, ..NONE },
    },
    Case {
        name: "wrap-around",
        ranges: &[BEFORE, bytes(LAST_PAGE, 30 * PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { wraps: 1, ..NONE },
    },
    Case {
        name: "last-page-of-the-address-space",
        ranges: &[BEFORE, bytes(LAST_PAGE, PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { wraps: 1, ..NONE },
    },
    Case {
        name: "unaligned-start",
        ranges: &[BEFORE, bytes(page(5).offset(0x10), 3 * PAGE_SIZE), AFTER],
        gone: &[3..4, 6..8, 20..22],
        refused: NONE,
    },
    Case {
        name: "unaligned-start-a-page-over-two",
        ranges: &[BEFORE, bytes(page(5).offset(0x800), PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { empty: 1, ..NONE },
    },
    Case {
        name: "unaligned-start-last-page-of-ram",
        ranges: &[BEFORE, bytes(page(ARENA_PAGES - 1).offset(1), PAGE_SIZE), AFTER],
        gone: BOTH,
        refused: Refused { empty: 1, ..NONE },
    },
    Case {
        name: "unaligned-length",
        ranges: &[BEFORE, bytes(page(5), 2 * PAGE_SIZE + 1), bytes(page(9), 2 * PAGE_SIZE - 1), AFTER],
        gone: &[3..4, 5..7, 9..10, 20..22],
        refused: NONE,
    },
    Case {
        name: "unaligned-start-and-length",
        ranges: &[BEFORE, bytes(page(5).offset(1), 3 * PAGE_SIZE - 2), AFTER],
        gone: &[3..4, 6..7, 20..22],
        refused: NONE,
    },
    Case {
        name: "less-than-a-page",
        ranges: &[BEFORE, bytes(page(5), PAGE_SIZE - 1), bytes(page(7).offset(1), PAGE_SIZE - 1), AFTER],
        gone: BOTH,
        refused: Refused { empty: 2, ..NONE },
    },
    Case {
        name: "zero-length",
        ranges: &[BEFORE, pages(5, 0), AFTER],
        gone: BOTH,
        refused: Refused { empty: 1, ..NONE },
    },
    Case {
        name: "zero-length-unaligned",
        ranges: &[BEFORE, bytes(page(5).offset(0x10), 0), AFTER],
        gone: BOTH,
        refused: Refused { empty: 1, ..NONE },
    },
    Case {
        name: "zero-length-outside-ram",
        ranges: &[BEFORE, bytes(RAM_END.offset(1 << 20), 0), AFTER],
        gone: BOTH,
        refused: Refused { empty: 1, ..NONE },
    },
    Case {
        name: "all-bad",
        ranges: &[bytes(RAM_END, PAGE_SIZE), bytes(LAST_PAGE, PAGE_SIZE), pages(5, 0)],
        gone: &[],
        refused: Refused { outside: 1, wraps: 1, empty: 1, ..NONE },
    },
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |case: &'static Case| {
        let name = format!("{}::{}", transport.name, case.name);
        if let Some(reason) = case.ranges.iter().find_map(|range| cannot_name(transport, *range)) {
            return ignored(name, reason);
        }
        let transport = transport.clone();
        Trial::test(name, move || check(case, &transport, facts))
    };
    CASES.iter().map(test).collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    for coalesce in Coalesce::ALL {
        let is_had = Way { coalesce: *coalesce, ..transport.way }.validate().is_ok();
        // What was refused is never coalesced.
        if !is_had || *coalesce == Coalesce::Merged && case.refused != NONE {
            continue;
        }
        let mut guest = Guest::boot(transport, facts, *coalesce)?;
        let mut encoder = encoder(transport);
        if case.ranges.iter().any(|range| never_arrives(transport, range)) {
            without_those(case, transport, &mut guest, encoder.as_mut())?;
        } else {
            guest.report(encoder.as_mut(), case.ranges, case.refused.total())?;
            guest.expect(case.gone, &case.refused)?;
        }
        guest.still_served(encoder.as_mut())?;
    }
    Ok(())
}

/// Whether KVM keeps a range from us, where each is a hypercall of its own.
fn never_arrives(transport: &Transport, range: &ByteRange) -> bool {
    transport.way.carrier == Carrier::Registers && refused_by_kvm(transport, range.gpa, range.len / PAGE_SIZE)
}

/// The guest is told by KVM, we hear nothing, and the other ranges are served.
fn without_those(
    case: &Case,
    transport: &Transport,
    guest: &mut Guest,
    encoder: &mut dyn Encoder,
) -> Checked {
    let mut refused = NONE;
    let mut gone = Vec::new();
    let steps = encoder.encode(guest.ram(), case.ranges)?;
    for (step, range) in steps.into_iter().zip(case.ranges) {
        if never_arrives(transport, range) {
            equal("KVM's answer", guest.call(&[step], 0)?, vec![REFUSED_BY_KVM])?;
            continue;
        }
        match guest.call(&[step], 1)?.as_slice() {
            [0] => gone.extend(BOTH.iter().filter(|pages| page(pages.start) == range.gpa).cloned()),
            _ if range.gpa == LAST_PAGE => refused.wraps += 1,
            _ => refused.outside += 1,
        }
    }
    guest.expect(&gone, &refused)
}
