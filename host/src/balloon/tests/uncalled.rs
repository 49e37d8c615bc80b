//! A device that looks into its reporting queue by itself says so, in either format and after every reset.

use abi::wire::packed_ring::EVENT_DISABLE;
use abi::wire::split_ring::USED_NO_NOTIFY;

use super::*;

const DRIVER: u64 = 0x2000;
const DEVICE: u64 = 0x3000;

fn word(ram: &GuestRam, at: u64) -> u16 {
    ram.memory().read_obj(GuestAddress(at)).unwrap()
}

#[test]
fn a_split_queue_suppresses_kicks() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::with(&ram, Balloon::wanting_no_kicks);
    for start in 0..2 {
        device.start(&ring);
        assert_eq!(word(&ram, ring.used_addr().0), USED_NO_NOTIFY, "start {start}");
        ram.memory().write_obj(0_u16, ring.used_addr()).unwrap();
    }
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert!(device.fetch().unwrap().is_some(), "what is there is found uncalled");
    ram.memory().write_obj(0_u16, ring.used_addr()).unwrap();
    let mut called = Device::new(&ram);
    called.start(&ring);
    assert_eq!(word(&ram, ring.used_addr().0), 0);
}

#[test]
fn a_packed_queue_suppresses_kicks() {
    let ram = ram();
    let mut device = Device::with(&ram, |balloon| balloon.offering_packed().wanting_no_kicks());
    device.negotiate(OFFERED | feature::RING_PACKED);
    device.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into());
    device.write(mmio::QUEUE_NUM, SIZE.into());
    for (low, part) in
        [(mmio::QUEUE_DESC_LOW, 0x1000), (mmio::QUEUE_DRIVER_LOW, DRIVER), (mmio::QUEUE_DEVICE_LOW, DEVICE)]
    {
        device.place_part(low, part);
    }
    assert_eq!(word(&ram, DEVICE + 2), 0);
    device.write(mmio::QUEUE_READY, 1);
    assert_eq!((device.read(mmio::QUEUE_READY), word(&ram, DEVICE + 2)), (1, EVENT_DISABLE));
}

#[test]
fn a_queue_that_is_not_in_memory_does_not_become_ready() {
    let ram = ram();
    let mut device = Device::with(&ram, |balloon| balloon.offering_packed().wanting_no_kicks());
    device.negotiate(OFFERED | feature::RING_PACKED);
    device.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into());
    device.write(mmio::QUEUE_NUM, SIZE.into());
    device.place_part(mmio::QUEUE_DEVICE_LOW, RAM_BYTES);
    device.write(mmio::QUEUE_READY, 1);
    assert_eq!(device.read(mmio::QUEUE_READY), 0);
}
