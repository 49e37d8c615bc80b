//! A broken queue, and a device that is reset.

use super::*;

#[test]
fn a_head_beyond_the_table_breaks_the_queue() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.avail().ring().ref_at(0).unwrap().store(SIZE);
    ring.avail().idx().store(1);
    let error = device.fetch().unwrap_err();
    assert!(matches!(error, RingError::Head { queue: 2, head: 32, size: 32 }), "{error}");
    assert!(device.batch.ranges().is_empty());
    is_broken(&mut device);
    recovers(&mut device, &ram);
}

#[test]
fn an_available_index_that_jumps_breaks_the_queue() {
    for index in [SIZE + 1, 0x8000, u16::MAX] {
        let ram = ram();
        let ring = mock(&ram, 0x1000);
        let mut device = Device::up(&ram, &ring);
        ring.avail().idx().store(index);
        let error = device.fetch().unwrap_err();
        assert!(matches!(error, RingError::AvailableJump { queue: 2 }), "{index}: {error}");
        is_broken(&mut device);
        recovers(&mut device, &ram);
    }
}

#[test]
fn an_available_index_that_steps_back_breaks_the_queue() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.serve();
    device.interrupts();
    ring.avail().idx().store(0);
    assert!(matches!(device.fetch(), Err(RingError::AvailableJump { queue: 2 })));
    is_broken(&mut device);
}

/// A driver that puts one part of the reporting queue at `at`; what a report comes to.
fn misplaced(part: u64, at: u64) -> Result<(), RingError> {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(OFFERED);
    device.place(REPORTING_QUEUE, &ring);
    device.place_part(part, at);
    device.write(mmio::QUEUE_READY, 1);
    device.write(mmio::STATUS, UP);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    // Where the available ring itself is elsewhere, its index is the last thing in memory.
    let _ = ram.memory().write_obj(1_u16, GuestAddress(RAM_BYTES - 2));
    let ended = device.fetch().and_then(|head| head.map_or(Ok(()), |head| device.balloon.complete(head)));
    if ended.is_err() {
        is_broken(&mut device);
        recovers(&mut device, &ram);
    }
    ended
}

#[test]
fn a_queue_outside_memory_breaks() {
    for (part, at) in [
        (mmio::QUEUE_DRIVER_LOW, RAM_BYTES),
        (mmio::QUEUE_DRIVER_LOW, 1 << 63),
        (mmio::QUEUE_DRIVER_LOW, u64::MAX - 1),
        (mmio::QUEUE_DRIVER_LOW, RAM_BYTES - 4),
        (mmio::QUEUE_DEVICE_LOW, RAM_BYTES),
        (mmio::QUEUE_DEVICE_LOW, RAM_BYTES - 4),
        (mmio::QUEUE_DEVICE_LOW, u64::MAX - 3),
    ] {
        let ended = misplaced(part, at);
        assert!(matches!(ended, Err(RingError::Access { queue: 2, .. })), "{part:#x} at {at:#x}: {ended:?}");
    }
}

#[test]
fn a_table_outside_memory_is_a_broken_chain() {
    for at in [RAM_BYTES, u64::MAX - 15] {
        misplaced(mmio::QUEUE_DESC_LOW, at).unwrap();
    }
}

#[test]
fn nothing_is_served_before_driver_ok() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::new(&ram);
    device.negotiate(OFFERED);
    device.place(REPORTING_QUEUE, &ring);
    device.write(mmio::QUEUE_READY, 1);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.fetch().unwrap(), None);
    assert_eq!((ring.used().idx().load(), device.interrupts()), (0, 0));
    device.write(mmio::STATUS, UP);
    assert_eq!(device.serve(), [0], "but then it is");
}

#[test]
fn a_reset_ends_everything() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.write(mmio::STATUS, 0);
    assert!(device.serve().is_empty());
    device.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into());
    assert_eq!(device.read(mmio::QUEUE_READY), 0);
    recovers(&mut device, &ram);
}

#[test]
fn a_chain_in_hand_is_not_acknowledged_after_a_reset() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.fetch().unwrap(), Some(0));
    device.write(mmio::STATUS, 0);
    let before: [u64; 64] = ram.read_words(Gpa(0)).unwrap();
    device.balloon.complete(0).unwrap();
    assert_eq!((ring.used().idx().load(), device.interrupts()), (0, 0));
    assert_eq!(ram.read_words(Gpa(0)).unwrap(), before, "address 0 is no queue");

    device.start(&mock(&ram, 0x8000));
    device.balloon.complete(0).unwrap();
    assert_eq!(device.interrupts(), 0, "nor in the next life of the device");
}

#[test]
fn what_takes_the_queue_away_waits_for_the_chain_in_hand() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    let waits = |device: &Device| {
        [(mmio::STATUS, 0), (mmio::QUEUE_READY, 0), (mmio::STATUS, UP), (mmio::INTERRUPT_ACK, 0)]
            .map(|(offset, value): (u64, u32)| device.balloon.must_wait(offset, &value.to_le_bytes()))
    };
    assert_eq!(waits(&device), [false; 4]);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.fetch().unwrap();
    assert_eq!(waits(&device), [true, true, false, false]);
    device.write(mmio::QUEUE_SEL, INFLATE_QUEUE.into());
    assert_eq!(waits(&device), [true, false, false, false], "another queue");
    device.balloon.complete(0).unwrap();
    assert_eq!(waits(&device), [false; 4]);
}

#[test]
fn a_reset_does_not_overtake_the_device_thread() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    device.fetch().unwrap();
    let balloon = SharedBalloon::new(device.balloon, &Arc::default());
    std::thread::scope(|scope| {
        let reset = scope.spawn(|| balloon.write(mmio::STATUS, &[0; 4]).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!reset.is_finished(), "the pages are still being discarded");
        assert_eq!(balloon.lock().status(), UP);
        balloon.lock().complete(0).unwrap();
    });
    assert_eq!((ring.used().idx().load(), balloon.lock().status()), (1, 0));
}
