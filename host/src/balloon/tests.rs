//! The balloon without KVM: its registers by hand, its queues by the mock driver of `virtio-queue`.
//!
//! Section numbers are those of virtio 1.2.

use std::sync::Mutex;
use std::time::Duration;

use abi::addr::{PageRange, Pfn};
use abi::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE};
use abi::virtio::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::MockSplitQueue;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use super::*;
use crate::transport;
use crate::trial::Refused;

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
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap();
        let balloon = Balloon::new(Arc::clone(ram), interrupt.try_clone().unwrap(), Planted::NONE);
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

// Registers.

#[test]
fn says_what_it_is() {
    let device = Device::new(&ram());
    let identity = [mmio::MAGIC_VALUE, mmio::VERSION, mmio::DEVICE_ID, mmio::VENDOR_ID];
    assert_eq!(identity.map(|at| device.read(at)), [0x7472_6976, 2, 5, abi::virtio::VENDOR_ID]);
    assert_eq!(device.read(mmio::CONFIG_GENERATION), 0);
    assert_eq!(device.status(), 0);
}

#[test]
fn registers_are_read_in_32_bits_only() {
    let device = Device::new(&ram());
    for width in [1, 2, 8] {
        let mut data = [0xee; 8];
        device.balloon.read(mmio::MAGIC_VALUE, &mut data[..width]);
        assert!(data[..width].iter().all(|byte| *byte == 0), "{width} bytes");
    }
    assert_eq!(device.read(mmio::MAGIC_VALUE + 1), 0, "misaligned");
    assert_eq!(device.read(mmio::QUEUE_NOTIFY), 0, "write-only");
}

#[test]
fn registers_are_written_in_32_bits_only() {
    let mut device = Device::new(&ram());
    device.balloon.write(mmio::STATUS, &[1]);
    device.balloon.write(mmio::STATUS, &[1, 0, 0, 0, 0, 0, 0, 0]);
    device.balloon.write(mmio::STATUS, &[]);
    assert_eq!(device.status(), 0);
}

#[test]
fn features_are_offered_in_halves() {
    let mut device = Device::new(&ram());
    let offered = [0, 1, 2, u32::MAX].map(|half| {
        device.write(mmio::DEVICE_FEATURES_SEL, half);
        device.read(mmio::DEVICE_FEATURES)
    });
    assert_eq!(offered, [1 << 5, 1, 0, 0], "reporting, version 1, and nothing else");
}

#[test]
fn what_was_offered_is_accepted() {
    for features in [OFFERED, feature::VERSION_1] {
        let mut device = Device::new(&ram());
        device.negotiate(features);
        assert_eq!(device.status(), UP & !status::DRIVER_OK, "{features:#x}");
    }
}

#[test]
fn what_was_not_offered_is_refused() {
    for features in [OFFERED | 1, OFFERED | feature::INDIRECT_DESC, OFFERED | 1 << 34, OFFERED | 1 << 63] {
        let mut device = Device::new(&ram());
        device.negotiate(features);
        assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER, "{features:#x}");
    }
}

#[test]
fn a_feature_beyond_64_bits_is_refused() {
    let mut device = Device::new(&ram());
    let mut accepts = |thirds: [u32; 3]| {
        device.write(mmio::STATUS, 0);
        for (third, bits) in (0..).zip(thirds) {
            device.write(mmio::DRIVER_FEATURES_SEL, third);
            device.write(mmio::DRIVER_FEATURES, bits);
        }
        device.write(mmio::STATUS, UP & !status::DRIVER_OK);
        device.status() & status::FEATURES_OK != 0
    };
    assert!(!accepts([1 << 5, 1, 1 << 7]));
    assert!(accepts([1 << 5, 1, 0]), "a reset forgets it");
}

#[test]
fn a_driver_from_before_version_1_is_refused() {
    let mut device = Device::new(&ram());
    device.negotiate(feature::PAGE_REPORTING);
    assert_eq!(device.status() & status::FEATURES_OK, 0);
}

#[test]
fn features_do_not_change_once_they_are_ok() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    device.write(mmio::DRIVER_FEATURES_SEL, 1);
    device.write(mmio::DRIVER_FEATURES, 0);
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), UP);
    assert_eq!(device.balloon.accepted, OFFERED);
}

#[test]
fn driver_ok_needs_features_ok() {
    let mut device = Device::new(&ram());
    device.write(mmio::STATUS, status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK);
    assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER);
    device.negotiate(feature::PAGE_REPORTING);
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER, "refused features");
}

#[test]
fn status_bits_are_only_cleared_by_a_reset() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    device.write(mmio::STATUS, status::ACKNOWLEDGE);
    assert_eq!(device.status(), UP & !status::DRIVER_OK);
    device.write(mmio::STATUS, status::FAILED);
    assert_eq!(device.status(), UP & !status::DRIVER_OK | status::FAILED);
    device.write(mmio::STATUS, 0);
    assert_eq!(device.status(), 0);
}

#[test]
fn a_driver_cannot_say_that_the_device_needs_a_reset() {
    let mut device = Device::new(&ram());
    device.write(mmio::STATUS, status::ACKNOWLEDGE | NEEDS_RESET);
    assert_eq!(device.status(), status::ACKNOWLEDGE);
}

#[test]
fn the_configuration_is_read_in_any_width() {
    let mut device = Device::new(&ram());
    device.write(mmio::CONFIG + 4, 0x0403_0201);
    let config = |at: u64, width: usize| {
        let mut data = [0xee; 8];
        device.balloon.read(mmio::CONFIG + at, &mut data[..width]);
        data[..width].to_vec()
    };
    assert_eq!(config(4, 1), [1]);
    assert_eq!(config(6, 1), [3]);
    assert_eq!(config(4, 2), [1, 2]);
    assert_eq!(config(5, 2), [2, 3]);
    assert_eq!(config(4, 4), [1, 2, 3, 4]);
    assert_eq!(config(0, 8), [0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(config(14, 4), [0; 4], "over the end");
    assert_eq!(config(0xff, 4), [0; 4], "behind the end");
}

#[test]
fn only_actual_can_be_written() {
    let mut device = Device::new(&ram());
    for at in [0, 8, 12, 16] {
        device.write(mmio::CONFIG + at, u32::MAX);
        assert_eq!(device.read(mmio::CONFIG + at), 0, "at {at}");
    }
    device.balloon.write(mmio::CONFIG + 4, &[1, 2]);
    assert_eq!(device.read(mmio::CONFIG + 4), 0, "a le32 is written whole");
    device.write(mmio::CONFIG + 4, 7);
    device.write(mmio::STATUS, 0);
    assert_eq!(device.read(mmio::CONFIG + 4), 0, "after a reset");
}

// Setting queues up.

#[test]
fn there_are_three_queues() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    let sizes = [0, 1, 2, 3, 0xffff, 0x1_0000, 0x1_0002].map(|queue| {
        device.write(mmio::QUEUE_SEL, queue);
        device.read(mmio::QUEUE_NUM_MAX)
    });
    assert_eq!(sizes, [1024, 1024, 1024, 0, 0, 0, 0]);
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

// The reporting queue.

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

// A broken queue.

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
    let balloon = Mutex::new(device.balloon);
    std::thread::scope(|scope| {
        let reset = scope.spawn(|| transport::write(&balloon, mmio::STATUS, &[0; 4]));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!reset.is_finished(), "the pages are still being discarded");
        assert_eq!(transport::lock(&balloon).status(), UP);
        transport::lock(&balloon).complete(0).unwrap();
    });
    assert_eq!((ring.used().idx().load(), transport::lock(&balloon).status()), (1, 0));
}

// The other queues.

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
