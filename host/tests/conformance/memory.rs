//! Guest memory as the tests name it, and the proof that nothing but the named pages was touched.

use std::collections::BTreeSet;
use std::ops::Range;

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, Pfn};
use abi::digest::mix;
use abi::layout::{ARENA, ARENA_START};
use host::testing::rig::Rig;
use libtest_mimic::Failed;
use vm_memory::{Bytes, GuestAddress};

use host::testing::specs::ARENA as ARENA_BYTES;

use crate::common::Checked;

/// Pages of the arena.
pub(crate) const ARENA_PAGES: u64 = ARENA_BYTES / PAGE_SIZE;
/// The first address behind guest memory.
pub(crate) const RAM_END: Gpa = page(ARENA_PAGES);

/// The page of the arena that every case reports last, to see that the host still serves.
pub(crate) const LAST: u64 = 900;

#[expect(clippy::cast_possible_truncation, reason = "4096")]
const PAGE: usize = PAGE_SIZE as usize;

/// Pages of the arena, by number.
pub(crate) type Pages = Range<u64>;

/// The first byte of a page of the arena.
pub(crate) const fn page(number: u64) -> Gpa {
    ARENA.offset(number * PAGE_SIZE)
}

/// So many whole pages of the arena.
pub(crate) const fn pages(first: u64, count: u64) -> ByteRange {
    bytes(page(first), count * PAGE_SIZE)
}

/// Any bytes.
pub(crate) const fn bytes(gpa: Gpa, len: u64) -> ByteRange {
    ByteRange { gpa, len }
}

/// What guest memory holds: a stamp all over every page of the arena, but zeroes in those that are gone.
pub(crate) struct Memory {
    resident: Vec<bool>,
    gone: BTreeSet<u64>,
}

impl Memory {
    /// Stamps the arena.
    pub(crate) fn stamp(rig: &Rig) -> Result<Self, Failed> {
        for number in 0..ARENA_PAGES {
            rig.ram().memory().write_slice(&stamp(number), GuestAddress(page(number).0))?;
        }
        let resident = rig.resident(rig.ram().whole())?;
        Ok(Self { resident, gone: BTreeSet::new() })
    }

    /// Checks that since the last look exactly the pages `gone` have left memory: by the kernel's account for
    /// all of guest memory, and by the contents of every byte of the arena.
    pub(crate) fn lost_only(&mut self, rig: &Rig, gone: &[Pages]) -> Checked {
        let resident = rig.resident(rig.ram().whole())?;
        let lost = |frame: &usize| self.resident[*frame] && !resident[*frame];
        let lost: Vec<_> = (0..resident.len()).filter(lost).map(|frame| Pfn(frame as u64)).collect();
        let gone: BTreeSet<_> = gone.iter().cloned().flatten().collect();
        let named: Vec<_> = gone.iter().map(|number| Pfn(ARENA_START.0 + number)).collect();
        if lost != named {
            return Err(format!("the kernel lost {lost:?}, named were {named:?}").into());
        }
        self.gone.extend(gone);
        let wrong: Vec<_> = (0..ARENA_PAGES).filter(|number| !self.holds(rig, *number)).collect();
        // Reading has made pages resident again.
        self.resident = rig.resident(rig.ram().whole())?;
        if wrong.is_empty() { Ok(()) } else { Err(format!("wrong contents in pages {wrong:?}").into()) }
    }

    /// Whether a page holds, byte for byte, what it must.
    fn holds(&self, rig: &Rig, number: u64) -> bool {
        let mut found = [0xff; PAGE];
        let read = rig.ram().read_bytes(page(number), &mut found);
        let kept = !self.gone.contains(&number);
        read.is_ok() && if kept { found[..] == stamp(number) } else { found == [0; PAGE] }
    }
}

/// What a page is filled with: no byte of it is zero.
fn stamp(number: u64) -> Vec<u8> {
    let word = (mix(number) | 0x0101_0101_0101_0101).to_le_bytes();
    word.repeat(PAGE / word.len())
}
