//! The reporting queue.

use super::*;

#[test]
fn a_report_is_fetched_and_acknowledged() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    let pfns = [0x200, 0x210, 0x300, 0x2ff];
    ring.add_desc_chains(&chain(3, &pfns), 3).unwrap();

    assert_eq!(device.fetch().unwrap(), Some(3));
    assert_eq!(device.batch.ranges(), pages(&pfns));
    assert_eq!(device.batch.refused, Refused::default());
    assert_eq!((ring.used().idx().load(), device.interrupts()), (0, 0), "not before it is completed");

    device.balloon.complete(3).unwrap();
    assert_eq!(ring.used().idx().load(), 1);
    assert_eq!(used(&ring, 0), (3, 0), "nothing was written into the pages");
    assert_eq!(device.interrupts(), 1);
    assert!(device.serve().is_empty());
    assert_eq!(device.interrupts(), 0);
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    refuse_interrupts(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.serve(), [0]);
    assert_eq!((device.interrupts(), device.read(mmio::INTERRUPT_STATUS)), (0, 0));
}

#[test]
fn chains_are_served_in_the_order_they_were_given() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(8, &[0x200, 0x201]), 8).unwrap();
    ring.add_desc_chains(&chain(2, &[0x300]), 2).unwrap();
    ring.add_desc_chains(&chain(20, &[0x3ff, 0x3fe, 0x3fd]), 20).unwrap();
    let mut taken = Vec::new();
    while let Some(head) = device.fetch().unwrap() {
        taken.extend(device.batch.ranges().to_vec());
        device.balloon.complete(head).unwrap();
    }
    assert_eq!(taken, pages(&[0x200, 0x201, 0x300, 0x3ff, 0x3fe, 0x3fd]));
    assert_eq!([0, 1, 2].map(|slot| used(&ring, slot)), [(8, 0), (2, 0), (20, 0)]);
    assert_eq!(ring.used().idx().load(), 3);
}

#[test]
fn a_full_ring_is_served() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    for at in 0..SIZE {
        ring.add_desc_chains(&chain(at, &[0x200 + u64::from(at)]), at).unwrap();
    }
    assert_eq!(device.serve(), (0..SIZE).collect::<Vec<_>>());
    let pfns: Vec<_> = (0..u64::from(SIZE)).map(|at| 0x200 + at).collect();
    ring.add_desc_chains(&[], 0).unwrap();
    for (at, entry) in (0..).zip(chain(0, &pfns)) {
        ring.desc_table().store(at, entry).unwrap();
    }
    ring.avail().ring().ref_at(0).unwrap().store(0);
    ring.avail().idx().store(SIZE + 1);
    assert_eq!(device.take(), (Refused::default(), pages(&pfns)), "a chain of all descriptors");
}

#[test]
fn indices_wrap_at_sixteen_bits() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    refuse_interrupts(&ram, &ring);
    ring.desc_table().store(5, descriptor(0x200, DESC_WRITE, 0)).unwrap();
    for number in 0..0x1_0000_u32 + 3 {
        let index = u16::try_from(number & 0xffff).unwrap();
        let slot = usize::from(index % SIZE);
        ring.avail().ring().ref_at(slot).unwrap().store(5);
        ring.avail().idx().store(index.wrapping_add(1));
        assert_eq!(device.serve(), [5], "report {number}");
        assert_eq!(ring.used().idx().load(), index.wrapping_add(1));
        assert_eq!(used(&ring, slot), (5, 0));
    }
}

/// What becomes of a chain of these descriptors, which the driver then finds acknowledged.
fn outcome(descriptors: &[RawDescriptor]) -> (Refused, Vec<PageRange>) {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    for (at, entry) in (0..).zip(descriptors) {
        ring.desc_table().store(at, *entry).unwrap();
    }
    ring.avail().idx().store(1);
    let found = device.take();
    assert_eq!((ring.used().idx().load(), used(&ring, 0)), (1, (0, 0)));
    assert_eq!(device.status(), UP, "one bad chain does not stop the device");
    found
}

#[test]
fn a_loop_ends() {
    let (refused, taken) = outcome(&[descriptor(0x200, MIDDLE, 1), descriptor(0x201, MIDDLE, 0)]);
    assert_eq!(refused, Refused { broken_chain: 1, ..Refused::default() });
    assert_eq!(taken.len(), usize::from(SIZE), "as many as there are descriptors");
    let named = pages(&[0x200, 0x201]);
    assert!(taken.iter().all(|range| named.contains(range)));
}

#[test]
fn a_chain_longer_than_the_ring_is_cut() {
    // An entry beyond the table, which exists in the mock's memory, is never read.
    let mut descriptors: Vec<_> =
        (1..=SIZE).map(|next| descriptor(0x1ff + u64::from(next), MIDDLE, next)).collect();
    descriptors.push(descriptor(0x3ff, DESC_WRITE, 0));
    let (refused, taken) = outcome(&descriptors);
    assert_eq!(refused, Refused { broken_chain: 1, ..Refused::default() });
    assert_eq!(taken, pages(&(0x200..0x220).collect::<Vec<_>>()));
}

#[test]
fn a_next_beyond_the_table_is_not_followed() {
    for next in [SIZE, SIZE + 1, u16::MAX] {
        let mut descriptors = vec![descriptor(0x200, MIDDLE, next); 1];
        descriptors.resize(usize::from(SIZE) + 2, descriptor(0x3ff, DESC_WRITE, 0));
        let (refused, taken) = outcome(&descriptors);
        assert_eq!(refused, Refused { broken_chain: 1, ..Refused::default() });
        assert_eq!(taken, pages(&[0x200]));
    }
}

#[test]
fn an_indirect_table_is_refused_and_not_followed() {
    // The "table" is the queue's own: followed, it would report page 0x201 twice.
    let table = Descriptor::new(0x1000, 32, DESC_INDIRECT | MIDDLE, 1).into();
    let (refused, taken) = outcome(&[table, descriptor(0x201, DESC_WRITE, 0)]);
    assert_eq!(refused, Refused { indirect: 1, ..Refused::default() });
    assert_eq!(taken, pages(&[0x201]), "the others are served");
}

#[test]
fn a_page_the_device_may_not_write_is_refused() {
    let read_only = descriptor(0x200, DESC_NEXT, 1);
    let (refused, taken) = outcome(&[read_only, descriptor(0x201, DESC_WRITE, 0)]);
    assert_eq!(refused, Refused { read_only: 1, ..Refused::default() });
    assert_eq!(taken, pages(&[0x201]));
}

#[test]
fn a_range_that_is_none_does_not_hurt_the_others() {
    let entry = |addr, len, next| Descriptor::new(addr, len, MIDDLE, next).into();
    let (refused, taken) = outcome(&[
        entry(RAM_BYTES, 4096, 1),
        entry(RAM_BYTES - 4096, 8192, 2),
        entry(u64::MAX - 4095, 8192, 3),
        entry(0x20_0000, 0, 4),
        entry(0x20_0001, 8190, 5),
        entry(0x20_0800, 0x2000, 6),
        entry(0x30_0000, 0x1fff, 7),
        descriptor(0x3ff, DESC_WRITE, 0),
    ]);
    assert_eq!(refused, Refused { outside: 2, wraps: 1, empty: 2, ..Refused::default() });
    assert_eq!(taken, pages(&[0x201, 0x300, 0x3ff]), "rounded inwards");
}

#[test]
fn flags_without_meaning_mean_nothing() {
    let (refused, taken) = outcome(&[descriptor(0x200, 0xfff8 | DESC_WRITE, 9)]);
    assert_eq!((refused, taken), (Refused::default(), pages(&[0x200])));
}
