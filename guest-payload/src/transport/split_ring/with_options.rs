//! The split ring's driver with each of its options, against a device in a few lines.

use abi::addr::{Order, Pfn};
use abi::axes::{Axis, RingFeatures};

use super::*;
use crate::metal::fake::Fake;

const SIZE: u16 = 32;
const AT: Placement = Placement::of(SIZE);

fn ring(metal: &mut Fake, completion: Completion, options: RingFeatures) -> SplitRing<RingFeatures> {
    SplitRing::new(metal, AT, completion, options)
}

fn blocks(n: u64) -> Vec<PageRange> {
    (0..n).map(|i| PageRange::block(Pfn(0x400 + i), Order::PAGE)).collect()
}

/// The ranges of a chain, by address; and the descriptors of the ring's table that it took.
fn walk(metal: &Fake, head: u16) -> (Vec<u64>, Vec<u16>) {
    let (mut table, mut index, mut named, mut taken) = (AT.desc, head, Vec::new(), Vec::new());
    loop {
        let desc = table.offset(u64::from(index) * DESC_SIZE);
        let flags = metal.load16(desc.offset(DESC_FLAGS));
        if table == AT.desc {
            taken.push(index);
        }
        if flags == DESC_INDIRECT {
            assert_eq!(table, AT.desc, "a table in a table");
            (table, index) = (Gpa(metal.load(desc)), 0);
            continue;
        }
        assert_eq!((flags & DESC_WRITE, metal.load32(desc.offset(DESC_LEN))), (DESC_WRITE, 4096));
        named.push(metal.load(desc));
        if flags & DESC_NEXT == 0 {
            return (named, taken);
        }
        index = metal.load16(desc.offset(DESC_NEXT_INDEX));
    }
}

/// A device that uses every chain at its kick, wants a kick for the next, and checks that chains are as they should be.
fn device(options: RingFeatures, each: u16) -> impl FnMut(&mut Fake, crate::metal::fake::Rung) {
    let (mut seen, mut expected) = (0_u16, 0_u16);
    move |metal, _| {
        let slot = u64::from(seen % SIZE);
        let head = metal.load16(AT.avail.offset(ENTRIES + slot * AVAIL_ENTRY_SIZE));
        let (named, taken) = walk(metal, head);
        assert_eq!(named, blocks(each.into()).iter().map(|block| block.gpa().0).collect::<Vec<_>>());
        assert_eq!(taken.len(), usize::from(if options.indirect { 1 } else { each }));
        if options.in_order {
            for index in taken {
                assert_eq!(index, expected % SIZE, "of chain {seen}");
                expected += 1;
            }
        } else {
            assert_eq!(head, 0);
        }
        let entry = AT.used.offset(ENTRIES + slot * USED_ENTRY_SIZE);
        metal.store32(entry, head.into());
        metal.store32(entry.offset(4), 0);
        seen = seen.wrapping_add(1);
        metal.store16(AT.used.offset(IDX), seen);
        if options.event_idx {
            metal.store16(AT.avail_event(), seen);
        }
    }
}

#[test]
fn every_option_and_all_together_go_round_the_ring_again_and_again() {
    for options in RingFeatures::ALL.iter().copied() {
        for each in [1, 3, 31, 32] {
            let mut metal = Fake::new(device(options, each));
            let mut first = ring(&mut metal, Completion::Return, options);
            let mut second = SplitRing::beside(AT, Completion::Return, options);
            for report in 0..200 {
                // Two virtual processors take turns.
                let ring = if report % 3 == 0 { &mut second } else { &mut first };
                ring.take_over(&metal);
                ring.prepare(&mut metal, &blocks(each.into()));
                ring.notify(&mut metal);
                assert_eq!(ring.wait(&mut metal).violation, None, "{options:?}, report {report} of {each}");
            }
            assert_eq!(metal.rings, 200, "{options:?}");
        }
    }
}

#[test]
fn a_device_that_did_not_ask_is_not_kicked_whatever_its_flag_says() {
    let options = RingFeatures { event_idx: true, ..RingFeatures::NONE };
    let mut metal = Fake::new(|_, _| {});
    let mut ring = ring(&mut metal, Completion::Poll, options);
    metal.store16(AT.used, USED_NO_NOTIFY);
    ring.prepare(&mut metal, &blocks(1));
    ring.notify(&mut metal);
    assert_eq!(metal.rings, 1, "memory is as it was found: it wants to be told of the first");
    ring.prepare(&mut metal, &blocks(1));
    ring.notify(&mut metal);
    assert_eq!(metal.rings, 1);
    metal.store16(AT.avail_event(), 2);
    ring.prepare(&mut metal, &blocks(1));
    ring.notify(&mut metal);
    assert_eq!(metal.rings, 2);
}

#[test]
fn the_driver_names_the_chain_it_waits_for_or_one_that_is_past() {
    let options = RingFeatures { event_idx: true, ..RingFeatures::NONE };
    for (completion, named) in [(Completion::Interrupt, [0, 1, 2]), (Completion::Poll, [0xffff, 0, 1])] {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = ring(&mut metal, completion, options);
        for (available, event) in (1..).zip(named) {
            ring.prepare(&mut metal, &blocks(1));
            assert_eq!(metal.load16(AT.used_event()), event);
            let due = event::is_due(event, available - 1, available);
            assert_eq!(due, completion == Completion::Interrupt);
        }
        assert_eq!(metal.load16(AT.avail), 0, "the flag stays as it is");
    }
}
