//! The options of a packed reporting queue: indirect tables and event indices.

use abi::axes::RingFeatures;
use abi::wire::packed_ring::{self, Position};

use super::packed::{AVAIL, DEVICE, DRIVER, Driver, ENTRIES};
use super::*;

const TABLE: u64 = 0x6000;
const INDIRECT: RingFeatures = RingFeatures { indirect: true, ..RingFeatures::NONE };
const EVENT_IDX: RingFeatures = RingFeatures { event_idx: true, ..RingFeatures::NONE };

fn up(options: RingFeatures) -> Driver {
    let mut driver = Driver::with(options);
    driver.start();
    driver
}

/// Writes a table of pages with these flags.
fn write(driver: &Driver, elements: &[(u64, u16)]) {
    for (index, (page, flags)) in (0..).zip(elements) {
        let rest = 4096 | u64::from(*flags) << 48;
        driver.ram.write_words(Gpa(TABLE + index * 16), &[page << 12, rest]).unwrap();
    }
}

/// What becomes of a list of one descriptor that points to a table, with more flags.
fn outcome(at: u64, len: u32, flags: u16, table: &[(u64, u16)]) -> (Refused, Vec<PageRange>, u64) {
    let mut driver = up(INDIRECT);
    write(&driver, table);
    driver.put_raw(0, at, len, 7, AVAIL | DESC_INDIRECT | flags);
    driver.offered += 1;
    let (refused, taken) = driver.outcome(0, 7);
    (refused, taken, driver.device.balloon.counts().tables)
}

#[test]
fn a_table_is_taken_from_its_beginning_to_its_end() {
    // Neither NEXT nor the bits of a turn mean anything in it.
    let table = [(0x200, DESC_WRITE), (0x201, !DESC_INDIRECT), (0x202, DESC_WRITE)];
    for flags in [0, DESC_WRITE] {
        let found = outcome(TABLE, 48, flags, &table);
        assert_eq!(found, (Refused::default(), pages(&[0x200, 0x201, 0x202]), 1));
    }
    let (refused, taken, _) =
        outcome(TABLE, 32, 0, &[(0x200, 0), (0x201, DESC_WRITE | DESC_INDIRECT), (0x202, DESC_WRITE)]);
    assert_eq!((refused, taken), (Refused { read_only: 1, indirect: 1, ..Refused::default() }, Vec::new()));
}

#[test]
fn a_table_that_is_none_is_refused_by_name() {
    let table = [(0x200, DESC_WRITE); ENTRIES as usize + 1];
    let most = u32::from(ENTRIES) * 16;
    assert_eq!(outcome(TABLE, most, 0, &table).1.len(), usize::from(ENTRIES));
    let no_table = Refused { table: 1, ..Refused::default() };
    for len in [0, 15, 17, most + 16, u32::MAX] {
        assert_eq!(outcome(TABLE, len, 0, &table), (no_table, Vec::new(), 0), "{len}");
    }
    let outside = Refused { outside: 1, ..Refused::default() };
    for at in [RAM_BYTES, RAM_BYTES - 16, u64::MAX - 15] {
        assert_eq!(outcome(at, 32, 0, &table), (outside, Vec::new(), 0), "{at:#x}");
    }
}

#[test]
fn a_table_with_more_after_it_is_refused_and_the_rest_is_served() {
    let mut driver = up(INDIRECT);
    write(&driver, &[(0x200, DESC_WRITE)]);
    driver.put_raw(0, TABLE, 16, 0, AVAIL | DESC_INDIRECT | DESC_NEXT);
    driver.put(1, (0x3ff, 5, AVAIL | DESC_WRITE));
    driver.offered += 2;
    let found = driver.outcome(0, 5);
    assert_eq!(found, (Refused { indirect: 1, ..Refused::default() }, pages(&[0x3ff])));
}

/// A position so many descriptors on.
fn position(descriptors: u16) -> Position {
    let laps = (0..descriptors / ENTRIES).fold(Position::START, |at, _| at.after(ENTRIES, ENTRIES));
    laps.after(descriptors % ENTRIES, ENTRIES)
}

#[test]
fn the_driver_is_interrupted_at_the_descriptor_it_named_and_at_no_other() {
    let mut driver = up(EVENT_IDX);
    let mut told = |structure: u32, lists: u16| {
        driver.ram.memory().write_obj(structure, GuestAddress(DRIVER)).unwrap();
        for _ in 0..lists {
            driver.report(&[0x200, 0x201, 0x202], 0);
        }
        driver.serve();
        driver.device.interrupts()
    };
    let event = |descriptors| packed_ring::event(position(descriptors));
    assert_eq!(told(0, 1), 1, "of all");
    assert_eq!(told(1 << 16, 1), 0, "of none");
    assert_eq!(told(event(6), 1), 1, "the first of the list");
    assert_eq!(told(event(11), 1), 1, "its last");
    assert_eq!(told(event(11), 1), 0, "in the past");
    assert_eq!(told(event(18), 1), 0, "not yet");
    assert_eq!(told(event(18 + ENTRIES), 1), 0, "a lap too far: the other wrap counter");
    assert_eq!(told(event(25), 2), 1, "on the next lap");
    assert_eq!(told(2 << 16 | 0x7fff, 1), 0, "a descriptor that there is not");
    let counts = driver.device.balloon.counts();
    assert_eq!((counts.interrupts_due, counts.interrupts_suppressed), (4, 6));
    assert_eq!(counts.wraps, 1);
}

#[test]
fn the_device_names_the_descriptor_after_the_last_it_found() {
    let mut driver = up(EVENT_IDX);
    let named = |driver: &Driver| driver.ram.memory().read_obj::<u32>(GuestAddress(DEVICE)).unwrap();
    driver.report(&[0x200, 0x201], 1);
    assert_eq!(driver.fetch().unwrap(), Some(1));
    assert_eq!(
        (named(&driver), driver.device.balloon.was_unasked()),
        (0, false),
        "so far it wants to be told of all"
    );
    driver.device.balloon.complete_packed(1).unwrap();
    driver.report(&[0x200], 2);
    assert_eq!(driver.serve(), [2]);
    assert_eq!(named(&driver), packed_ring::event(position(3)));
    driver.report(&[0x200], 3);
    driver.report(&[0x200], 4);
    assert_eq!(driver.fetch().unwrap(), Some(3));
    assert!(!driver.device.balloon.was_unasked());
    driver.device.balloon.complete_packed(3).unwrap();
    assert_eq!(driver.fetch().unwrap(), Some(4));
    assert!(driver.device.balloon.was_unasked());
    driver.device.balloon.complete_packed(4).unwrap();
    assert_eq!(driver.fetch().unwrap(), None);
    let counts = driver.device.balloon.counts();
    assert_eq!((counts.kicks_asked, counts.kicks_suppressed), (2, 1));
}

#[test]
fn an_event_beyond_memory_breaks_the_queue() {
    for part in [mmio::QUEUE_DRIVER_LOW, mmio::QUEUE_DEVICE_LOW] {
        let mut driver = Driver::with(EVENT_IDX);
        driver.place(REPORTING_QUEUE, ENTRIES.into());
        driver.device.place_part(part, RAM_BYTES);
        driver.device.write(mmio::QUEUE_READY, 1);
        driver.device.write(mmio::STATUS, UP);
        driver.report(&[0x200], 0);
        let ended = driver.fetch().and_then(|id| {
            driver.device.balloon.complete_packed(id.unwrap())?;
            driver.fetch()
        });
        assert!(
            matches!(ended, Err(RingError::Access { queue: REPORTING_QUEUE, .. })),
            "{part:#x}: {ended:?}"
        );
    }
}
