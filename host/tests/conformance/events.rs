//! Event indices of a driver that means nothing by them: the device goes by them, and serves whatever they are.

use abi::axes::Carrier;
use abi::wire::packed_ring::{EVENT_DESC, EVENT_DISABLE, EVENT_ENABLE};
use host::axes::{Coalesce, Completion};
use host::probe::Facts;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{Encoder, KICK, PackedDriver, SplitDriver, equal};
use crate::guest::{Guest, NONE};
use crate::memory::pages;

/// Reports before the one that is looked at: the indices are in the middle of a lap.
const BEFORE: u16 = 5;

/// An event index by the number of the entry about to be used, and whether an interrupt is due at that.
type Case = (&'static str, fn(u16) -> u16, bool);

const SPLIT: &[Case] = &[
    ("event-index-at-the-entry", |next| next, true),
    ("event-index-in-the-past", |next| next - 1, false),
    ("event-index-long-past", |next| next.wrapping_sub(0x7fff), false),
    ("event-index-one-ahead", |next| next + 1, false),
    ("event-index-far-in-the-future", |next| next.wrapping_add(0x8000), false),
    ("event-index-beyond-the-ring", |_| 0xfff0, false),
];

/// A structure by the number of the descriptor about to be used, and whether an interrupt is due at that.
type PackedCase = (&'static str, fn(&PackedDriver, u64) -> u32, bool);

const fn structure(flags: u16, word: u16) -> u32 {
    (flags as u32) << 16 | word as u32
}

const PACKED: &[PackedCase] = &[
    ("event-at-the-descriptor", |driver, next| structure(EVENT_DESC, driver.word(next)), true),
    ("event-in-the-past", |driver, next| structure(EVENT_DESC, driver.word(next - 1)), false),
    ("event-one-ahead", |driver, next| structure(EVENT_DESC, driver.word(next + 1)), false),
    (
        "event-of-the-other-wrap-counter",
        |driver, next| structure(EVENT_DESC, driver.word(next) ^ 1 << 15),
        false,
    ),
    ("event-beyond-the-ring", |driver, _| structure(EVENT_DESC, driver.size()), false),
    ("event-far-beyond-the-ring", |_, _| structure(EVENT_DESC, 0x7fff), false),
    ("event-of-all", |_, _| structure(EVENT_ENABLE, 0xffff), true),
    ("event-of-none", |_, _| structure(EVENT_DISABLE, 0), false),
    // Reserved (2.8.14): told too often is better than never.
    ("event-flags-without-meaning", |_, _| structure(3, 0), true),
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let is_packed = transport.way.carrier == Carrier::PackedRing;
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let name = format!("{}::{name}", transport.name);
        if !transport.way.ring_features.event_idx {
            return ignored(name, "no event indices");
        }
        let transport = transport.clone();
        Trial::test(name, move || check(&transport))
    };
    let split = SPLIT.iter().filter(|_| !is_packed);
    let split = split
        .map(|case| test(case.0, Box::new(move |transport| check_split(case, &mut up(transport, facts)?))));
    let packed = PACKED.iter().filter(|_| is_packed);
    let packed = packed
        .map(|case| test(case.0, Box::new(move |transport| check_packed(case, &mut up(transport, facts)?))));
    split.chain(packed).collect()
}

/// A guest, and the options of its ring. It waits for no interrupt: not all cases have one.
struct Up {
    guest: Guest,
    options: abi::axes::RingFeatures,
}

fn up(transport: &Transport, facts: &Facts) -> Result<Up, libtest_mimic::Failed> {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    if transport.way.completion == Completion::Interrupt {
        guest.ignore_interrupts();
    }
    Ok(Up { guest, options: transport.way.ring_features })
}

fn check_split((_, event, is_due): &Case, up: &mut Up) -> Checked {
    let guest = &mut up.guest;
    let mut driver = SplitDriver::new(up.options);
    for _ in 0..BEFORE {
        guest.still_served(&mut driver)?;
    }
    let next = driver.available();
    equal("the entry the device named", driver.named(guest.ram())?, next)?;
    driver.encode(guest.ram(), &[pages(5, 1)])?;
    driver.name(guest.ram(), event(next))?;
    judged(guest, &driver, *is_due)?;
    equal("the entry the device named", driver.named(guest.ram())?, next + 1)?;
    guest.still_served(&mut driver)
}

fn check_packed((_, event, is_due): &PackedCase, up: &mut Up) -> Checked {
    let guest = &mut up.guest;
    let mut driver = PackedDriver::new(up.options);
    for _ in 0..BEFORE {
        guest.still_served(&mut driver)?;
    }
    let next = driver.offered();
    let named = |driver: &PackedDriver, next| structure(EVENT_DESC, driver.word(next));
    equal("the descriptor the device named", driver.named(guest.ram())?, named(&driver, next))?;
    driver.name(guest.ram(), event(&driver, next))?;
    driver.encode(guest.ram(), &[pages(5, 1)])?;
    judged(guest, &driver, *is_due)?;
    equal("the descriptor the device named", driver.named(guest.ram())?, named(&driver, next + 1))?;
    guest.still_served(&mut driver)
}

/// Kicks the device about a report of page 5, which must be served, and at which an interrupt is due or not.
fn judged(guest: &mut Guest, driver: &dyn Encoder, is_due: bool) -> Checked {
    let before = guest.rig.ring_counts();
    guest.call(&[KICK], 1)?;
    driver.acknowledged(guest.ram(), &[], 0)?;
    guest.expect(&[5..6], &NONE)?;
    let counts = guest.rig.ring_counts().since(&before);
    let expected = if is_due { (1, 0) } else { (0, 1) };
    equal("interrupts due and suppressed", (counts.interrupts_due, counts.interrupts_suppressed), expected)
}
