//! The balloon without KVM: its registers by hand, its queues by the mock driver of `virtio-queue`.
//!
//! Section numbers are those of virtio 1.2.

use std::time::Duration;

use abi::addr::{PageRange, Pfn};
use abi::wire::split_ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use abi::wire::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE, REPORTING_QUEUE_FIXED};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::MockSplitQueue;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use super::*;
use crate::reclaim::Refused;

mod another_driver;
mod broken;
mod options;
mod other_queues;
mod packed;
mod packed_options;
mod poison;
mod registers;
mod reporting;
mod set_up;
mod uncalled;

/// Entries of the rings here.
const SIZE: u16 = 32;
const RAM_BYTES: u64 = 4 << 20;
/// Everything a driver sets on its way up.
const UP: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;
const NEEDS_RESET: u32 = status::DEVICE_NEEDS_RESET;
/// Both descriptor flags of an entry in the middle of a reporting chain.
const MIDDLE: u16 = DESC_WRITE | DESC_NEXT;

type Mock<'a> = MockSplitQueue<'a, GuestMemoryMmap>;

fn ram() -> Arc<GuestRam> {
    Arc::new(GuestRam::new(RAM_BYTES).unwrap())
}

/// A ring at `start`. The mock places its used ring as if the entries of the available ring were bytes, so that
/// the second half of the one lies on the first entries of the other: it is made twice as large as it is used.
fn mock(ram: &GuestRam, start: u64) -> Mock<'_> {
    MockSplitQueue::create(ram.memory(), GuestAddress(start), 2 * SIZE)
}

/// The device, as a driver sees it.
struct Device {
    balloon: Balloon,
    interrupt: EventFd,
    batch: Batch,
}

impl Device {
    fn new(ram: &Arc<GuestRam>) -> Self {
        Self::with(ram, |balloon| balloon)
    }

    fn with(ram: &Arc<GuestRam>, change: impl FnOnce(Balloon) -> Balloon) -> Self {
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap();
        let balloon = Balloon::new(Arc::clone(ram), interrupt.try_clone().unwrap(), Planted::NONE);
        let balloon = change(balloon);
        Self { balloon, interrupt, batch: Batch::default() }
    }

    /// A device whose driver has set up `ring` as the reporting queue.
    fn up(ram: &Arc<GuestRam>, ring: &Mock<'_>) -> Self {
        let mut device = Self::new(ram);
        device.start(ring);
        device
    }

    fn start(&mut self, ring: &Mock<'_>) {
        self.negotiate(OFFERED);
        self.finish(ring);
    }

    /// What comes after the features.
    fn finish(&mut self, ring: &Mock<'_>) {
        self.place(REPORTING_QUEUE, ring);
        self.write(mmio::QUEUE_READY, 1);
        self.write(mmio::STATUS, UP);
        assert_eq!(self.status(), UP);
    }

    fn read(&self, offset: u64) -> u32 {
        let mut data = [0xee; 4];
        self.balloon.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.balloon.write(offset, &value.to_le_bytes());
    }

    fn status(&self) -> u32 {
        self.read(mmio::STATUS)
    }

    /// The steps of 3.1.1 up to FEATURES_OK, with these features.
    fn negotiate(&mut self, features: u64) {
        self.write(mmio::STATUS, 0);
        self.write(mmio::STATUS, status::ACKNOWLEDGE);
        self.write(mmio::STATUS, status::ACKNOWLEDGE | status::DRIVER);
        for half in 0..2 {
            self.write(mmio::DRIVER_FEATURES_SEL, half);
            self.write(mmio::DRIVER_FEATURES, u32::try_from(features >> (32 * half) & 0xffff_ffff).unwrap());
        }
        self.write(mmio::STATUS, UP & !status::DRIVER_OK);
    }

    /// Writes size and addresses of a queue, short of making it ready.
    fn place(&mut self, queue: u16, ring: &Mock<'_>) {
        self.write(mmio::QUEUE_SEL, queue.into());
        self.write(mmio::QUEUE_NUM, SIZE.into());
        for (low, part) in [
            (mmio::QUEUE_DESC_LOW, ring.desc_table_addr()),
            (mmio::QUEUE_DRIVER_LOW, ring.avail_addr()),
            (mmio::QUEUE_DEVICE_LOW, ring.used_addr()),
        ] {
            self.place_part(low, part.0);
        }
    }

    fn place_part(&mut self, low: u64, at: u64) {
        self.write(low, u32::try_from(at & 0xffff_ffff).unwrap());
        self.write(low + 4, u32::try_from(at >> 32).unwrap());
    }

    fn fetch(&mut self) -> Result<Option<u16>, RingError> {
        self.batch.clear();
        self.balloon.fetch(&mut self.batch)
    }

    /// Serves chains until there are no more; returns their heads.
    fn serve(&mut self) -> Vec<u16> {
        let mut heads = Vec::new();
        while let Some(head) = self.fetch().unwrap() {
            self.balloon.complete(head).unwrap();
            heads.push(head);
        }
        heads
    }

    /// How often the interrupt was raised since the last look.
    fn interrupts(&self) -> u64 {
        self.interrupt.read().unwrap_or(0)
    }

    /// Fetches the one chain that is there and completes it: what was refused, and what was taken.
    fn take(&mut self) -> (Refused, Vec<PageRange>) {
        let head = self.fetch().unwrap().expect("a chain is there");
        let found = (self.batch.refused, self.batch.ranges().to_vec());
        self.balloon.complete(head).unwrap();
        found
    }
}

/// A balloon that has fetched a chain and not completed it.
pub(super) fn with_chain_in_hand() -> Balloon {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::up(&ram, &ring);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.fetch().unwrap(), Some(0));
    device.balloon
}

fn descriptor(pfn: u64, flags: u16, next: u16) -> RawDescriptor {
    Descriptor::new(pfn << 12, 4096, flags, next).into()
}

/// A chain that reports a page a descriptor, beginning at entry `at` of the table.
fn chain(at: u16, pfns: &[u64]) -> Vec<RawDescriptor> {
    let last = pfns.len() - 1;
    let entry = |(index, pfn): (usize, &u64)| {
        let next = at + 1 + u16::try_from(index).unwrap();
        if index == last { descriptor(*pfn, DESC_WRITE, 0) } else { descriptor(*pfn, MIDDLE, next) }
    };
    pfns.iter().enumerate().map(entry).collect()
}

fn pages(pfns: &[u64]) -> Vec<PageRange> {
    pfns.iter().map(|pfn| PageRange::block(Pfn(*pfn), abi::addr::Order::default())).collect()
}

/// What the used ring holds at `slot`: chain and length.
fn used(ring: &Mock<'_>, slot: usize) -> (u32, u32) {
    let entry = ring.used().ring().ref_at(slot).unwrap().load();
    (entry.id(), entry.len())
}

fn refuse_interrupts(ram: &GuestRam, ring: &Mock<'_>) {
    ram.memory().write_obj(AVAIL_NO_INTERRUPT, ring.avail_addr()).unwrap();
}

/// The device has told the driver that it needs a reset, and does nothing until then.
fn is_broken(device: &mut Device) {
    assert_eq!(device.status(), UP | NEEDS_RESET);
    assert_ne!(device.read(mmio::INTERRUPT_STATUS) & mmio::INTERRUPT_CONFIG, 0);
    assert_ne!(device.interrupts(), 0);
    assert_eq!(device.fetch().unwrap(), None, "nothing is served");
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), UP | NEEDS_RESET, "only a reset helps");
}

/// After a reset the device works again.
fn recovers(device: &mut Device, ram: &GuestRam) {
    let ring = mock(ram, 0x8000);
    device.start(&ring);
    assert_eq!(device.read(mmio::INTERRUPT_STATUS), 0);
    ring.add_desc_chains(&chain(0, &[0x200]), 0).unwrap();
    assert_eq!(device.serve(), [0]);
    assert_eq!(used(&ring, 0), (0, 0));
}
