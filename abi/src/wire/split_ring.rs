//! The split ring (2.7 of the virtio specification): offsets, flags, and where a ring lies.

use super::virtio::Areas;
use super::virtio::balloon::QUEUE_MAX;
use crate::addr::Gpa;
use crate::layout;

/// Descriptor: the chain goes on in `next`.
pub const DESC_NEXT: u16 = 1;
/// Descriptor: the device writes, not reads.
pub const DESC_WRITE: u16 = 2;
/// Descriptor: the buffer is a table of descriptors.
pub const DESC_INDIRECT: u16 = 4;
/// Available ring flag: the driver wants no interrupt.
pub const AVAIL_NO_INTERRUPT: u16 = 1;
/// Used ring flag: the device wants no kick.
pub const USED_NO_NOTIFY: u16 = 1;

/// Size of a descriptor: `addr` le64, `len` le32, `flags` le16, `next` le16.
pub const DESC_SIZE: u64 = 16;
/// Offset of `len` in a descriptor.
pub const DESC_LEN: u64 = 8;
/// Offset of `flags` in a descriptor.
pub const DESC_FLAGS: u64 = 12;
/// Offset of `next` in a descriptor.
pub const DESC_NEXT_INDEX: u64 = 14;
/// Offset of `idx` in either ring (`flags` is at 0).
pub const IDX: u64 = 2;
/// Offset of the entries in either ring.
pub const ENTRIES: u64 = 4;
/// Size of an entry of the available ring.
pub const AVAIL_ENTRY_SIZE: u64 = 2;
/// Size of an entry of the used ring: `id` le32, `len` le32.
pub const USED_ENTRY_SIZE: u64 = 8;

/// Where a ring of some size lies in guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Number of entries, a power of two.
    pub size: u16,
    /// Descriptor table, aligned to 16.
    pub desc: Gpa,
    /// Available ring, written by the driver; on a page of its own.
    pub avail: Gpa,
    /// Used ring, written by the device; on a page of its own.
    pub used: Gpa,
    /// A word for the driver alone: where its next chain begins, for the virtual processors that share the ring, if it
    /// takes descriptors in the order of the table. The format has no index in memory from which they could tell.
    pub next: Gpa,
}

/// Nothing the device reads is there: after the largest available ring, on its page and none of its cache lines.
const NEXT: u64 = 4096 - 64;

impl Placement {
    /// The ring of `size` entries at [`layout::RING`]. Each part is placed where the largest ring would
    /// have it, so that driver and device never write to the same cache line.
    #[must_use]
    pub const fn of(size: u16) -> Self {
        let max = QUEUE_MAX as u64;
        let desc = layout::RING;
        let avail = desc.offset(max * DESC_SIZE);
        let used = avail.offset((ENTRIES + max * AVAIL_ENTRY_SIZE + 2).next_multiple_of(4096));
        Self { size, desc, avail, used, next: avail.offset(NEXT) }
    }

    /// `used_event`: the entry of the used ring at which the driver wants to be told, if `EVENT_IDX` was negotiated
    /// (2.7.6). The driver writes it.
    #[must_use]
    pub const fn used_event(self) -> Gpa {
        self.avail.offset(ENTRIES + self.size as u64 * AVAIL_ENTRY_SIZE)
    }

    /// `avail_event`: the same of the available ring and the device (2.7.8).
    #[must_use]
    pub const fn avail_event(self) -> Gpa {
        self.used.offset(ENTRIES + self.size as u64 * USED_ENTRY_SIZE)
    }

    /// The same as the device is told.
    #[must_use]
    pub const fn areas(self) -> Areas {
        Areas { needs: 0, size: self.size, desc: self.desc, driver: self.avail, device: self.used }
    }
}

const LAST: Placement = Placement::of(QUEUE_MAX);
// 2.7 asks for alignments of 16, 2 and 4; pages of their own are more than that.
const _: () = assert!(LAST.desc.0.is_multiple_of(16));
const _: () = assert!(LAST.avail.is_page_aligned() && LAST.used.is_page_aligned());
const _: () = assert!(LAST.used_event().0 + 2 <= LAST.next.0 && LAST.next.0 + 2 <= LAST.used.0);
const _: () = assert!(LAST.used.0 + ENTRIES + QUEUE_MAX as u64 * USED_ENTRY_SIZE + 2 <= layout::INDIRECT.0);
