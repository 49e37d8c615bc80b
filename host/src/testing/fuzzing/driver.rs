//! A driver that does whatever the bytes say, and checks what the balloon makes of it.

use std::ops::Range;
use std::sync::Arc;

use abi::addr::Gpa;
use abi::wire::packed_ring::{DESC_NEXT, Position};
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
    batch: Batch,
}

impl Driver {
    /// A driver of split queues.
    pub(super) fn new() -> Self {
        Self::of(|balloon| balloon, None)
    }

    /// A driver that is offered packed queues.
    pub(super) fn of_packed() -> Self {
        Self::of(Balloon::offering_packed, Some(Position::START))
    }

    fn of(offer: impl FnOnce(Balloon) -> Balloon, next: Option<Position>) -> Self {
        let ram = ram();
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap_or_else(|error| panic!("no eventfd: {error}"));
        let balloon = offer(Balloon::new(Arc::clone(&ram), interrupt, Planted::NONE));
        Self { ram, balloon, size: 32, next, batch: Batch::default() }
    }

    /// Does everything right.
    pub(super) fn bring_up(&mut self, size: u16) {
        const FEATURES_OK: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        const REPORTING: u32 = feature::PAGE_REPORTING.trailing_zeros();
        const PACKED: u32 = feature::RING_PACKED.trailing_zeros() - 32;
        self.size = size;
        let format = if self.next.is_some() { 1 << PACKED } else { 0 };
        for (offset, value) in [
            (mmio::DRIVER_FEATURES_SEL, 0),
            (mmio::DRIVER_FEATURES, 1 << REPORTING),
            (mmio::DRIVER_FEATURES_SEL, 1),
            (mmio::DRIVER_FEATURES, 1 | format),
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
        let len = u32::from(input.u8()) << 10;
        let [flags, next] = [input.u8(), input.u8()];
        self.poke(at, &addr.to_le_bytes());
        self.poke(at + 8, &len.to_le_bytes());
        self.poke(at + 12, &[flags, 0, next, 0]);
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
        let len = u32::from(input.u8()) << 10;
        let [id, flags] = [input.u8().into(), input.u16()];
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
            let (addr, len) = (input.mostly_small() << 10, u32::from(input.u8()) << 10);
            let more = if left == 0 { 0 } else { DESC_NEXT };
            let flags = u16::from(input.u8() & 6) | more | next.available();
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
        let rings = [0, 1].map(|queue| self.used(queue)).concat();
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
        check_untouched(&before, &self.memory(), &[]);
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
                    check_untouched(&before, &self.memory(), &used);
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

    /// Every address and length among the descriptors of the reporting queue: in both formats they come first.
    fn descriptors(&self, memory: &[u8]) -> Vec<(u64, u64)> {
        let (table, size) = self.table();
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let table = usize::try_from(table).ok().and_then(|at| memory.get(at..)).unwrap_or_default();
        let entries = table.chunks_exact(16).take(size.into());
        entries.map(|entry| (word(&entry[..8]), word(&entry[8..12]))).collect()
    }
}

/// Nothing changed but in `rings`.
fn check_untouched(before: &[u8], after: &[u8], rings: &[Range<u64>]) {
    if before == after {
        return;
    }
    for (at, (old, new)) in (0_u64..).zip(before.iter().zip(after)) {
        assert!(old == new || rings.iter().any(|ring| ring.contains(&at)), "{at:#x} was written");
    }
}
