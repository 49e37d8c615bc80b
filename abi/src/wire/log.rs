//! The log: a page that a guest fills with the states of its pages as it frees and takes them, and tells the host of when
//! it is full. The shape is that of ESSA on s390, with 511 entries and an exit when they are in (Linux
//! `arch/s390/kvm/priv.c`, `handle_essa`; `arch/s390/mm/page-states.c`).
//!
//! The page is a batch page ([`super::page`]): a header of one word, which has the answer, and entries of one word. An
//! entry is one of the batch page's with a state where the top bit of the number of pages would be.
//!
//! What counts is the last word on a page: one that was said to be unused and is said to be stable further on is not
//! discarded. The guest may use it as soon as it has said so, with no exit. A page that is only said to be unused may
//! not be used before the log was acted on.

use super::page::{BATCH_CAPACITY, BATCH_LENGTH};
use crate::addr::{ByteRange, PageRange, Pfn, RangeError};

/// Entries in a log.
pub const CAPACITY: u64 = BATCH_CAPACITY;
/// The same, as the length of an array.
pub const LENGTH: usize = BATCH_LENGTH;

/// Of so many ranges that the guest of a timed trial says are unused, it takes one back before the log is acted on.
pub const TAKEN_BACK_ONE_IN: u64 = 8;

/// Bits of an entry below the frame number.
const FRAME_SHIFT: u32 = 12;
/// The state.
const STABLE: u64 = 1 << 11;
/// The number of pages.
const PAGES_MASK: u64 = STABLE - 1;
/// The most pages an entry can name.
pub const ENTRY_MAX_PAGES: u64 = PAGES_MASK;

/// What a guest says of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing in it is needed: it may be discarded.
    Unused,
    /// It is in use: it keeps what it holds.
    Stable,
}

/// The entry that says this of a range of at most [`ENTRY_MAX_PAGES`] pages.
#[must_use]
pub const fn entry(range: PageRange, state: State) -> u64 {
    let state = match state {
        State::Unused => 0,
        State::Stable => STABLE,
    };
    range.start().0 << FRAME_SHIFT | state | range.pages() & PAGES_MASK
}

/// What an entry says, and of which range.
///
/// # Errors
/// [`RangeError`], never in fact: 52 bits of frame and 11 of pages always have a length in bytes.
pub const fn parse(entry: u64) -> Result<(ByteRange, State), RangeError> {
    let state = if entry & STABLE == 0 { State::Unused } else { State::Stable };
    match ByteRange::of_pages(Pfn(entry >> FRAME_SHIFT).gpa(), entry & PAGES_MASK) {
        Ok(range) => Ok((range, state)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Order;

    #[test]
    fn entries_round_trip() {
        for order in [Order::PAGE, Order::HUGE, Order::MAX] {
            let range = PageRange::block(Pfn(0x12_3400), order);
            for state in [State::Unused, State::Stable] {
                assert_eq!(parse(entry(range, state)), Ok((range.as_bytes(), state)));
            }
        }
        assert_eq!(parse(0).unwrap().0.len, 0, "an entry nobody wrote names nothing");
    }
}
