//! The packed ring's driver with each of its options, against a device in a few lines.

use abi::addr::{Order, Pfn};
use abi::axes::{Axis, RingFeatures};

use super::*;
use crate::metal::fake::{Fake, Rung};

const SIZE: u16 = 32;
const AT: Placement = Placement::of(SIZE);

fn blocks(n: u64) -> Vec<PageRange> {
    (0..n).map(|i| PageRange::block(Pfn(0x400 + i), Order::PAGE)).collect()
}

fn at(position: Position) -> Gpa {
    AT.desc.offset(u64::from(position.index()) * DESC_SIZE)
}

/// A device that uses every list at its kick, wants a kick for the next, and checks that lists are as they should be.
fn device(options: RingFeatures, each: u16) -> impl FnMut(&mut Fake, Rung) {
    let mut next = Position::START;
    move |metal, _| {
        let descriptor = at(next);
        let flags = metal.load16(descriptor.offset(DESC_FLAGS));
        assert!(next.is_available(flags), "{next:?}");
        let taken = if options.indirect { 1 } else { each };
        if options.indirect {
            assert_eq!(flags & 7, DESC_INDIRECT);
            assert_eq!(metal.load(descriptor), indirect::AT.0);
            assert_eq!(metal.load32(descriptor.offset(DESC_LEN)), u32::from(each) * 16);
            for (element, block) in (0..).zip(blocks(each.into())) {
                let element = indirect::AT.offset(element * DESC_SIZE);
                assert_eq!(metal.load(element), block.gpa().0);
                assert_eq!(metal.load32(element.offset(DESC_LEN)), 4096);
                assert_eq!(metal.load16(element.offset(DESC_FLAGS)), DESC_WRITE);
            }
        }
        metal.store16(descriptor.offset(DESC_FLAGS), next.used());
        next = next.after(taken, SIZE);
        if options.event_idx {
            metal.store32(AT.device, event(next));
        }
    }
}

#[test]
fn every_option_and_all_together_go_round_the_ring_again_and_again() {
    for options in RingFeatures::ALL.iter().copied().filter(|options| !options.in_order) {
        for each in [1, 3, 31, 32] {
            let mut metal = Fake::new(device(options, each));
            let mut first = PackedRing::new(&mut metal, AT, Completion::Return, options);
            let mut second = PackedRing::beside(AT, Completion::Return, options);
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
fn a_device_is_kicked_for_the_list_it_named() {
    let options = RingFeatures { event_idx: true, ..RingFeatures::NONE };
    let mut metal = Fake::new(|_, _| {});
    let mut ring = PackedRing::new(&mut metal, AT, Completion::Poll, options);
    let mut kicked = |metal: &mut Fake, structure: u32| {
        let before = metal.rings;
        metal.store32(AT.device, structure);
        ring.prepare(metal, &blocks(5));
        ring.notify(metal);
        metal.rings > before
    };
    let far = |descriptors| event(Position::START.after(descriptors, SIZE));
    assert!(kicked(&mut metal, 0), "as memory was found: of all");
    assert!(!kicked(&mut metal, u32::from(EVENT_DISABLE) << 16));
    assert!(kicked(&mut metal, far(14)), "its last descriptor");
    assert!(!kicked(&mut metal, far(14)), "past");
    assert!(!kicked(&mut metal, far(25)), "the next one's first");
}

#[test]
fn the_driver_names_the_list_it_waits_for() {
    let options = RingFeatures { event_idx: true, ..RingFeatures::NONE };
    for completion in [Completion::Interrupt, Completion::Poll] {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = PackedRing::new(&mut metal, AT, completion, options);
        let mut next = Position::START;
        for _ in 0..40 {
            ring.prepare(&mut metal, &blocks(3));
            let named = match completion {
                Completion::Interrupt => event(next),
                _ => u32::from(EVENT_DISABLE) << 16,
            };
            assert_eq!(metal.load32(AT.driver), named);
            next = next.after(3, SIZE);
        }
    }
}
