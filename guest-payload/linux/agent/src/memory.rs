//! Memory of the agent's own, which is filled with what can be told and checked whenever it is used.

#![expect(unsafe_code, reason = "mmap, madvise, volatile accesses to it")]

use std::ffi::{c_int, c_void};
use std::io;

const PAGE: usize = 4096;
const PROT_READ_WRITE: c_int = 3;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x22;
const MADV_HUGEPAGE: c_int = 14;
const MADV_NOHUGEPAGE: c_int = 15;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        bytes: usize,
        prot: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, bytes: usize) -> c_int;
    fn madvise(at: *mut c_void, bytes: usize, advice: c_int) -> c_int;
}

/// Pages of its own, gone when it is dropped.
pub(crate) struct Memory {
    at: *mut u64,
    pages: usize,
}

impl Memory {
    /// So many pages, in huge ones or not.
    pub(crate) fn new(pages: usize, huge: bool) -> Result<Self, String> {
        let failed = |call: &str| format!("{call} of {pages} pages: {}", io::Error::last_os_error());
        let bytes = pages * PAGE;
        // SAFETY: a fresh mapping touches nothing that is there.
        let at = unsafe { mmap(std::ptr::null_mut(), bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) };
        if at.addr() == usize::MAX {
            return Err(failed("mmap"));
        }
        let advice = if huge { MADV_HUGEPAGE } else { MADV_NOHUGEPAGE };
        // SAFETY: it is this mapping.
        if unsafe { madvise(at, bytes, advice) } != 0 {
            return Err(failed("madvise"));
        }
        Ok(Self { at: at.cast(), pages })
    }

    /// How many pages it has.
    pub(crate) const fn pages(&self) -> usize {
        self.pages
    }

    /// Touches each page as will-it-scale does: one byte of it.
    pub(crate) fn touch(&self) {
        for page in 0..self.pages {
            // SAFETY: the page is one of the mapping.
            unsafe { self.at.add(page * PAGE / 8).cast::<u8>().write_volatile(0) };
        }
    }

    /// Fills every page with what follows from `seed` and its number.
    pub(crate) fn fill(&self, seed: u64) {
        for (page, place) in self.places() {
            // SAFETY: the word is one of the mapping.
            unsafe { self.at.add(page * PAGE / 8 + place).write_volatile(stamp(seed, page, place)) };
        }
    }

    /// Words that are not what they were filled with.
    pub(crate) fn wrong(&self, seed: u64) -> u64 {
        let is_wrong = |&(page, place): &(usize, usize)| {
            // SAFETY: as above.
            let word = unsafe { self.at.add(page * PAGE / 8 + place).read_volatile() };
            word != stamp(seed, page, place)
        };
        self.places().filter(is_wrong).count() as u64
    }

    /// Four words of each page: its ends, and two in between.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.pages).flat_map(|page| [0, 170, 341, 511].map(|place| (page, place)))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it is this mapping, and nobody has its address any more.
        unsafe { munmap(self.at.cast(), self.pages * PAGE) };
    }
}

/// Never zero, which is what a page holds that was lost.
const fn stamp(seed: u64, page: usize, place: usize) -> u64 {
    mix(seed ^ mix((page as u64) << 9 | place as u64)) | 1
}

/// A mixing function of 64 bits: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_or_changed_is_noticed() {
        let memory = Memory::new(64, false).unwrap();
        memory.fill(7);
        assert_eq!(memory.wrong(7), 0);
        assert_eq!(memory.wrong(8), 256, "of another seed");
        // SAFETY: a page of the mapping.
        unsafe { memory.at.add(5 * 512).write_volatile(0) };
        assert_eq!(memory.wrong(7), 1);
        memory.touch();
        assert!(memory.wrong(7) >= 63);
    }
}
