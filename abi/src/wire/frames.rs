//! What the balloon's inflate and deflate queues carry (5.5.6): a device-readable buffer with a list of frames of 4 KiB,
//! each by its number, le32.
//!
//! As the driver of Linux does it (`drivers/virtio/virtio_balloon.c`): a list is up to [`LIST_LENGTH`] frames long
//! (`VIRTIO_BALLOON_ARRAY_PFNS_MAX`), one is in flight at a time, and pages are taken back by a list before they are used
//! again (`VIRTIO_BALLOON_F_MUST_TELL_HOST`).

use super::split_ring::Placement;
use super::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE, QUEUE_MAX};
use crate::addr::{Gpa, Order, PAGE_SIZE};
use crate::layout;

/// Bytes of a frame's number.
pub const FRAME_SIZE: u64 = 4;
/// Frames in a list of our driver's.
pub const LIST_LENGTH: usize = 256;
/// The most frames in a buffer that our device takes.
pub const LIST_MOST: u64 = QUEUE_MAX as u64;
/// Entries of either queue.
pub const QUEUE_SIZE: u16 = 128;

/// Blocks that a list of our driver's has room for; 1 if it has room for less.
#[must_use]
pub const fn blocks(order: Order) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 256")]
    let blocks = (LIST_LENGTH >> order.get()) as u16;
    if blocks == 0 { 1 } else { blocks }
}

/// Lists that a report of so many blocks takes; as many to take them back.
#[must_use]
pub const fn lists(blocks: u64, order: Order) -> u64 {
    let length = LIST_LENGTH as u64;
    if order.pages() > length {
        blocks * (order.pages() / length)
    } else {
        (blocks * order.pages()).div_ceil(length)
    }
}

/// Where one of the two queues and its list lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the queue.
    pub number: u16,
    /// The queue, a split one.
    pub ring: Placement,
    /// The list.
    pub list: Gpa,
}

impl Place {
    /// The inflate queue.
    pub const INFLATE: Self = Self::of(INFLATE_QUEUE, 0);
    /// The deflate queue.
    pub const DEFLATE: Self = Self::of(DEFLATE_QUEUE, 4);

    /// A queue whose four pages begin so many pages into the space for rings: table, available ring, used ring, list.
    const fn of(number: u16, first: u64) -> Self {
        let desc = layout::RING.offset(first * PAGE_SIZE);
        let avail = desc.offset(PAGE_SIZE);
        let used = avail.offset(PAGE_SIZE);
        // Nobody shares it: the word is not used.
        let ring = Placement { size: QUEUE_SIZE, desc, avail, used, next: avail.offset(PAGE_SIZE - 64) };
        Self { number, ring, list: used.offset(PAGE_SIZE) }
    }
}

const _: () = assert!(QUEUE_SIZE as u64 * super::split_ring::DESC_SIZE <= PAGE_SIZE);
const _: () = assert!(LIST_LENGTH as u64 * FRAME_SIZE <= PAGE_SIZE);
const _: () = assert!(Place::DEFLATE.list.0 + PAGE_SIZE <= layout::RING_END.0);
