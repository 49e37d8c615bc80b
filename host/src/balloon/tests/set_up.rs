//! Setting queues up.

use super::*;

#[test]
fn there_are_three_queues_and_a_second_number_for_one() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    let sizes = [0, 1, 2, 4, 3, 5, 0xffff, 0x1_0000, 0x1_0002].map(|queue| {
        device.write(mmio::QUEUE_SEL, queue);
        device.read(mmio::QUEUE_NUM_MAX)
    });
    assert_eq!(sizes, [1024, 1024, 1024, 1024, 0, 0, 0, 0, 0]);
}

/// A device whose driver has set up one ring as the reporting queue by each of these numbers.
fn numbered(ram: &Arc<GuestRam>, ring: &Mock<'_>, numbers: &[u16]) -> Device {
    let mut device = Device::new(ram);
    device.negotiate(OFFERED);
    for number in numbers {
        device.place(*number, ring);
        device.write(mmio::QUEUE_READY, 1);
        assert_eq!(device.read(mmio::QUEUE_READY), 1);
    }
    device.write(mmio::STATUS, UP);
    device
}

#[test]
fn the_reporting_queue_has_the_number_that_the_driver_gives_it() {
    for number in [REPORTING_QUEUE, REPORTING_QUEUE_FIXED] {
        let ram = ram();
        let ring = mock(&ram, 0x1000);
        let mut device = numbered(&ram, &ring, &[number]);
        assert_eq!(device.balloon.reporting_queue(), number);
        ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
        // A kick of the other number is one of a queue that is not there.
        device.write(mmio::QUEUE_NOTIFY, (REPORTING_QUEUE + REPORTING_QUEUE_FIXED - number).into());
        assert_eq!((ring.used().idx().load(), device.serve()), (0, vec![0]), "{number}");
        device.write(mmio::STATUS, 0);
        assert_eq!(device.balloon.reporting_queue(), REPORTING_QUEUE);
    }
}

#[test]
fn two_reporting_queues_need_a_reset_and_are_told_by_name() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = numbered(&ram, &ring, &[REPORTING_QUEUE_FIXED, REPORTING_QUEUE]);
    assert_eq!(device.status(), UP | NEEDS_RESET);
    let error = device.fetch().unwrap_err();
    assert!(matches!(error, RingError::TwoReportingQueues), "{error}");
    assert!(device.fetch().unwrap().is_none(), "once is enough");
    device.start(&ring);
    assert_eq!(device.balloon.reporting_queue(), REPORTING_QUEUE);
}

#[test]
fn there_is_no_reporting_queue_without_reporting() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(feature::VERSION_1);
    device.place(REPORTING_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    assert_eq!((device.read(mmio::QUEUE_NUM_MAX), device.read(mmio::QUEUE_READY)), (0, 0));
}

/// Whether a queue becomes ready that is set up rightly but for one register.
fn becomes_ready(offset: u64, value: u32) -> bool {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(OFFERED);
    device.place(REPORTING_QUEUE, &ring);
    device.write(offset, value);
    device.write(mmio::QUEUE_READY, 1);
    device.read(mmio::QUEUE_READY) == 1
}

#[test]
fn a_queue_has_a_power_of_two_of_entries() {
    for size in [1, 2, 32, 1024] {
        assert!(becomes_ready(mmio::QUEUE_NUM, size), "{size}");
    }
    for size in [0, 3, 48, 2048, 0x8000, 0x1_0020, u32::MAX] {
        assert!(!becomes_ready(mmio::QUEUE_NUM, size), "{size}");
    }
}

#[test]
fn the_parts_of_a_queue_are_aligned() {
    for (part, right, wrong) in [
        (mmio::QUEUE_DESC_LOW, 0x2010, 0x2008),
        (mmio::QUEUE_DRIVER_LOW, 0x2002, 0x2001),
        (mmio::QUEUE_DEVICE_LOW, 0x2004, 0x2002),
    ] {
        assert!(becomes_ready(part, right), "{part:#x}");
        assert!(!becomes_ready(part, wrong), "{part:#x}");
        assert!(!becomes_ready(part, 0), "{part:#x} is nowhere");
    }
}

#[test]
fn a_queue_is_set_up_between_features_ok_and_driver_ok() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.place(INFLATE_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    assert_eq!(device.read(mmio::QUEUE_READY), 0, "too early");
    device.start(&ring);
    device.place(INFLATE_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    assert_eq!(device.read(mmio::QUEUE_READY), 0, "too late");
}

#[test]
fn a_ready_queue_stays_where_it_is() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(OFFERED);
    device.place(REPORTING_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    device.place(REPORTING_QUEUE, &mock(&ram, 0x3000));
    device.write(mmio::QUEUE_READY, 1);
    device.write(mmio::STATUS, UP);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.serve(), [0]);
}

#[test]
fn a_stopped_queue_is_not_looked_at() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.write(mmio::QUEUE_READY, 0);
    assert_eq!(device.read(mmio::QUEUE_READY), 0);
    assert!(device.serve().is_empty());
    assert_eq!(device.status(), UP);
}

#[test]
fn interrupts_stay_until_they_are_acknowledged() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    assert_eq!(device.read(mmio::INTERRUPT_STATUS), 0);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.serve();
    assert_eq!(device.read(mmio::INTERRUPT_STATUS), mmio::INTERRUPT_USED);
    device.write(mmio::INTERRUPT_ACK, mmio::INTERRUPT_CONFIG);
    assert_eq!(device.read(mmio::INTERRUPT_STATUS), mmio::INTERRUPT_USED);
    device.write(mmio::INTERRUPT_ACK, mmio::INTERRUPT_USED);
    assert_eq!(device.read(mmio::INTERRUPT_STATUS), 0);
}
