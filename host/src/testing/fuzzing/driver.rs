//! A driver that does whatever the bytes say, and checks what the balloon makes of it.

use std::ops::Range;
use std::sync::Arc;

use abi::addr::Gpa;
use abi::axes::RingFeatures;
use abi::wire::packed_ring::{DESC_INDIRECT, DESC_NEXT, EVENT_SIZE, Position};
use abi::wire::split_ring::{AVAIL_ENTRY_SIZE, DESC_SIZE, ENTRIES, IDX, USED_ENTRY_SIZE};
use abi::wire::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE, REPORTING_QUEUE};
use abi::wire::virtio::{feature, mmio, status};
use virtio_queue::QueueT;
use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::input::{AVAIL, DESC, Input, RAM_BYTES, USED, check_ranges, ram};
use crate::balloon::Balloon;
use crate::fault::Planted;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// The registers with a meaning, so that they are found.
const REGISTERS: [u64; 19] = [
    mmio::DEVICE_FEATURES_SEL,
    mmio::DRIVER_FEATURES_SEL,
    mmio::DRIVER_FEATURES,
    mmio::QUEUE_SEL,
    mmio::QUEUE_NUM,
    mmio::QUEUE_READY,
    mmio::QUEUE_NOTIFY,
    mmio::INTERRUPT_ACK,
    mmio::STATUS,
    mmio::QUEUE_DESC_LOW,
    mmio::QUEUE_DESC_HIGH,
    mmio::QUEUE_DRIVER_LOW,
    mmio::QUEUE_DRIVER_HIGH,
    mmio::QUEUE_DEVICE_LOW,
    mmio::QUEUE_DEVICE_HIGH,
    mmio::CONFIG,
    mmio::CONFIG + 4,
    mmio::CONFIG + 8,
    mmio::CONFIG + 12,
];

/// A driver with an input for a mind.
pub(super) struct Driver {
    ram: Arc<GuestRam>,
    pub(super) balloon: Balloon,
    /// Entries of the ring as it was set up, if it was.
    size: u16,
    /// Where its next list begins, if its ring is packed as it was set up.
    next: Option<Position>,
    offered: RingFeatures,
    batch: Batch,
}

/// What a driver's queues are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Split,
    /// Packed, if it takes them: they are offered.
    Packed,
}

impl Driver {
    /// A driver that is offered these.
    pub(super) fn new(format: Format, offered: RingFeatures) -> Self {
        let ram = ram();
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap_or_else(|error| panic!("no eventfd: {error}"));
        let balloon = Balloon::new(Arc::clone(&ram), interrupt, Planted::NONE).offering(offered);
        let (balloon, next) = match format {
            Format::Split => (balloon, None),
            Format::Packed => (balloon.offering_packed(), Some(Position::START)),
        };
        Self { ram, balloon, size: 32, next, offered, batch: Batch::default() }
    }

    /// Does everything right, and accepts these options as far as they are offered.
    pub(super) fn bring_up(&mut self, size: u16, options: RingFeatures) {
        const FEATURES_OK: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.size = size;
        let format = if self.next.is_some() { feature::RING_PACKED } else { 0 };
        let options = feature::of(options) & feature::of(self.offered);
        let features = feature::VERSION_1 | feature::PAGE_REPORTING | format | options;
        let half = |number: u32| u32::try_from(features >> (32 * number) & 0xffff_ffff).unwrap_or(0);
        for (offset, value) in [
            (mmio::DRIVER_FEATURES_SEL, 0),
            (mmio::DRIVER_FEATURES, half(0)),
            (mmio::DRIVER_FEATURES_SEL, 1),
            (mmio::DRIVER_FEATURES, half(1)),
            (mmio::STATUS, FEATURES_OK),
        ] {
            self.balloon.write(offset, &value.to_le_bytes());
        }
        for queue in [INFLATE_QUEUE, DEFLATE_QUEUE, REPORTING_QUEUE] {
            // The rings of the other queues lie behind the reporting queue's.
            let behind = if queue == REPORTING_QUEUE { 0 } else { 0x1000 * (1 + u64::from(queue)) };
            for (offset, value) in [
                (mmio::QUEUE_SEL, queue.into()),
                (mmio::QUEUE_NUM, size.into()),
                (mmio::QUEUE_DESC_LOW, DESC + behind),
                (mmio::QUEUE_DRIVER_LOW, AVAIL + behind),
                (mmio::QUEUE_DEVICE_LOW, USED + behind),
                (mmio::QUEUE_READY, 1),
            ] {
                let value = u32::try_from(value).unwrap_or(0);
                self.balloon.write(offset, &value.to_le_bytes());
            }
        }
        self.balloon.write(mmio::STATUS, &(FEATURES_OK | status::DRIVER_OK).to_le_bytes());
    }

    pub(super) fn act(&mut self, input: &mut Input<'_>) {
        match input.u8() % 8 {
            0 => {
                let offset = REGISTERS[usize::from(input.u8()) % REGISTERS.len()];
                let value = input.u32().to_le_bytes();
                self.write(offset, &value);
            }
            1 => {
                let offset = u64::from(input.u16()) % mmio::SIZE;
                let width = usize::from(input.u8() % 9);
                let value: [u8; 8] = input.bytes();
                self.write(offset, &value[..width]);
            }
            2 => {
                let offset = u64::from(input.u16()) % mmio::SIZE;
                let width = usize::from(input.u8() % 9);
                self.balloon.read(offset, &mut [0; 8][..width]);
            }
            3 => self.poke(u64::from(input.u16()), &input.bytes::<8>()),
            4 => {
                let at = DESC + u64::from(input.u8()) * DESC_SIZE;
                self.poke(at, &input.bytes::<16>());
            }
            5 if self.next.is_some() => self.describe_packed(input),
            5 => self.describe(input),
            6 => match self.next {
                Some(next) => self.next = Some(self.offer_list(next, input)),
                None => self.offer(input),
            },
            _ => self.kick(!input.u8().is_multiple_of(4)),
        }
    }

    /// Writes a descriptor that may well mean something.
    fn describe(&self, input: &mut Input<'_>) {
        let at = DESC + u64::from(input.u8()) * DESC_SIZE;
        let addr = input.mostly_small() << 10;
        let len = input.u8();
        let [flags, next] = [input.u8(), input.u8()];
        let len = self.length(len, flags.into());
        self.poke(at, &addr.to_le_bytes());
        self.poke(at + 8, &len.to_le_bytes());
        self.poke(at + 12, &[flags, 0, next, 0]);
    }

    /// Quarters of a page, or halves of a descriptor where tables are offered and the descriptor points to one.
    const fn length(&self, number: u8, flags: u16) -> u32 {
        let is_table = self.offered.indirect && flags & DESC_INDIRECT != 0;
        if is_table { (number as u32) << 3 } else { (number as u32) << 10 }
    }

    /// Makes a chain available, in the one ring that may be in its place.
    fn offer(&self, input: &mut Input<'_>) {
        let memory = self.ram.memory();
        let index: u16 = memory.read_obj(GuestAddress(AVAIL + IDX)).unwrap_or(0);
        let entry = AVAIL + ENTRIES + u64::from(index % self.size) * AVAIL_ENTRY_SIZE;
        self.poke(entry, &[input.u8(), 0]);
        self.poke(AVAIL + IDX, &index.wrapping_add(1).to_le_bytes());
    }

    /// The same in the packed format: whose turn it is, is said by the descriptor too.
    fn describe_packed(&self, input: &mut Input<'_>) {
        let at = DESC + u64::from(input.u8()) * DESC_SIZE;
        let addr = input.mostly_small() << 10;
        let len = input.u8();
        let [id, flags] = [input.u8().into(), input.u16()];
        let len = self.length(len, flags);
        self.poke_packed(at, addr, len, id, flags);
    }

    fn poke_packed(&self, at: u64, addr: u64, len: u32, id: u16, flags: u16) {
        self.poke(at, &addr.to_le_bytes());
        self.poke(at + 8, &len.to_le_bytes());
        self.poke(at + 12, &id.to_le_bytes());
        self.poke(at + 14, &flags.to_le_bytes());
    }

    /// Makes a list available as a driver should, but for what it names; where the next begins.
    fn offer_list(&self, from: Position, input: &mut Input<'_>) -> Position {
        let mut next = from;
        for left in (0..=input.u8() % 8).rev() {
            let (addr, len) = (input.mostly_small() << 10, input.u8());
            let more = if left == 0 { 0 } else { DESC_NEXT };
            let flags = u16::from(input.u8() & 6) | more | next.available();
            let len = self.length(len, flags);
            self.poke_packed(DESC + u64::from(next.index()) * DESC_SIZE, addr, len, next.index(), flags);
            next = next.after(1, self.size);
        }
        next
    }

    fn poke(&self, at: u64, bytes: &[u8]) {
        // Beyond the end of memory there is nothing to be written to.
        let _ = self.ram.memory().write_slice(bytes, GuestAddress(at));
    }

    fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(RAM_BYTES).unwrap_or(0)];
        self.ram.read_bytes(Gpa(0), &mut bytes).unwrap_or_else(|error| panic!("{error}"));
        bytes
    }

    /// A kick through the register touches no memory but the used rings of the queues that are no reports. No
    /// other register has to do with memory.
    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset != mmio::QUEUE_NOTIFY {
            return self.balloon.write(offset, data);
        }
        let rings = [0, 1].map(|queue| [self.used(queue), self.asked(queue)].concat()).concat();
        let before = self.memory();
        self.balloon.write(offset, data);
        check_untouched(&before, &self.memory(), &rings);
    }

    /// Serves the next chain; `completed` or left in hand.
    fn kick(&mut self, completed: bool) {
        self.batch.clear();
        let before = self.memory();
        let reporting = self.balloon.reporting_queue();
        let used = self.used(reporting);
        let entries = u64::from(self.table().1);
        let is_packed = self.next.is_some();
        let batch = &mut self.batch;
        let fetched = if is_packed { self.balloon.fetch_packed(batch) } else { self.balloon.fetch(batch) };
        check_untouched(&before, &self.memory(), &self.asked(reporting));
        let asked = self.memory();
        check_ranges(&self.batch, &self.descriptors(&before));
        let found = self.batch.ranges().len() as u64 + self.batch.refused.total();
        match fetched {
            Ok(None) => assert_eq!(found, 0, "no chain, and something in it"),
            Ok(Some(head)) => {
                // A loop is one more than the descriptors that were looked at.
                assert!((1..=entries + 1).contains(&found), "{found} of {entries} descriptors");
                if completed {
                    let balloon = &mut self.balloon;
                    let ended =
                        if is_packed { balloon.complete_packed(head) } else { balloon.complete(head) };
                    check_untouched(&asked, &self.memory(), &used);
                    assert_eq!(ended.is_err(), self.needs_reset());
                }
            }
            Err(_) => {
                assert_eq!(found, 0, "a broken queue was read");
                assert!(self.needs_reset());
            }
        }
    }

    fn needs_reset(&self) -> bool {
        self.balloon.status() & status::DEVICE_NEEDS_RESET != 0
    }

    /// The bytes of a queue that a device writes: of a used ring index and entries, of a packed ring the second half of
    /// each descriptor.
    fn used(&self, queue: u16) -> Vec<Range<u64>> {
        if let Some(packed) = self.balloon.packed_queue_numbered(queue) {
            let areas = packed.areas();
            let half = |index: u16| areas.desc.0.saturating_add(u64::from(index) * DESC_SIZE + DESC_SIZE / 2);
            return (0..areas.size).map(half).map(|at| at..at.saturating_add(DESC_SIZE / 2)).collect();
        }
        let queue = self.balloon.queue_numbered(queue);
        let at = |offset| queue.used_ring().saturating_add(offset);
        let written = at(IDX)..at(ENTRIES + u64::from(queue.size()) * USED_ENTRY_SIZE);
        Vec::from([written])
    }

    /// The bytes of a queue by which a device says at which entry it wants to be told.
    fn asked(&self, queue: u16) -> Vec<Range<u64>> {
        if self.balloon.accepted() & feature::EVENT_IDX == 0 {
            return Vec::new();
        }
        let (at, bytes) = match self.balloon.packed_queue_numbered(queue) {
            Some(packed) => (packed.areas().device.0, EVENT_SIZE),
            None => {
                let queue = self.balloon.queue_numbered(queue);
                let entries = u64::from(queue.size()) * USED_ENTRY_SIZE;
                (queue.used_ring().saturating_add(ENTRIES + entries), 2)
            }
        };
        let written = at..at.saturating_add(bytes);
        Vec::from([written])
    }

    /// What was not offered took no part.
    pub(super) fn check_counts(&self) {
        let counts = self.balloon.counts();
        let RingFeatures { indirect, event_idx, in_order } = self.offered;
        assert!(indirect || counts.tables == 0, "{counts:?}");
        assert!(in_order || counts.in_order + counts.out_of_order == 0, "{counts:?}");
        let events = [
            counts.interrupts_due,
            counts.interrupts_suppressed,
            counts.kicks_asked,
            counts.kicks_suppressed,
        ];
        assert!(event_idx || events == [0; 4], "{counts:?}");
    }

    /// Where the descriptors of the reporting queue are, and how many there are.
    fn table(&self) -> (u64, u16) {
        let reporting = self.balloon.reporting_queue();
        match self.balloon.packed_queue_numbered(reporting) {
            Some(packed) => (packed.areas().desc.0, packed.areas().size),
            None => {
                let queue = self.balloon.queue_numbered(reporting);
                (queue.desc_table(), queue.size())
            }
        }
    }

    /// Every address and length among the descriptors of the reporting queue; if tables were accepted, of those that they
    /// point to too. In both formats they come first.
    fn descriptors(&self, memory: &[u8]) -> Vec<(u64, u64)> {
        let (table, size) = self.table();
        let named = rows(memory, table, size.into());
        if self.balloon.accepted() & feature::INDIRECT_DESC == 0 {
            return named;
        }
        // Whatever its flags: that is more than may be taken, and nobody names it by chance.
        let tables = named.iter().flat_map(|(at, len)| rows(memory, *at, len / DESC_SIZE));
        tables.chain(named.iter().copied()).collect()
    }
}

/// The address and length of each of so many descriptors, as far as they are memory.
fn rows(memory: &[u8], at: u64, count: u64) -> Vec<(u64, u64)> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let table = usize::try_from(at).ok().and_then(|at| memory.get(at..)).unwrap_or_default();
    let rows = table.chunks_exact(16).take(usize::try_from(count).unwrap_or(usize::MAX));
    rows.map(|row| (word(&row[..8]), word(&row[8..12]))).collect()
}

/// Nothing changed but in `rings`.
pub(super) fn check_untouched(before: &[u8], after: &[u8], rings: &[Range<u64>]) {
    if before == after {
        return;
    }
    for (at, (old, new)) in (0_u64..).zip(before.iter().zip(after)) {
        assert!(old == new || rings.iter().any(|ring| ring.contains(&at)), "{at:#x} was written");
    }
}
