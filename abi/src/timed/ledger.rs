//! The ledger: for every page of the arena, whether the guest has it reported and not taken back, and whether
//! it ever reported it.
//!
//! The guest keeps it without looking at the transport, the host compares it with what the kernel says is
//! resident: two witnesses that share no code.

use crate::addr::{Gpa, Pfn};
use crate::layout::{ARENA_MAX_PAGES, ARENA_START, LEDGER, LEDGER_END};

/// Frames whose bits share a word.
pub const FRAMES_PER_WORD: u64 = 64;
/// Bytes from a word of the ledger to the word of the history for the same frames.
const HISTORY: u64 = ARENA_MAX_PAGES / 8;
const _: () = assert!(LEDGER.0 + 2 * HISTORY <= LEDGER_END.0);

/// Where a frame's bit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bit {
    /// The word.
    pub word: Gpa,
    /// The bit in it.
    pub mask: u64,
}

/// Set while `pfn`, a frame of the arena, is reported and not taken back.
#[must_use]
pub const fn reported(pfn: Pfn) -> Bit {
    let index = pfn.0 - ARENA_START.0;
    Bit { word: LEDGER.offset(index / FRAMES_PER_WORD * 8), mask: 1 << (index % FRAMES_PER_WORD) }
}

/// Set once `pfn`, a frame of the arena, has been reported.
#[must_use]
pub const fn ever_reported(pfn: Pfn) -> Bit {
    let Bit { word, mask } = reported(pfn);
    Bit { word: word.offset(HISTORY), mask }
}
