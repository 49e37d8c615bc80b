//! The balloon's virtio-mmio registers, version 2 (4.2.2), and its status machine (2.1, 3.1.1).

use std::io;
use std::sync::atomic::Ordering;

use abi::wire::virtio::balloon::{
    CONFIG_ACTUAL, CONFIG_POISON, CONFIG_SIZE, DEFLATE_QUEUE, INFLATE_QUEUE, QUEUE_MAX, REPORTING_QUEUE,
    REPORTING_QUEUE_FIXED,
};
use abi::wire::virtio::{DEVICE_ID_BALLOON, VENDOR_ID, feature, mmio, status};
use virtio_queue::QueueT;

use super::setup::{fresh_queue, set_half};
use super::standing::Standing;
use super::{Balloon, RingError};

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
            _ if offset == mmio::CONFIG + CONFIG_POISON as u64 => self.set_poison(value),
            _ => self.set_queue(offset, value),
        }
    }

    fn register(&self, offset: u64) -> u32 {
        match offset {
            mmio::MAGIC_VALUE => mmio::MAGIC,
            mmio::VERSION => mmio::VERSION_2,
            mmio::DEVICE_ID => DEVICE_ID_BALLOON,
            mmio::VENDOR_ID => VENDOR_ID,
            mmio::DEVICE_FEATURES => half(self.offered, self.device_features_half),
            mmio::QUEUE_NUM_MAX if self.exists(self.selected_queue) => u32::from(QUEUE_MAX),
            mmio::QUEUE_READY => {
                (self.exists(self.selected_queue) && self.is_ready(self.selected_queue)).into()
            }
            mmio::INTERRUPT_STATUS => self.interrupt_status,
            mmio::STATUS => self.status_read(),
            // CONFIG_GENERATION among them: the configuration never changes by itself.
            _ => 0,
        }
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; CONFIG_SIZE];
        config[CONFIG_ACTUAL..][..4].copy_from_slice(&self.actual.to_le_bytes());
        config[CONFIG_POISON..][..4].copy_from_slice(&self.poison.to_le_bytes());
        let here = usize::try_from(offset).ok().and_then(|at| config.get(at..)).unwrap_or_default();
        for (to, from) in data.iter_mut().zip(here) {
            *to = *from;
        }
    }

    /// 5.5.4: the field is there once the feature is negotiated.
    const fn set_poison(&mut self, value: u32) {
        if self.status & status::FEATURES_OK != 0 && self.accepted & feature::PAGE_POISON != 0 {
            self.poison = value;
        }
    }

    /// Whether there is such a queue: the reporting queue only if reporting was accepted (5.5.2), by either number.
    const fn exists(&self, queue: u16) -> bool {
        match queue {
            INFLATE_QUEUE | DEFLATE_QUEUE => true,
            REPORTING_QUEUE | REPORTING_QUEUE_FIXED => self.accepted & feature::PAGE_REPORTING != 0,
            _ => false,
        }
    }

    /// Feature bits may be accepted until FEATURES_OK, and only such as were offered.
    fn accept(&mut self, bits: u32) {
        if self.status & status::FEATURES_OK != 0 {
            return;
        }
        match self.driver_features_half {
            half @ (0 | 1) => set_half(&mut self.accepted, half, bits),
            _ => self.accepted_beyond |= bits != 0,
        }
    }

    fn set_status(&mut self, wanted: u32) {
        if wanted == 0 {
            self.reset();
            return;
        }
        let mut wanted = wanted;
        // 2.2.2, 3.1.1: features we did not offer, or a driver from before version 1, are not accepted.
        let offered = self.accepted & !self.offered == 0 && !self.accepted_beyond;
        let acceptable = offered && self.accepted & feature::VERSION_1 != 0;
        if !acceptable {
            wanted &= !status::FEATURES_OK;
        }
        // Without FEATURES_OK there is no DRIVER_OK; and only a reset clears bits (2.1.1).
        if (self.status | wanted) & status::FEATURES_OK == 0 {
            wanted &= !status::DRIVER_OK;
        }
        let was_ready = self.status & status::DRIVER_OK != 0;
        self.status |= wanted & !status::DEVICE_NEEDS_RESET;
        if !was_ready {
            self.hand_over();
        }
    }

    fn notified(&mut self, queue: u32) {
        // The reporting queue is served by whoever owns the transport; see `machine`.
        if let Ok(queue) = u16::try_from(queue)
            && queue != self.reporting_queue()
        {
            self.ignore(queue);
        }
    }

    /// Sets the selected queue up, which is allowed until it is ready (4.2.2.2).
    fn set_queue(&mut self, offset: u64, value: u32) {
        let selected = usize::from(self.selected_queue);
        let configurable = self.status & status::FEATURES_OK != 0 && self.status & status::DRIVER_OK == 0;
        if !self.exists(self.selected_queue) {
            return;
        }
        if offset == mmio::QUEUE_READY && value == 0 {
            if self.selected_queue == self.reporting_queue() {
                self.take_back();
                self.in_hand = None;
                self.aside.clear();
                self.standing = Standing::default();
            }
            self.stop(selected);
        }
        if !configurable || self.is_ready(self.selected_queue) {
            return;
        }
        if offset == mmio::QUEUE_READY && value == 1 {
            self.make_ready(selected);
            if self.number().is_err() || self.suppress().is_err() {
                // Nobody would hear its kicks, or it would kick whom nobody hears.
                self.stop(selected);
            }
        } else {
            self.setups[selected].write(offset, value);
        }
    }

    /// Makes a queue ready, in the format that was negotiated. One that is none does not become ready, and the driver
    /// reads that back.
    fn make_ready(&mut self, index: usize) {
        let setup = self.setups[index];
        if self.accepted & feature::RING_PACKED == 0 {
            self.queues[index] = setup.queue().unwrap_or_else(fresh_queue);
            self.queues[index].set_event_idx(self.has(feature::EVENT_IDX));
        } else {
            self.packed[index] = setup.packed();
        }
    }

    /// Takes a queue away.
    fn stop(&mut self, index: usize) {
        self.queues[index] = fresh_queue();
        self.packed[index] = None;
    }

    /// Whether a queue that exists is ready.
    fn is_ready(&self, queue: u16) -> bool {
        let index = usize::from(queue);
        self.queues[index].ready() || self.packed[index].is_some()
    }

    /// Looks by which number reports come, now that another queue is ready. By both, the device is of no use until it is
    /// reset (2.1.2); whoever asks it for reports is told why.
    fn number(&mut self) -> io::Result<()> {
        let [dense, fixed] = [REPORTING_QUEUE, REPORTING_QUEUE_FIXED].map(|queue| self.is_ready(queue));
        if dense && fixed {
            self.two_reporting = true;
            self.status |= status::DEVICE_NEEDS_RESET;
        }
        self.listen(if fixed { REPORTING_QUEUE_FIXED } else { REPORTING_QUEUE })
    }

    /// Tells the driver to kick the reporting queue never, if that is so.
    fn suppress(&mut self) -> Result<(), RingError> {
        let number = self.reporting_queue();
        if self.wants_kicks || self.selected_queue != number || !self.is_ready(number) {
            return Ok(());
        }
        let index = usize::from(number);
        let access = |what: String| RingError::Access { queue: number, what };
        match &self.packed[index] {
            Some(packed) => packed.want_no_kicks(&self.ram).map_err(|error| access(error.to_string())),
            None => {
                let suppressed = self.queues[index].disable_notification(self.ram.memory());
                suppressed.map_err(|error| access(error.to_string()))
            }
        }
    }

    /// Has reports come by this number.
    pub(super) fn listen(&mut self, queue: u16) -> io::Result<()> {
        if self.of_frames {
            return Ok(());
        }
        let before = self.reporting_queue();
        if let Some(listener) = self.listener.as_ref().filter(|_| before != queue) {
            listener.listen(before, queue)?;
        }
        self.reporting.store(queue, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a write takes the queue of the chain in hand away. It has to wait until that chain is completed:
    /// the driver may use the pages for other things as soon as the write is done (2.4.1, 4.2.2.2).
    pub(crate) fn must_wait(&self, offset: u64, data: &[u8]) -> bool {
        let reset = offset == mmio::STATUS;
        let stop = offset == mmio::QUEUE_READY && self.selected_queue == self.reporting_queue();
        self.has_fetched() && (reset || stop) && data == [0; 4]
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
