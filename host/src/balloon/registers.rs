//! The balloon's virtio-mmio registers, version 2 (4.2.2), and its status machine (2.1, 3.1.1).

use abi::virtio::balloon::{CONFIG_ACTUAL, CONFIG_SIZE, QUEUE_MAX, REPORTING_QUEUE};
use abi::virtio::{DEVICE_ID_BALLOON, VENDOR_ID, mmio, status};
use virtio_queue::{Queue, QueueT};

use super::{Balloon, OFFERED, fresh_queue};

impl Balloon {
    /// The driver reads `data.len()` bytes at `offset` of the register block. Registers are 32 bits wide and
    /// read as 0 otherwise (4.2.2.2); the configuration may be read in any width.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if offset >= mmio::CONFIG {
            self.read_config(offset - mmio::CONFIG, data);
        } else if data.len() == 4 {
            data.copy_from_slice(&self.register(offset).to_le_bytes());
        }
    }

    /// The driver writes `data` at `offset` of the register block.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let Ok(value) = data.try_into().map(u32::from_le_bytes) else { return };
        match offset {
            mmio::STATUS => self.set_status(value),
            mmio::QUEUE_NOTIFY => self.notified(value),
            mmio::INTERRUPT_ACK => self.interrupt_status &= !value,
            mmio::DEVICE_FEATURES_SEL => self.device_features_half = value,
            mmio::DRIVER_FEATURES_SEL => self.driver_features_half = value,
            mmio::DRIVER_FEATURES => self.accept(value),
            // A number beyond 16 bits is no queue, as is 0xffff.
            mmio::QUEUE_SEL => self.selected_queue = u16::try_from(value).unwrap_or(u16::MAX),
            _ if offset == mmio::CONFIG + CONFIG_ACTUAL as u64 => self.actual = value,
            _ => self.set_queue(offset, value),
        }
    }

    fn register(&self, offset: u64) -> u32 {
        match offset {
            mmio::MAGIC_VALUE => mmio::MAGIC,
            mmio::VERSION => mmio::VERSION_2,
            mmio::DEVICE_ID => DEVICE_ID_BALLOON,
            mmio::VENDOR_ID => VENDOR_ID,
            mmio::DEVICE_FEATURES => half(OFFERED, self.device_features_half),
            mmio::QUEUE_NUM_MAX if self.queue().is_some() => u32::from(QUEUE_MAX),
            mmio::QUEUE_READY => self.queue().is_some_and(QueueT::ready).into(),
            mmio::INTERRUPT_STATUS => self.interrupt_status,
            mmio::STATUS => self.status,
            // CONFIG_GENERATION among them: the configuration never changes by itself.
            _ => 0,
        }
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; CONFIG_SIZE];
        config[CONFIG_ACTUAL..][..4].copy_from_slice(&self.actual.to_le_bytes());
        let here = usize::try_from(offset).ok().and_then(|at| config.get(at..)).unwrap_or_default();
        for (to, from) in data.iter_mut().zip(here) {
            *to = *from;
        }
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(usize::from(self.selected_queue))
    }

    /// Feature bits may be accepted until FEATURES_OK, and only such as were offered.
    fn accept(&mut self, bits: u32) {
        if self.status & status::FEATURES_OK != 0 {
            return;
        }
        match self.driver_features_half {
            0 => self.accepted = self.accepted & !0xffff_ffff | u64::from(bits),
            1 => self.accepted = self.accepted & 0xffff_ffff | u64::from(bits) << 32,
            _ => {}
        }
    }

    fn set_status(&mut self, wanted: u32) {
        if wanted == 0 {
            self.reset();
            return;
        }
        let mut wanted = wanted;
        // 2.2.2, 3.1.1: features we did not offer, or a driver from before version 1, are not accepted.
        let acceptable =
            self.accepted & !OFFERED == 0 && self.accepted & abi::virtio::feature::VERSION_1 != 0;
        if !acceptable {
            wanted &= !status::FEATURES_OK;
        }
        // Without FEATURES_OK there is no DRIVER_OK; and only a reset clears bits (2.1.1).
        if (self.status | wanted) & status::FEATURES_OK == 0 {
            wanted &= !status::DRIVER_OK;
        }
        self.status |= wanted & !status::DEVICE_NEEDS_RESET;
    }

    fn notified(&mut self, queue: u32) {
        // The reporting queue is served by whoever owns the transport; see `machine`.
        if let Ok(queue) = u16::try_from(queue)
            && queue != REPORTING_QUEUE
        {
            self.ignore(queue);
        }
    }

    /// Sets the selected queue up, which is allowed until it is ready (4.2.2.2).
    fn set_queue(&mut self, offset: u64, value: u32) {
        let configurable = self.status & status::FEATURES_OK != 0 && self.status & status::DRIVER_OK == 0;
        let Some(queue) = self.queues.get_mut(usize::from(self.selected_queue)) else { return };
        if offset == mmio::QUEUE_READY && value == 0 {
            *queue = fresh_queue();
        }
        if !configurable || queue.ready() {
            return;
        }
        match offset {
            // A size that is none, or too large, leaves the queue as it is.
            mmio::QUEUE_NUM => queue.set_size(u16::try_from(value).unwrap_or(0)),
            mmio::QUEUE_READY => queue.set_ready(value == 1),
            mmio::QUEUE_DESC_LOW => queue.set_desc_table_address(Some(value), None),
            mmio::QUEUE_DESC_HIGH => queue.set_desc_table_address(None, Some(value)),
            mmio::QUEUE_DRIVER_LOW => queue.set_avail_ring_address(Some(value), None),
            mmio::QUEUE_DRIVER_HIGH => queue.set_avail_ring_address(None, Some(value)),
            mmio::QUEUE_DEVICE_LOW => queue.set_used_ring_address(Some(value), None),
            mmio::QUEUE_DEVICE_HIGH => queue.set_used_ring_address(None, Some(value)),
            _ => {}
        }
    }
}

/// The lower (0) or upper (1) 32 bits; there are no others.
#[expect(clippy::cast_possible_truncation, reason = "one half at a time")]
const fn half(bits: u64, which: u32) -> u32 {
    match which {
        0 => bits as u32,
        1 => (bits >> 32) as u32,
        _ => 0,
    }
}
