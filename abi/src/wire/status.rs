//! The page with a status an entry: [`CAPACITY`] entries of one word and nothing else.
//!
//! As VMware's balloon has it (Linux `drivers/misc/vmw_balloon.c`, `struct vmballoon_batch_entry`): a frame number of 52
//! bits, seven reserved ones, and five for a status. All entries of a call are of one size, 4 KiB or 2 MiB, which the
//! call says ([`crate::calls::Operation::Status`]); each is answered by itself, in its own status.

use crate::addr::PAGE_SIZE;
use crate::addr::{ByteRange, Order, Pfn, RangeError};

/// Entries of a page.
pub const CAPACITY: u64 = LENGTH as u64;
/// The same, as the length of an array.
pub const LENGTH: usize = 512;
/// Size of an entry.
pub const ENTRY_SIZE: u64 = 8;

const _: () = assert!(CAPACITY * ENTRY_SIZE == PAGE_SIZE);

/// Bits of an entry that are not the frame number.
const FRAME_SHIFT: u32 = 12;
const STATUS_MASK: u64 = 0x1f;

/// Status: acted on (`VMW_BALLOON_SUCCESS`).
pub const SUCCESS: u64 = 0;
/// Status: not, or not wholly, memory (`VMW_BALLOON_ERROR_PPN_INVALID`).
pub const INVALID: u64 = 2;
/// What a guest writes there, so that an entry which nobody looked at is none that was acted on.
pub const UNANSWERED: u64 = STATUS_MASK;

/// The size of entries as the call says it; `None` if there are no entries of this size.
#[must_use]
pub const fn is_huge(order: Order) -> Option<bool> {
    const PAGE: u8 = Order::PAGE.get();
    const HUGE: u8 = Order::HUGE.get();
    match order.get() {
        PAGE => Some(false),
        HUGE => Some(true),
        _ => None,
    }
}

/// The size of entries by what the call says.
#[must_use]
pub const fn order(huge: bool) -> Order {
    if huge { Order::HUGE } else { Order::PAGE }
}

/// The entry that names a block, not answered yet.
#[must_use]
pub const fn entry(start: Pfn) -> u64 {
    start.0 << FRAME_SHIFT | UNANSWERED
}

/// The range an entry names.
///
/// # Errors
/// [`RangeError`], never in fact: so few pages always have a length in bytes.
pub const fn range(entry: u64, order: Order) -> Result<ByteRange, RangeError> {
    ByteRange::of_pages(Pfn(entry >> FRAME_SHIFT).gpa(), order.pages())
}

/// The entry with another status.
#[must_use]
pub const fn answered(entry: u64, status: u64) -> u64 {
    entry & !STATUS_MASK | status & STATUS_MASK
}

/// The status of an entry.
#[must_use]
pub const fn status(entry: u64) -> u64 {
    entry & STATUS_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_its_frame_whatever_is_answered() {
        let start = Pfn(0x000f_edcb_a987_6543);
        let new = entry(start);
        assert_eq!(status(new), UNANSWERED);
        for answer in [SUCCESS, INVALID] {
            let answered = answered(new, answer);
            assert_eq!(status(answered), answer);
            assert_eq!(range(answered, Order::PAGE).map(|range| range.gpa), Ok(start.gpa()));
        }
    }

    #[test]
    fn there_are_two_sizes() {
        let sizes =
            (0..=10).filter_map(|order| is_huge(Order::new(order).unwrap()).map(|huge| (order, huge)));
        assert!(sizes.eq([(0, false), (9, true)]));
        assert_eq!([order(false), order(true)], [Order::PAGE, Order::HUGE]);
    }
}
