//! The reporting queue in the packed format, driven by somebody else: the producer of `hyperlight-common`.

#![expect(unsafe_code, reason = "an unsafe trait, here a way to the checked door of guest memory")]

use std::num::NonZeroU16;

use hyperlight_common::virtq::{BufferChainBuilder, Layout, MemOps, RingProducer};
use proptest::prelude::*;

use super::*;

const BASE: u64 = 0x1000;

/// Guest memory as the producer wants it.
struct Memory(Arc<GuestRam>);

// SAFETY: every access goes through guest memory's own checks, and has the ordering that is asked for. There are no
// slices.
unsafe impl MemOps for Memory {
    type Error = ();

    fn read(&self, addr: u64, dst: &mut [u8]) -> Result<(), ()> {
        self.0.read_bytes(Gpa(addr), dst).map_err(drop)
    }

    fn write(&self, addr: u64, src: &[u8]) -> Result<(), ()> {
        self.0.memory().write_slice(src, GuestAddress(addr)).map_err(drop)
    }

    fn load_acquire(&self, addr: u64) -> Result<u16, ()> {
        self.0.memory().load(GuestAddress(addr), Ordering::Acquire).map_err(drop)
    }

    fn store_release(&self, addr: u64, val: u16) -> Result<(), ()> {
        self.0.memory().store(val, GuestAddress(addr), Ordering::Release).map_err(drop)
    }

    unsafe fn as_slice(&self, _: u64, _: usize) -> Result<&[u8], ()> {
        Err(())
    }

    unsafe fn as_mut_slice(&self, _: u64, _: usize) -> Result<&mut [u8], ()> {
        Err(())
    }
}

/// A device whose driver is theirs, over a ring of so many entries.
fn driven(size: u16) -> (Device, RingProducer<Memory>) {
    let ram = ram();
    // SAFETY: such a ring fits in the page that begins there, aligned, and the producer owns the memory.
    let layout = unsafe { Layout::from_base(BASE, NonZeroU16::new(size).unwrap()) }.unwrap();
    let producer = RingProducer::new(layout, Memory(Arc::clone(&ram)));
    let mut device = Device::with(&ram, Balloon::offering_packed);
    device.negotiate(OFFERED | feature::RING_PACKED);
    device.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into());
    device.write(mmio::QUEUE_NUM, size.into());
    let driver = BASE + 16 * u64::from(size);
    for (low, part) in
        [(mmio::QUEUE_DESC_LOW, BASE), (mmio::QUEUE_DRIVER_LOW, driver), (mmio::QUEUE_DEVICE_LOW, driver + 4)]
    {
        device.place_part(low, part);
    }
    device.write(mmio::QUEUE_READY, 1);
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), UP);
    (device, producer)
}

/// Submits a list of so many pages; its id.
fn submit(producer: &mut RingProducer<Memory>, pfns: &[u64]) -> u16 {
    let (first, others) = pfns.split_first().unwrap();
    let mut chain = BufferChainBuilder::new().writable(first << 12, 4096);
    for pfn in others {
        chain = chain.writable(pfn << 12, 4096);
    }
    let submitted = producer.submit_available_with_notify(&chain.build().unwrap()).unwrap();
    assert!(submitted.notify, "the device never asks not to be told");
    submitted.id
}

/// The device serves what is there: every list's id and ranges.
fn serve(device: &mut Device) -> Vec<(u16, Vec<PageRange>)> {
    let mut served = Vec::new();
    loop {
        device.batch.clear();
        let Some(id) = device.balloon.fetch_packed(&mut device.batch).unwrap() else { return served };
        assert_eq!(device.batch.refused, Refused::default());
        served.push((id, device.batch.ranges().to_vec()));
        device.balloon.complete_packed(id).unwrap();
    }
}

proptest! {
    #[test]
    fn lists_arrive_and_come_back(
        // Theirs has a power of two of entries.
        size in (0_u32..6).prop_map(|exponent| 1_u16 << exponent),
        kicks in proptest::collection::vec(proptest::collection::vec(1_usize..40, 1..5), 1..40),
    ) {
        let (mut device, mut producer) = driven(size);
        for lists in kicks {
            let mut sent = Vec::new();
            for length in lists {
                if length > producer.num_free() {
                    break;
                }
                let pfns: Vec<_> = (0..length as u64).map(|number| 0x200 + number).collect();
                sent.push((submit(&mut producer, &pfns), pages(&pfns)));
            }
            prop_assert_eq!(serve(&mut device), sent.clone());
            for (id, _) in sent {
                let used = producer.poll_used().unwrap();
                prop_assert_eq!((used.id, used.len), (id, 0));
            }
            prop_assert!(producer.poll_used().is_err(), "there are no more");
            prop_assert_eq!(producer.num_free(), usize::from(size));
        }
    }
}

#[test]
fn it_is_told_if_it_wants_to_be() {
    let (mut device, mut producer) = driven(32);
    producer.disable_used_notifications().unwrap();
    submit(&mut producer, &[0x200]);
    assert_eq!((serve(&mut device).len(), device.interrupts()), (1, 0));
    producer.poll_used().unwrap();
    producer.enable_used_notifications().unwrap();
    submit(&mut producer, &[0x200]);
    assert_eq!((serve(&mut device).len(), device.interrupts()), (1, 1));
}
