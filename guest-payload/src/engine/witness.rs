//! What every page holds, kept beside the allocator by whoever owns the page: the engine's oracle.
//!
//! ```text
//!   Untouched ─ inhabited ─► Freed ─ isolated ─► InFlight ─ acknowledged ─► Reported
//!                            ▲  └──────────────── allocated ────────────────┘ │
//!                            └─ freed ─ Used ◄───────────────────────────────┘
//! ```
//!
//! The truth of a page is a word that neither the allocator nor the reporting core looks at. It is written by the
//! page's owner of the moment, so that it needs no lock: ownership passes through the zone lock. The contents are
//! witnessed in the page's last word, which a touch leaves alone: the free stamp while it is free, the owner's
//! stamp while it is used.
//!
//! A page that nobody ever wrote to stays [`Truth::Untouched`] while it is reported: it holds zeroes before and after,
//! and what it must hold next does not depend on what the host did.

use abi::addr::{Gpa, PAGE_SIZE, PageRange, Pfn};
use abi::axes::{Afterwards, Axis};
use abi::boot::BootInfo;
use abi::engine::books::Counter;
use abi::engine::info::EngineInfo;
use abi::engine::map::{Map, PAGE_BYTES, PAGE_TRUTH};
use abi::engine::{Truth, stamp};
use abi::violation::Violation;

use crate::engine::books::Books;
use crate::metal::Metal;

/// 64-bit words of a page.
const WORDS: u64 = PAGE_SIZE / 8;
/// Offset of a page's last word.
const LAST_WORD: u64 = PAGE_SIZE - 8;

/// The oracle, as one virtual processor asks it.
#[derive(Clone, Copy, Debug)]
pub struct Witness {
    map: Map,
    books: Books,
    seed: u64,
    afterwards: Afterwards,
    poison: Option<u64>,
}

impl Witness {
    /// A witness that notes what is wrong in `books`.
    #[must_use]
    pub fn new(boot: &BootInfo, info: &EngineInfo, map: Map, books: Books) -> Self {
        let poison = info.poisoned.then_some(info.poison);
        Self { map, books, seed: boot.seed, afterwards: boot.afterwards, poison }
    }

    /// What the first page of a block holds: says what the next touch of it will cost.
    pub fn truth(self, metal: &impl Metal, block: PageRange) -> Option<Truth> {
        Truth::from_number(metal.load32(self.page(block.start()).truth).into())
    }

    /// Whether the first page of `block` is allocated.
    pub fn is_used(self, metal: &impl Metal, block: PageRange) -> bool {
        self.truth(metal, block) == Some(Truth::Used)
    }

    /// Writes to this processor's share of all pages what freeing leaves: a guest that has been up for a while has
    /// written to all of its memory, so that what it touches next is resident unless it was reported.
    pub fn inhabit(self, metal: &mut impl Metal, vcpu: u32, vcpus: u64) {
        let (managed, vcpu) = (self.map.managed(), u64::from(vcpu));
        let share = managed.div_ceil(vcpus.max(1));
        for index in (vcpu * share).min(managed)..((vcpu + 1) * share).min(managed) {
            self.leave(metal, self.page(Pfn(self.map.first().0 + index)));
        }
    }

    /// Looks at a block that was allocated and touched, and marks it as its owner's. `marked`: the allocator took it for
    /// reported.
    pub fn allocated(self, metal: &mut impl Metal, block: PageRange, marked: bool) {
        for page in self.pages(block) {
            let truth = metal.load32(page.truth);
            let found = metal.load(page.last_word);
            if let Some(violation) = self.judge(page.pfn, truth, found) {
                self.books.violation(metal, violation, page.pfn);
            }
            // What was never written to cannot have been written to since.
            let is_stale = truth != number(Truth::Reported) && truth != number(Truth::Untouched);
            if marked && is_stale {
                self.books.violation(metal, Violation::StaleMark, page.pfn);
            }
            metal.store32(page.truth, number(Truth::Used));
            metal.store(page.last_word, self.owner_stamp(page.pfn));
        }
        self.books.add(metal, Counter::Checked, block.pages());
    }

    /// Looks at a block whose owner frees it, and leaves in it what a free page holds.
    pub fn freed(self, metal: &mut impl Metal, block: PageRange) {
        for page in self.pages(block) {
            if metal.load(page.last_word) != self.owner_stamp(page.pfn) {
                self.books.violation(metal, Violation::ReusedLost, page.pfn);
            }
            self.leave(metal, page);
        }
        self.books.add(metal, Counter::Checked, block.pages());
    }

    /// A block is about to be reported.
    pub fn in_flight(self, metal: &mut impl Metal, block: PageRange) {
        self.turn(metal, block, |truth| truth != number(Truth::Untouched), Truth::InFlight);
    }

    /// Its report was acknowledged. A page that somebody was given meanwhile is theirs.
    pub fn reported(self, metal: &mut impl Metal, block: PageRange) {
        self.turn(metal, block, |truth| truth == number(Truth::InFlight), Truth::Reported);
    }

    /// Its report was refused, in part or altogether: what it holds is anybody's guess, until it is written anew.
    pub fn refused(self, metal: &mut impl Metal, block: PageRange) {
        for page in self.pages(block) {
            if metal.load32(page.truth) == number(Truth::InFlight) {
                self.leave(metal, page);
            }
        }
    }

    /// Looks at every page when nothing is used and nothing is in flight.
    pub fn sweep(self, metal: &mut impl Metal) {
        for index in 0..self.map.managed() {
            let page = self.page(Pfn(self.map.first().0 + index));
            let truth = metal.load32(page.truth);
            let found = metal.load(page.last_word);
            let left_over = truth == number(Truth::Used) || truth == number(Truth::InFlight);
            let violation =
                if left_over { Some(Violation::Accounts) } else { self.judge(page.pfn, truth, found) };
            if let Some(violation) = violation {
                self.books.violation(metal, violation, page.pfn);
            }
        }
        self.books.add(metal, Counter::Checked, self.map.managed());
    }

    /// What is wrong with a free page whose last word reads `found`.
    fn judge(self, pfn: Pfn, truth: u32, found: u64) -> Option<Violation> {
        let Some(truth) = Truth::from_number(truth.into()) else { return Some(Violation::Accounts) };
        let left = self.left_by_free(pfn);
        match truth {
            Truth::Used => Some(Violation::HandedOutTwice),
            Truth::InFlight => Some(Violation::HandedOutInFlight),
            Truth::Untouched => (found != 0).then_some(Violation::UnreportedLost),
            Truth::Freed => (found != left).then_some(Violation::UnreportedLost),
            Truth::Reported => {
                let afterwards = if self.poison.is_some() { Afterwards::Kept } else { self.afterwards };
                match afterwards {
                    Afterwards::Zeroed | Afterwards::Either if found == 0 => None,
                    _ if found != left => Some(Violation::Scrambled),
                    Afterwards::Zeroed => Some(Violation::StillThere),
                    Afterwards::Kept | Afterwards::Either => None,
                }
            }
        }
    }

    /// Leaves in a page what freeing leaves.
    fn leave(self, metal: &mut impl Metal, page: Page) {
        match self.poison {
            Some(poison) => metal.fill(page.pfn.gpa(), WORDS, poison),
            None => metal.store(page.last_word, self.left_by_free(page.pfn)),
        }
        metal.store32(page.truth, number(Truth::Freed));
    }

    fn turn(self, metal: &mut impl Metal, block: PageRange, if_it_is: impl Fn(u32) -> bool, to: Truth) {
        for page in self.pages(block) {
            if if_it_is(metal.load32(page.truth)) {
                metal.store32(page.truth, number(to));
            }
        }
    }

    /// The last word of a page that was freed.
    const fn left_by_free(self, pfn: Pfn) -> u64 {
        match self.poison {
            Some(poison) => poison,
            None => self.stamp(pfn),
        }
    }

    /// The last word of a page that is used: never the free stamp of the same page.
    const fn owner_stamp(self, pfn: Pfn) -> u64 {
        !self.stamp(pfn)
    }

    const fn stamp(self, pfn: Pfn) -> u64 {
        stamp::of_free(self.seed, pfn)
    }

    fn pages(self, block: PageRange) -> impl Iterator<Item = Page> {
        block.frames().map(move |pfn| self.page(pfn))
    }

    const fn page(self, pfn: Pfn) -> Page {
        let truth = self.map.page(pfn.0 - self.map.first().0).offset(PAGE_TRUTH);
        Page { pfn, truth, last_word: pfn.gpa().offset(LAST_WORD) }
    }
}

/// A page, and where its truth and its witnessed word are.
#[derive(Clone, Copy)]
struct Page {
    pfn: Pfn,
    truth: Gpa,
    last_word: Gpa,
}

/// Clears a block but for the last word of every page: the first touch of whoever allocates it.
pub fn touch(metal: &mut impl Metal, block: PageRange) {
    for pfn in block.frames() {
        metal.fill(pfn.gpa(), WORDS - 1, 0);
    }
}

/// The number of a truth, as it is stored.
const fn number(truth: Truth) -> u32 {
    truth as u32
}

const _: () = assert!(PAGE_TRUTH + 4 <= PAGE_BYTES);

#[cfg(test)]
mod tests;
