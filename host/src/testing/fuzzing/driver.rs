//! A driver that does whatever the bytes say, and checks what the balloon makes of it.

use std::ops::Range;
use std::sync::Arc;

use abi::addr::Gpa;
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
    batch: Batch,
}

impl Driver {
    pub(super) fn new() -> Self {
        let ram = ram();
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap_or_else(|error| panic!("no eventfd: {error}"));
        let balloon = Balloon::new(Arc::clone(&ram), interrupt, Planted::NONE);
        Self { ram, balloon, size: 32, batch: Batch::default() }
    }

    /// Does everything right.
    pub(super) fn bring_up(&mut self, size: u16) {
        const FEATURES_OK: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        const REPORTING: u32 = feature::PAGE_REPORTING.trailing_zeros();
        self.size = size;
        for (offset, value) in [
            (mmio::DRIVER_FEATURES_SEL, 0),
            (mmio::DRIVER_FEATURES, 1 << REPORTING),
            (mmio::DRIVER_FEATURES_SEL, 1),
            (mmio::DRIVER_FEATURES, 1),
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
            5 => self.describe(input),
            6 => self.offer(input),
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
        let rings = [0, 1].map(|queue| self.used_ring(queue));
        let before = self.memory();
        self.balloon.write(offset, data);
        check_untouched(&before, &self.memory(), &rings);
    }

    /// Serves the next chain; `completed` or left in hand.
    fn kick(&mut self, completed: bool) {
        self.batch.clear();
        let before = self.memory();
        let reporting = self.balloon.reporting_queue();
        let ring = self.used_ring(reporting);
        let entries = u64::from(self.balloon.queue_numbered(reporting).size());
        let fetched = self.balloon.fetch(&mut self.batch);
        check_untouched(&before, &self.memory(), &[]);
        check_ranges(&self.batch, &self.descriptors(&before));
        let found = self.batch.ranges().len() as u64 + self.batch.refused.total();
        match fetched {
            Ok(None) => assert_eq!(found, 0, "no chain, and something in it"),
            Ok(Some(head)) => {
                // A loop is one more than the descriptors that were looked at.
                assert!((1..=entries + 1).contains(&found), "{found} of {entries} descriptors");
                if completed {
                    let ended = self.balloon.complete(head);
                    check_untouched(&before, &self.memory(), &[ring]);
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

    /// The bytes of a used ring that a device writes: index and entries.
    fn used_ring(&self, queue: u16) -> Range<u64> {
        let queue = self.balloon.queue_numbered(queue);
        let at = |offset| queue.used_ring().saturating_add(offset);
        at(IDX)..at(ENTRIES + u64::from(queue.size()) * USED_ENTRY_SIZE)
    }

    /// Every address and length in the descriptor table of the reporting queue.
    fn descriptors(&self, memory: &[u8]) -> Vec<(u64, u64)> {
        let queue = self.balloon.queue_numbered(self.balloon.reporting_queue());
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let table =
            usize::try_from(queue.desc_table()).ok().and_then(|at| memory.get(at..)).unwrap_or_default();
        let entries = table.chunks_exact(16).take(queue.size().into());
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
