//! The indirect table of a report (2.7.5.3 and 2.8.7 of the virtio specification), and where it lies.
//!
//! It is of descriptors of the ring's own format. Those of a split ring are linked by their places in the table; those of a
//! packed ring follow one another to its end.

use super::page::BATCH_CAPACITY;
use super::split_ring::DESC_SIZE;
use crate::addr::Gpa;
use crate::layout;

/// Where it lies. Those of several reports in flight follow one another, and have no more descriptors in all.
pub const AT: Gpa = layout::INDIRECT;
/// The length of a table of so many descriptors, as the one that points to it has it.
#[must_use]
pub fn bytes(descriptors: usize) -> u32 {
    // At most 511 of 16 bytes.
    u32::try_from(descriptors as u64 * DESC_SIZE).unwrap_or(u32::MAX)
}

/// The most descriptors it may have: the ranges of the largest report.
pub const CAPACITY: u16 = 511;

const _: () = assert!(CAPACITY as u64 == BATCH_CAPACITY);
const _: () = assert!(AT.0.is_multiple_of(DESC_SIZE));
const _: () = assert!(AT.0 + CAPACITY as u64 * DESC_SIZE <= layout::RING_END.0);
