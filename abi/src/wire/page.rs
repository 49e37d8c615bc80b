//! The batch page: a header of one word, then up to [`BATCH_CAPACITY`] entries of one word.

use crate::addr::{ByteRange, Gpa, PAGE_SIZE, PageRange, Pfn, RangeError};

/// Entries in a batch page, and the largest batch of any transport.
pub const BATCH_CAPACITY: u64 = BATCH_LENGTH as u64;
/// The same, as the length of an array.
pub const BATCH_LENGTH: usize = 511;

/// Offset of the header: where the answer to a port or MMIO call is stored.
pub const ANSWER: u64 = 0;
/// Offset of the first entry.
pub const ENTRIES: u64 = 8;
/// Size of an entry.
pub const ENTRY_SIZE: u64 = 8;

const _: () = assert!(ENTRIES + BATCH_CAPACITY * ENTRY_SIZE == PAGE_SIZE);

/// Bits of an entry that hold the number of pages. The frame number has the other 52.
const PAGES_BITS: u32 = 12;
const PAGES_MASK: u64 = (1 << PAGES_BITS) - 1;
/// The most pages an entry can name.
pub const ENTRY_MAX_PAGES: u64 = PAGES_MASK;

/// The entry that names a range of at most [`ENTRY_MAX_PAGES`] pages.
#[must_use]
pub const fn entry(range: PageRange) -> u64 {
    range.start().0 << PAGES_BITS | range.pages() & PAGES_MASK
}

/// The range an entry names.
///
/// # Errors
/// [`RangeError`], never in fact: 52 bits of frame and 12 of pages always have a length in bytes.
pub const fn range(entry: u64) -> Result<ByteRange, RangeError> {
    let gpa: Gpa = Pfn(entry >> PAGES_BITS).gpa();
    ByteRange::of_pages(gpa, entry & PAGES_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Order;

    #[test]
    fn entries_round_trip() {
        let block = PageRange::block(Pfn(0x12345), Order::MAX);
        assert_eq!(range(entry(block)), Ok(block.as_bytes()));
    }

    #[test]
    fn an_entry_may_wrap_and_is_caught() {
        let last_frame_two_pages = u64::MAX << 12 | 2;
        let named = range(last_frame_two_pages).unwrap();
        assert_eq!(named.inward(), Err(RangeError::Wraps));
    }
}
