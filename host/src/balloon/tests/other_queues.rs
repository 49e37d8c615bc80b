//! The queues that are acknowledged and ignored.

use super::*;

#[test]
fn inflating_and_deflating_is_acknowledged_and_ignored() {
    for queue in [INFLATE_QUEUE, DEFLATE_QUEUE] {
        let ram = ram();
        let ring = mock(&ram, 0x1000);
        let mut device = Device::new(&ram);
        device.negotiate(OFFERED);
        device.place(queue, &ring);
        device.write(mmio::QUEUE_READY, 1);
        device.write(mmio::STATUS, UP);
        ring.add_desc_chains(&[descriptor(0x200, 0, 0), descriptor(0x201, 0, 0)], 0).unwrap();
        device.write(mmio::QUEUE_NOTIFY, queue.into());
        assert_eq!((ring.used().idx().load(), device.interrupts()), (2, 2));
        assert_eq!([0, 1].map(|slot| used(&ring, slot)), [(0, 0), (1, 0)]);
        assert_eq!(device.fetch().unwrap(), None, "they are no reports");
    }
}

#[test]
fn a_broken_inflate_queue_needs_a_reset_too() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(OFFERED);
    device.place(INFLATE_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    device.write(mmio::STATUS, UP);
    ring.avail().idx().store(SIZE + 1);
    device.write(mmio::QUEUE_NOTIFY, INFLATE_QUEUE.into());
    is_broken(&mut device);
    recovers(&mut device, &ram);
}

#[test]
fn a_kick_for_no_queue_means_nothing() {
    let ram = ram();
    let mut device = Device::up(&ram, &mock(&ram, 0x1000));
    for queue in [0, 1, 3, 0xffff, 0x1_0000, u32::MAX] {
        device.write(mmio::QUEUE_NOTIFY, queue);
    }
    assert_eq!((device.status(), device.interrupts()), (UP, 0));
}
