//! A virtio balloon on virtio-mmio: the parts of the specification (1.2 and later) that both sides use, in its words.

use crate::addr::Gpa;
use crate::axes::RingFeatures;

/// Device type of the traditional memory balloon (5.5).
pub const DEVICE_ID_BALLOON: u32 = 5;
/// The vendor we claim: "PGHT", as no registry exists for MMIO vendors.
pub const VENDOR_ID: u32 = 0x5448_4750;

/// A queue as its driver sets it up (2.6, 4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Areas {
    /// The feature bits without which it would be another: of its format, and of its options.
    pub needs: u64,
    /// Number of entries.
    pub size: u16,
    /// Descriptor area.
    pub desc: Gpa,
    /// Driver area: the device only reads it.
    pub driver: Gpa,
    /// Device area: the driver only reads it.
    pub device: Gpa,
}

impl Areas {
    /// The same with options.
    #[must_use]
    pub const fn with(self, options: RingFeatures) -> Self {
        Self { needs: self.needs | feature::of(options), ..self }
    }
}

/// Feature bits.
pub mod feature {
    use crate::axes::RingFeatures;

    /// `VIRTIO_F_RING_PACKED` (6): all queues are packed (2.8).
    pub const RING_PACKED: u64 = 1 << 34;
    /// `VIRTIO_F_VERSION_1` (6): not a legacy device.
    pub const VERSION_1: u64 = 1 << 32;
    /// `VIRTIO_F_IN_ORDER` (6): descriptors are made available in the order of the table, and used in the same.
    pub const IN_ORDER: u64 = 1 << 35;
    /// `VIRTIO_F_EVENT_IDX` (6): each side says at which entry it wants to be told.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// `VIRTIO_F_INDIRECT_DESC` (6): a descriptor may point to a table of others. The
    /// driver of Linux clears it (`virtballoon_validate`): over it no report comes so.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// `VIRTIO_BALLOON_F_MUST_TELL_HOST` (5.5.3): pages that were inflated are used again only after they were deflated.
    pub const MUST_TELL_HOST: u64 = 1 << 0;
    /// `VIRTIO_BALLOON_F_PAGE_POISON` (5.5.3): the driver says with what it fills free pages.
    pub const PAGE_POISON: u64 = 1 << 4;
    /// `VIRTIO_BALLOON_F_PAGE_REPORTING` (5.5.3).
    pub const PAGE_REPORTING: u64 = 1 << 5;

    /// The bits of the options of a ring.
    #[must_use]
    pub const fn of(options: RingFeatures) -> u64 {
        let RingFeatures { indirect, event_idx, in_order } = options;
        (if indirect { INDIRECT_DESC } else { 0 })
            | (if event_idx { EVENT_IDX } else { 0 })
            | (if in_order { IN_ORDER } else { 0 })
    }
}

/// Device status bits (2.1).
pub mod status {
    /// The driver has noticed the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// The driver knows how to drive it.
    pub const DRIVER: u32 = 2;
    /// The driver is set up.
    pub const DRIVER_OK: u32 = 4;
    /// The driver has accepted a set of features.
    pub const FEATURES_OK: u32 = 8;
    /// The device cannot go on until it is reset.
    pub const DEVICE_NEEDS_RESET: u32 = 64;
    /// The driver has given up.
    pub const FAILED: u32 = 128;
}

/// Registers of a virtio-mmio device, version 2 (4.2.2), as offsets from its base.
pub mod mmio {
    /// "virt".
    pub const MAGIC_VALUE: u64 = 0x000;
    /// What [`MAGIC_VALUE`] reads as.
    pub const MAGIC: u32 = 0x7472_6976;
    /// Version of the register layout.
    pub const VERSION: u64 = 0x004;
    /// What [`VERSION`] reads as.
    pub const VERSION_2: u32 = 2;
    /// Device type.
    pub const DEVICE_ID: u64 = 0x008;
    /// Vendor.
    pub const VENDOR_ID: u64 = 0x00c;
    /// 32 feature bits the device offers.
    pub const DEVICE_FEATURES: u64 = 0x010;
    /// Which 32.
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    /// 32 feature bits the driver accepts.
    pub const DRIVER_FEATURES: u64 = 0x020;
    /// Which 32.
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    /// Which queue the registers below mean.
    pub const QUEUE_SEL: u64 = 0x030;
    /// Its largest size; 0 if there is no such queue.
    pub const QUEUE_NUM_MAX: u64 = 0x034;
    /// Its size.
    pub const QUEUE_NUM: u64 = 0x038;
    /// Whether it is live.
    pub const QUEUE_READY: u64 = 0x044;
    /// The doorbell: the number of the queue to look at.
    pub const QUEUE_NOTIFY: u64 = 0x050;
    /// Why the device interrupted: bit 0 a used buffer, bit 1 a configuration change.
    pub const INTERRUPT_STATUS: u64 = 0x060;
    /// Bits of the above that were handled.
    pub const INTERRUPT_ACK: u64 = 0x064;
    /// Device status; writing 0 resets.
    pub const STATUS: u64 = 0x070;
    /// Descriptor area, low half.
    pub const QUEUE_DESC_LOW: u64 = 0x080;
    /// Descriptor area, high half.
    pub const QUEUE_DESC_HIGH: u64 = 0x084;
    /// Driver area, low half.
    pub const QUEUE_DRIVER_LOW: u64 = 0x090;
    /// Driver area, high half.
    pub const QUEUE_DRIVER_HIGH: u64 = 0x094;
    /// Device area, low half.
    pub const QUEUE_DEVICE_LOW: u64 = 0x0a0;
    /// Device area, high half.
    pub const QUEUE_DEVICE_HIGH: u64 = 0x0a4;
    /// Changes when the configuration changes.
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    /// First byte of the device's configuration.
    pub const CONFIG: u64 = 0x100;
    /// Size of the whole block.
    pub const SIZE: u64 = 0x200;

    /// [`INTERRUPT_STATUS`]: a buffer was used.
    pub const INTERRUPT_USED: u32 = 1;
    /// [`INTERRUPT_STATUS`]: the configuration changed, or the device needs a reset.
    pub const INTERRUPT_CONFIG: u32 = 2;
}

/// The balloon's queues and configuration (5.5.2, 5.5.4).
///
/// The specification gives the queues fixed numbers; Linux and the monitors number the ones that exist densely. With
/// reporting as the only optional queue it comes third. There are drivers that go by the specification: our device
/// serves either, our driver is as Linux's.
pub mod balloon {
    /// Gives pages to the host. Always exists.
    pub const INFLATE_QUEUE: u16 = 0;
    /// Takes pages back. Always exists.
    pub const DEFLATE_QUEUE: u16 = 1;
    /// Reports free pages; dense number.
    pub const REPORTING_QUEUE: u16 = 2;
    /// The same by the number of the specification.
    pub const REPORTING_QUEUE_FIXED: u16 = 4;
    /// One more than the largest number of a queue.
    pub const QUEUES: u16 = 5;
    /// Smallest reporting ring the driver of Linux accepts (`PAGE_REPORTING_CAPACITY`).
    pub const REPORTING_QUEUE_MIN: u16 = 32;
    /// Largest ring we offer.
    pub const QUEUE_MAX: u16 = 1024;
    /// Bytes of configuration: `num_pages`, `actual`, `free_page_hint_cmd_id`, `poison_val`, le32 each.
    pub const CONFIG_SIZE: usize = 16;
    /// Offset of `actual`, which the driver writes.
    pub const CONFIG_ACTUAL: usize = 4;
    /// Offset of `poison_val`, which the driver writes if it has accepted [`super::feature::PAGE_POISON`].
    pub const CONFIG_POISON: usize = 12;
}
