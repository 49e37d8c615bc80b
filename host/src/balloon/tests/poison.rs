//! What free pages are filled with (5.5.4, 5.5.6.7).

use super::*;
use crate::axes::{Coalesce, Discard};
use crate::reclaim::Reclaimer;

const POISON_AT: u64 = mmio::CONFIG + 12;
const POISON: u32 = 0xaaaa_aaaa;
const ALL: u64 = OFFERED | feature::PAGE_POISON;

fn offering(ram: &Arc<GuestRam>) -> Device {
    Device::with(ram, Balloon::offering_poison)
}

/// What a page that was full of ones reads as after it was reported, by a driver that has said `poison`.
fn left_by_a_report(features: u64, poison: u32) -> u64 {
    let (ram, page) = (ram(), Pfn(0x200).gpa());
    let ring = mock(&ram, 0x8000);
    let mut device = offering(&ram);
    device.negotiate(features);
    device.write(POISON_AT, poison);
    device.finish(&ring);
    ram.write(page, u64::MAX).unwrap();
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();

    let head = device.fetch().unwrap().expect("a chain is there");
    let mut reclaimer = Reclaimer::new(Arc::clone(&ram), Discard::DontNeed, Coalesce::Merged, Planted::NONE);
    reclaimer.take(&mut device.batch);
    device.balloon.complete(head).unwrap();
    assert_eq!(used(&ring, 0), (0, 0), "acknowledged in any case");
    ram.read(page).unwrap()
}

#[test]
fn is_offered_only_if_it_is_to_be() {
    for (mut device, low) in [(Device::new(&ram()), 1 << 5), (offering(&ram()), 1 << 5 | 1 << 4)] {
        device.write(mmio::DEVICE_FEATURES_SEL, 0);
        assert_eq!(device.read(mmio::DEVICE_FEATURES), low);
        device.negotiate(ALL);
        assert_eq!(device.status() & status::FEATURES_OK != 0, low & 1 << 4 != 0);
    }
}

#[test]
fn pages_filled_with_something_are_left_as_they_are() {
    assert_eq!(left_by_a_report(ALL, POISON), u64::MAX);
    assert_eq!(left_by_a_report(ALL, 1), u64::MAX);
}

#[test]
fn pages_filled_with_zeroes_are_discarded() {
    assert_eq!(left_by_a_report(ALL, 0), 0);
}

#[test]
fn who_did_not_negotiate_it_has_not_said_anything() {
    assert_eq!(left_by_a_report(OFFERED, POISON), 0);
}

#[test]
fn the_value_is_there_once_it_is_negotiated() {
    let mut device = offering(&ram());
    device.write(POISON_AT, POISON);
    assert_eq!(device.read(POISON_AT), 0, "nothing is negotiated");
    device.negotiate(OFFERED);
    device.write(POISON_AT, POISON);
    assert_eq!(device.read(POISON_AT), 0, "something else is");
    device.negotiate(ALL);
    device.write(POISON_AT, POISON);
    assert_eq!(device.read(POISON_AT), POISON);
    device.balloon.write(POISON_AT, &[1]);
    assert_eq!(device.read(POISON_AT), POISON, "a le32 is written whole");
}

#[test]
fn a_reset_forgets_it() {
    let (ram, mut device) = (ram(), offering(&ram()));
    device.negotiate(ALL);
    device.write(POISON_AT, POISON);
    device.write(mmio::STATUS, 0);
    assert_eq!(device.read(POISON_AT), 0);
    let ring = mock(&ram, 0x8000);
    device.start(&ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.fetch().unwrap();
    assert!(!device.batch.kept);
}
