//! A queue as a driver sets it up.

use abi::addr::Gpa;
use abi::wire::packed_ring::{DESC_SIZE, EVENT_SIZE};
use abi::wire::virtio::balloon::QUEUE_MAX;
use abi::wire::virtio::{Areas, feature, mmio};
use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use super::packed_queue::PackedQueue;

/// The set-up registers of a queue, as the driver wrote them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    size: u32,
    desc: u64,
    driver: u64,
    device: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { size: QUEUE_MAX.into(), desc: 0, driver: 0, device: 0 }
    }
}

impl Setup {
    pub(super) const fn write(&mut self, offset: u64, value: u32) {
        match offset {
            mmio::QUEUE_NUM => self.size = value,
            mmio::QUEUE_DESC_LOW => set_half(&mut self.desc, 0, value),
            mmio::QUEUE_DESC_HIGH => set_half(&mut self.desc, 1, value),
            mmio::QUEUE_DRIVER_LOW => set_half(&mut self.driver, 0, value),
            mmio::QUEUE_DRIVER_HIGH => set_half(&mut self.driver, 1, value),
            mmio::QUEUE_DEVICE_LOW => set_half(&mut self.device, 0, value),
            mmio::QUEUE_DEVICE_HIGH => set_half(&mut self.device, 1, value),
            _ => {}
        }
    }

    /// The queue these describe: `None` if the size is none of a split ring's or above ours (2.7), or a part is
    /// misaligned (2.7) or was never placed. A queue that is not quite what the driver means would be read and
    /// written in places that it never named.
    pub(super) fn queue(&self) -> Option<Queue> {
        if [self.desc, self.driver, self.device].contains(&0) {
            return None;
        }
        let mut queue = fresh_queue();
        queue.try_set_size(u16::try_from(self.size).ok()?).ok()?;
        queue.try_set_desc_table_address(GuestAddress(self.desc)).ok()?;
        queue.try_set_avail_ring_address(GuestAddress(self.driver)).ok()?;
        queue.try_set_used_ring_address(GuestAddress(self.device)).ok()?;
        queue.set_ready(true);
        Some(queue)
    }

    /// The same in the packed format: of any size up to ours, and aligned as 2.8.10.1 asks for.
    pub(super) fn packed(&self) -> Option<PackedQueue> {
        let parts = [(self.desc, DESC_SIZE), (self.driver, EVENT_SIZE), (self.device, EVENT_SIZE)];
        if parts.iter().any(|(at, aligned)| *at == 0 || !at.is_multiple_of(*aligned)) {
            return None;
        }
        let size = u16::try_from(self.size).ok().filter(|size| (1..=QUEUE_MAX).contains(size))?;
        let [desc, driver, device] = [self.desc, self.driver, self.device].map(Gpa);
        Some(PackedQueue::new(Areas { needs: feature::RING_PACKED, size, desc, driver, device }))
    }
}

/// A queue after reset.
pub(super) fn fresh_queue() -> Queue {
    // The size is a power of two within the library's limit: known at compile time.
    const { assert!(QUEUE_MAX.is_power_of_two()) };
    Queue::new(QUEUE_MAX).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Replaces the lower (0) or upper (1) 32 bits; there are no others.
pub(super) const fn set_half(bits: &mut u64, which: u32, value: u32) {
    match which {
        0 => *bits = *bits & !0xffff_ffff | value as u64,
        1 => *bits = *bits & 0xffff_ffff | (value as u64) << 32,
        _ => {}
    }
}
