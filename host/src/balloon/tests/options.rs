//! The options of a split reporting queue: indirect tables, event indices, descriptors in order.

use abi::axes::{Axis, RingFeatures};
use abi::wire::split_ring::DESC_SIZE;

use super::*;

/// Where tables are here.
const TABLE: u64 = 0x6000;

const INDIRECT: RingFeatures = RingFeatures { indirect: true, ..RingFeatures::NONE };
const EVENT_IDX: RingFeatures = RingFeatures { event_idx: true, ..RingFeatures::NONE };
const IN_ORDER: RingFeatures = RingFeatures { in_order: true, ..RingFeatures::NONE };

/// A device that offers these, to a driver that accepts them.
fn up(ram: &Arc<GuestRam>, ring: &Mock<'_>, options: RingFeatures) -> Device {
    let mut device = Device::with(ram, |balloon| balloon.offering(options));
    device.negotiate(OFFERED | feature::of(options));
    device.finish(ring);
    device
}

fn write(ram: &GuestRam, table: u64, descriptors: &[RawDescriptor]) {
    for (index, descriptor) in (0..).zip(descriptors) {
        ram.memory().write_obj(*descriptor, GuestAddress(table + index * DESC_SIZE)).unwrap();
    }
}

/// The descriptor of a table, with more flags.
fn pointer(at: u64, len: u32, flags: u16, next: u16) -> RawDescriptor {
    Descriptor::new(at, len, DESC_INDIRECT | flags, next).into()
}

/// What becomes of a chain of these descriptors whose table is this, which the driver then finds acknowledged; and how many
/// tables were gone through.
fn outcome(chain: &[RawDescriptor], table: &[RawDescriptor]) -> (Refused, Vec<PageRange>, u64) {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, INDIRECT);
    write(&ram, TABLE, table);
    for (at, entry) in (0..).zip(chain) {
        ring.desc_table().store(at, *entry).unwrap();
    }
    ring.avail().idx().store(1);
    let (refused, taken) = device.take();
    assert_eq!((ring.used().idx().load(), used(&ring, 0)), (1, (0, 0)));
    assert_eq!(device.status(), UP, "one bad chain does not stop the device");
    (refused, taken, device.balloon.counts().tables)
}

fn bytes(descriptors: usize) -> u32 {
    u32::try_from(16 * descriptors).unwrap()
}

#[test]
fn only_what_was_chosen_is_offered_and_only_what_is_offered_is_accepted() {
    for offered in RingFeatures::ALL.iter().copied() {
        for accepted in RingFeatures::ALL.iter().copied() {
            let mut device = Device::with(&ram(), |balloon| balloon.offering(offered));
            let bits = [0, 1].map(|half| {
                device.write(mmio::DEVICE_FEATURES_SEL, half);
                u64::from(device.read(mmio::DEVICE_FEATURES))
            });
            assert_eq!(bits[0] | bits[1] << 32, OFFERED | feature::of(offered));
            device.negotiate(OFFERED | feature::of(accepted));
            let is_ok = device.status() & status::FEATURES_OK != 0;
            assert_eq!(
                is_ok,
                feature::of(accepted) & !feature::of(offered) == 0,
                "{accepted:?} of {offered:?}"
            );
        }
    }
}

#[test]
fn a_table_is_walked_as_a_chain_is() {
    let pfns = [0x200, 0x210, 0x300];
    let table = chain(0, &pfns);
    for flags in [0, DESC_WRITE] {
        let (refused, taken, tables) = outcome(&[pointer(TABLE, bytes(3), flags, 0)], &table);
        assert_eq!((refused, taken, tables), (Refused::default(), pages(&pfns), 1), "WRITE is ignored");
    }
    let before = descriptor(0x3ff, MIDDLE, 1);
    let (refused, taken, tables) = outcome(&[before, pointer(TABLE, bytes(3), 0, 0)], &table);
    assert_eq!((refused, taken, tables), (Refused::default(), pages(&[0x3ff, 0x200, 0x210, 0x300]), 1));
    // By `next`, not by place; and what is not linked is not taken.
    let linked =
        [descriptor(0x200, MIDDLE, 2), descriptor(0x201, DESC_WRITE, 0), descriptor(0x202, DESC_WRITE, 0)];
    assert_eq!(outcome(&[pointer(TABLE, bytes(3), 0, 0)], &linked).1, pages(&[0x200, 0x202]));
}

#[test]
fn a_table_of_as_many_as_the_ring_has_is_taken_and_a_longer_one_is_not() {
    let pfns: Vec<_> = (0..u64::from(SIZE)).map(|at| 0x200 + at).collect();
    let whole = usize::from(SIZE);
    let table = chain(0, &pfns);
    assert_eq!(outcome(&[pointer(TABLE, bytes(whole), 0, 0)], &table).1, pages(&pfns));
    let longer = Refused { table: 1, ..Refused::default() };
    assert_eq!(outcome(&[pointer(TABLE, bytes(whole + 1), 0, 0)], &table), (longer, Vec::new(), 0));
    // With one before it, there is one too many.
    let (refused, taken, _) =
        outcome(&[descriptor(0x3ff, MIDDLE, 1), pointer(TABLE, bytes(whole), 0, 0)], &table);
    assert_eq!((refused, taken), (longer, pages(&[0x3ff])));
}

#[test]
fn a_table_that_is_none_is_refused_by_name() {
    let table = chain(0, &[0x200, 0x201]);
    for (name, entry, wanted) in [
        ("of nothing", pointer(TABLE, 0, 0, 0), Refused { table: 1, ..Refused::default() }),
        ("of a part", pointer(TABLE, 15, 0, 0), Refused { table: 1, ..Refused::default() }),
        ("of one and a part", pointer(TABLE, 17, 0, 0), Refused { table: 1, ..Refused::default() }),
        ("of any length", pointer(TABLE, u32::MAX, 0, 0), Refused { table: 1, ..Refused::default() }),
        (
            "of 16 bits more",
            pointer(TABLE, bytes(0x1_0002), 0, 0),
            Refused { table: 1, ..Refused::default() },
        ),
        ("after memory", pointer(RAM_BYTES, 32, 0, 0), Refused { outside: 1, ..Refused::default() }),
        ("over its end", pointer(RAM_BYTES - 16, 32, 0, 0), Refused { outside: 1, ..Refused::default() }),
        ("around it", pointer(u64::MAX - 15, 32, 0, 0), Refused { outside: 1, ..Refused::default() }),
        (
            "with more after it",
            pointer(TABLE, 32, DESC_NEXT, 1),
            Refused { indirect: 1, ..Refused::default() },
        ),
    ] {
        let (refused, taken, tables) = outcome(&[entry, descriptor(0x3ff, DESC_WRITE, 0)], &table);
        let others: &[u64] = if name == "with more after it" { &[0x3ff] } else { &[] };
        assert_eq!((refused, taken, tables), (wanted, pages(others), 0), "{name}");
    }
}

#[test]
fn a_table_in_a_table_is_refused_and_the_others_are_served() {
    let nested = [pointer(TABLE, bytes(2), DESC_NEXT, 1), descriptor(0x201, DESC_WRITE, 0)];
    let (refused, taken, tables) = outcome(&[pointer(TABLE, bytes(2), 0, 0)], &nested);
    assert_eq!((refused, taken, tables), (Refused { indirect: 1, ..Refused::default() }, pages(&[0x201]), 1));
}

#[test]
fn a_table_ends_at_its_end() {
    // What `next` leads out of it to is there, and not taken.
    let table =
        [descriptor(0x200, MIDDLE, 2), descriptor(0x201, MIDDLE, 0), descriptor(0x202, DESC_WRITE, 0)];
    let (refused, taken, _) = outcome(&[pointer(TABLE, bytes(2), 0, 0)], &table);
    assert_eq!((refused, taken), (Refused { broken_chain: 1, ..Refused::default() }, pages(&[0x200])));
    let a_loop = [descriptor(0x200, MIDDLE, 1), descriptor(0x201, MIDDLE, 0)];
    let (refused, taken, _) = outcome(&[pointer(TABLE, bytes(2), 0, 0)], &a_loop);
    assert_eq!((refused, taken), (Refused { broken_chain: 1, ..Refused::default() }, pages(&[0x200, 0x201])));
}

#[test]
fn a_table_that_was_offered_and_not_accepted_is_refused() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::with(&ram, |balloon| balloon.offering(INDIRECT));
    device.start(&ring);
    write(&ram, TABLE, &chain(0, &[0x200]));
    ring.add_desc_chains(&[pointer(TABLE, 16, 0, 0)], 0).unwrap();
    assert_eq!(device.take(), (Refused { indirect: 1, ..Refused::default() }, Vec::new()));
}

#[test]
fn tables_that_rust_vmm_makes_are_gone_through() {
    // Where its mock driver puts them.
    const THEIRS: u64 = 0x3000_0000;
    let ram = Arc::new(GuestRam::new(THEIRS + (1 << 20)).unwrap());
    let mut ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, INDIRECT);
    for (report, length) in (1..).zip([1, 2, 16, 32]) {
        ring.add_indirect_chain(length).unwrap();
        let (refused, taken) = device.take();
        // Its descriptors are for the device to read.
        assert_eq!((refused.read_only, refused.total(), taken.len()), (length.into(), length.into(), 0));
        assert_eq!(device.balloon.counts().tables, report);
    }
}

/// The driver's event index, as the device with its size finds it.
fn name_event(ram: &GuestRam, ring: &Mock<'_>, event: u16) {
    let at = GuestAddress(ring.avail_addr().0 + 4 + 2 * u64::from(SIZE));
    ram.memory().write_obj(event, at).unwrap();
}

/// The device's.
fn named(ram: &GuestRam, ring: &Mock<'_>) -> u16 {
    let at = GuestAddress(ring.used_addr().0 + 4 + 8 * u64::from(SIZE));
    ram.memory().read_obj(at).unwrap()
}

#[test]
fn the_driver_is_interrupted_at_the_entry_it_named_and_at_no_other() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, EVENT_IDX);
    // The flag means nothing then.
    refuse_interrupts(&ram, &ring);
    let mut told = |event, chains: u16| {
        name_event(&ram, &ring, event);
        for at in 0..chains {
            ring.add_desc_chains(&chain(at, &[0x200]), at).unwrap();
        }
        device.serve();
        device.interrupts()
    };
    assert_eq!(told(0, 1), 1);
    assert_eq!(told(0, 1), 0, "in the past");
    assert_eq!(told(4, 2), 0, "not yet");
    assert_eq!(told(4, 2), 1, "the first of two");
    assert_eq!(told(0x8006, 1), 0, "far in the future");
    assert_eq!(told(6, 1), 0);
    let counts = device.balloon.counts();
    assert_eq!((counts.interrupts_due, counts.interrupts_suppressed), (2, 6));
}

#[test]
fn the_device_names_the_entry_after_the_last_it_found() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, EVENT_IDX);
    for at in 0..3 {
        ring.add_desc_chains(&chain(at, &[0x200]), at).unwrap();
    }
    assert_eq!(device.fetch().unwrap(), Some(0));
    assert_eq!(named(&ram, &ring), 0, "there may be more");
    assert!(!device.balloon.was_unasked(), "the first was waited for");
    device.balloon.complete(0).unwrap();
    assert_eq!(device.fetch().unwrap(), Some(1));
    assert!(device.balloon.was_unasked());
    device.balloon.complete(1).unwrap();
    assert_eq!(device.serve(), [2]);
    assert_eq!(named(&ram, &ring), 3);
    assert_eq!(device.fetch().unwrap(), None);
    ring.add_desc_chains(&chain(3, &[0x200]), 3).unwrap();
    assert_eq!(device.fetch().unwrap(), Some(3));
    assert!(!device.balloon.was_unasked());
    let counts = device.balloon.counts();
    assert_eq!((counts.kicks_asked, counts.kicks_suppressed), (1, 2));
}

#[test]
fn queues_that_are_no_reports_are_asked_for_kicks_too() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::with(&ram, |balloon| balloon.offering(EVENT_IDX));
    device.negotiate(OFFERED | feature::of(EVENT_IDX));
    device.place(INFLATE_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    device.write(mmio::STATUS, UP);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    ring.add_desc_chains(&chain(1, &[0x201]), 1).unwrap();
    device.write(mmio::QUEUE_NOTIFY, INFLATE_QUEUE.into());
    assert_eq!((ring.used().idx().load(), named(&ram, &ring)), (2, 2));
    assert_eq!(device.balloon.counts(), RingCounts::default(), "the counts are the reporting queue's");
}

#[test]
fn a_queue_that_is_not_there_is_not_written_to() {
    let ram = ram();
    let mut device = Device::with(&ram, |balloon| balloon.offering(EVENT_IDX));
    device.negotiate(OFFERED | feature::of(EVENT_IDX));
    device.write(mmio::STATUS, UP);
    assert_eq!(device.fetch().unwrap(), None);
    device.write(mmio::QUEUE_NOTIFY, DEFLATE_QUEUE.into());
    let mut bytes = vec![0xee; 1 << 16];
    ram.read_bytes(Gpa(0), &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn an_event_index_beyond_memory_breaks_the_queue() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    for (low, end) in
        [(mmio::QUEUE_DRIVER_LOW, 4 + 2 * u64::from(SIZE)), (mmio::QUEUE_DEVICE_LOW, 4 + 8 * u64::from(SIZE))]
    {
        let mut device = Device::with(&ram, |balloon| balloon.offering(EVENT_IDX));
        device.negotiate(OFFERED | feature::of(EVENT_IDX));
        device.place(REPORTING_QUEUE, &ring);
        let part = RAM_BYTES - end;
        device.place_part(low, part);
        device.write(mmio::QUEUE_READY, 1);
        device.write(mmio::STATUS, UP);
        let avail = if low == mmio::QUEUE_DRIVER_LOW { part } else { ring.avail_addr().0 };
        ring.desc_table().store(0, descriptor(0x200, DESC_WRITE, 0)).unwrap();
        ram.memory().write_obj(1_u16, GuestAddress(avail + 2)).unwrap();
        let ended = device.fetch().and_then(|head| {
            device.balloon.complete(head.unwrap())?;
            device.fetch()
        });
        assert!(
            matches!(ended, Err(RingError::Access { queue: REPORTING_QUEUE, .. })),
            "{low:#x}: {ended:?}"
        );
        is_broken(&mut device);
    }
}

#[test]
fn chains_in_order_are_told_from_others() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, IN_ORDER);
    let mut counted = |at, pfns: &[u64]| {
        ring.add_desc_chains(&chain(at, pfns), at).unwrap();
        assert_eq!(device.serve(), [at]);
        let counts = device.balloon.counts();
        (counts.in_order, counts.out_of_order)
    };
    assert_eq!(counted(0, &[0x200, 0x201]), (1, 0));
    assert_eq!(counted(2, &[0x200]), (2, 0));
    assert_eq!(counted(0, &[0x200]), (2, 1), "not where the last ended");
    assert_eq!(counted(1, &(0..31).map(|page| 0x200 + page).collect::<Vec<_>>()), (3, 1));
    assert_eq!(counted(0, &[0x200]), (4, 1), "round the end of the table");
}

#[test]
fn a_reset_forgets_where_the_options_stood() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = up(&ram, &ring, IN_ORDER);
    ring.add_desc_chains(&chain(0, &[0x200, 0x201]), 0).unwrap();
    assert_eq!(device.serve(), [0]);
    recovers(&mut device, &ram);
    assert_eq!(device.balloon.counts().in_order, 1, "the driver accepted no order this time");
}
