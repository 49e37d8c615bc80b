//! Hyper-V's memory heat hint: a header of one word, then up to [`CAPACITY`] entries of one word, in a page
//! (`struct hv_memory_hint` and `union hv_gpa_page_range`, Linux `include/asm-generic/hyperv-tlfs.h`, 6.12; filled by
//! `hv_free_page_report`, `drivers/hv/hv_balloon.c`).
//!
//! | bits of an entry | of pages of 4 KiB | of pages of 2 MiB |
//! |---|---|---|
//! | 0 to 10 | pages after the first | the same |
//! | 11 | 0 | 1 |
//! | 12 to 20 | frame | 0: 2 MiB (1: 1 GiB), and nothing |
//! | 21 to 63 | frame | frame of that size |

use crate::addr::{ByteRange, Order, PAGE_SIZE, PageRange, Pfn, RangeError};

/// The header: what is hinted is that the pages may be discarded (`HV_EXT_MEMORY_HEAT_HINT_TYPE_COLD_DISCARD`).
pub const HEADER: u64 = 2;
/// Offset of the first entry.
pub const ENTRIES: u64 = 8;
/// Size of an entry.
pub const ENTRY_SIZE: u64 = 8;
/// Entries in a page.
pub const CAPACITY: u16 = 511;
const _: () = assert!(ENTRIES + CAPACITY as u64 * ENTRY_SIZE == PAGE_SIZE);

const MORE_MASK: u64 = 0x7ff;
const LARGE: u64 = 1 << 11;
/// Bits between [`LARGE`] and the frame of a large page: its size, 0 for 2 MiB, and reserved ones.
const LARGE_SIZE_MASK: u64 = 0x1ff << 12;
const FRAME_SHIFT: u32 = 12;
const LARGE_FRAME_SHIFT: u32 = 21;
const LARGE_PAGES: u64 = Order::HUGE.pages();

// The largest block fits in an entry of small pages, and so of large ones.
const _: () = assert!(Order::MAX.pages() - 1 <= MORE_MASK);

/// The entry that names a range of at most 2048 pages, in pages of 2 MiB where it is made of them.
#[must_use]
pub const fn entry(range: PageRange) -> u64 {
    let (start, pages) = (range.start().0, range.pages());
    if pages.is_multiple_of(LARGE_PAGES) && start.is_multiple_of(LARGE_PAGES) {
        return (start / LARGE_PAGES) << LARGE_FRAME_SHIFT | LARGE | (pages / LARGE_PAGES - 1) & MORE_MASK;
    }
    start << FRAME_SHIFT | (pages - 1) & MORE_MASK
}

/// The range an entry names; of pages of 1 GiB, or with a reserved bit, none.
///
/// # Errors
/// [`RangeError`].
pub const fn range(entry: u64) -> Result<ByteRange, RangeError> {
    let pages = (entry & MORE_MASK) + 1;
    if entry & LARGE == 0 {
        return ByteRange::of_pages(Pfn(entry >> FRAME_SHIFT).gpa(), pages);
    }
    if entry & LARGE_SIZE_MASK != 0 {
        return Err(RangeError::Empty);
    }
    ByteRange::of_pages(Pfn((entry >> LARGE_FRAME_SHIFT) * LARGE_PAGES).gpa(), pages * LARGE_PAGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Gpa;

    #[test]
    fn entries_round_trip() {
        for order in 0..=Order::MAX.get() {
            let order = Order::new(order.into()).unwrap();
            let block = PageRange::block(Pfn(order.pages() * 7), order);
            assert_eq!(range(entry(block)), Ok(block.as_bytes()), "{order:?}");
        }
    }

    /// As `hv_free_page_report` fills them.
    #[test]
    fn entries_are_those_of_linux() {
        let page = PageRange::block(Pfn(0x12345), Order::PAGE);
        assert_eq!(entry(page), 0x12345 << 12);
        let huge = PageRange::block(Pfn(5 * 512), Order::HUGE);
        assert_eq!(entry(huge), 5 << 21 | 1 << 11);
        let two = PageRange::block(Pfn(6 * 512), Order::MAX);
        assert_eq!(entry(two), 6 << 21 | 1 << 11 | 1);
    }

    #[test]
    fn a_large_page_of_another_size_names_nothing() {
        for odd in [1 << 12, 1 << 13, 1 << 20] {
            assert_eq!(range(5 << 21 | LARGE | odd), Err(RangeError::Empty), "{odd:#x}");
        }
        let highest = range(u64::MAX << 21 | LARGE | MORE_MASK).unwrap();
        assert_eq!((highest.gpa, highest.inward()), (Gpa(u64::MAX << 21), Err(RangeError::Wraps)));
    }
}
