//! Several virtual processors in one timed trial: who reports, who faults, and what each of them has for itself.
//!
//! Each has a share of the arena, one after the other. The first `reporters` of them report as one alone does; the
//! others touch memory that is not there. Notes and trace are at the same address for all of them, so that the measured
//! loop is the same instructions whoever runs it: behind that address are pages of each processor's own, in an area
//! after the arena, and page tables of its own lead there. The first has what one alone has.
//!
//! ```text
//!   ARENA            share of vCPU 0, 1, …
//!   end of arena     area of vCPU 0, 1, …, [AREA] bytes each:
//!     + 0x0000         page tables, four pages
//!     + 0x4000         notes
//!     + 0x8000         tally of gaps     [crate::tally]
//!     + 0x10000        trace             [crate::timed::trace]
//! ```

use crate::addr::{ByteRange, Gpa, PAGE_SIZE, Pfn, bytes_of};
use crate::layout::{ARENA, ARENA_START, COMPANY, LEDGER, NOTES, STEP, TRACE_CALLS, VCPUS_MAX};
use crate::tally::BUCKETS;

/// Words of a [`Company`].
pub const WORDS: usize = 2;
/// Bytes of a processor's area.
pub const AREA: u64 = 1 << 20;
/// Pages of its page tables.
pub const TABLES: u64 = 4;

const OWN_NOTES: u64 = TABLES * PAGE_SIZE;
const TALLY: u64 = 0x8000;
const TRACE: u64 = 0x1_0000;
const TRACE_BYTES: u64 = LEDGER.0 - TRACE_CALLS.0;
const _: () = assert!(OWN_NOTES + PAGE_SIZE <= TALLY);
const _: () = assert!(TALLY + BUCKETS as u64 * 8 <= TRACE);
const _: () = assert!(TRACE + TRACE_BYTES <= AREA);

/// Bytes from the word of one processor to that of the next: no two share a line.
const APART: u64 = 64;
const MET: Gpa = COMPANY.offset(APART);
const ENDED: Gpa = MET.offset(VCPUS_MAX as u64 * APART);
/// The lock for whose turn it is, where the carrier is one for all.
pub const TURN: Gpa = ENDED.offset(VCPUS_MAX as u64 * APART);
const _: () = assert!(TURN.0 + APART <= STEP.0);

/// How many virtual processors a trial has, and how many of them report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Company {
    /// Virtual processors, 1 to [`VCPUS_MAX`].
    pub vcpus: u32,
    /// The first of them, which report; the others fault.
    pub reporters: u32,
}

impl Company {
    /// One processor, which reports.
    pub const ALONE: Self = Self { vcpus: 1, reporters: 1 };

    /// As words.
    #[must_use]
    pub const fn to_words(self) -> [u64; WORDS] {
        [self.vcpus as u64, self.reporters as u64]
    }

    /// From words, if they are a company.
    #[must_use]
    pub fn from_words(words: [u64; WORDS]) -> Option<Self> {
        let [vcpus, reporters] = words.map(|word| u32::try_from(word).ok());
        let company = Self { vcpus: vcpus?, reporters: reporters? };
        let is_one = (1..=VCPUS_MAX).contains(&company.vcpus) && company.reporters <= company.vcpus;
        is_one.then_some(company)
    }

    /// Whether there is nobody but one that reports.
    #[must_use]
    pub const fn is_alone(self) -> bool {
        self.vcpus == 1 && self.reporters == 1
    }

    /// Whether that processor reports.
    #[must_use]
    pub const fn reports(self, vcpu: u32) -> bool {
        vcpu < self.reporters
    }

    /// Its share of an arena of so many pages.
    #[must_use]
    pub const fn share(self, vcpu: u32, arena_pages: u64) -> Share {
        let pages = arena_pages / self.vcpus as u64;
        Share { start: Pfn(ARENA_START.0 + vcpu as u64 * pages), pages }
    }

    /// Bytes of the areas of all; none of one alone.
    #[must_use]
    pub const fn areas(self) -> u64 {
        // Whole huge pages, whatever memory is made of.
        if self.is_alone() { 0 } else { (self.vcpus as u64 * AREA).next_multiple_of(2 << 20) }
    }
}

/// The pages that one processor frees and reports, or faults in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// The first frame.
    pub start: Pfn,
    /// How many there are.
    pub pages: u64,
}

impl Share {
    /// All of an arena of so many pages.
    #[must_use]
    pub const fn whole(arena_pages: u64) -> Self {
        Self { start: ARENA_START, pages: arena_pages }
    }

    /// Frame by frame.
    pub fn frames(self) -> impl Iterator<Item = Pfn> {
        (self.start.0..self.start.0 + self.pages).map(Pfn)
    }

    /// As bytes.
    #[must_use]
    pub const fn bytes(self) -> ByteRange {
        ByteRange { gpa: self.start.gpa(), len: bytes_of(self.pages) }
    }
}

/// What a processor has for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    area: Gpa,
    /// Whether notes and trace are where they are for one alone.
    first: bool,
}

impl Own {
    /// Of processor `vcpu`, after an arena of so many pages.
    #[must_use]
    pub const fn of(vcpu: u32, arena_pages: u64) -> Self {
        let area = ARENA.offset(bytes_of(arena_pages) + vcpu as u64 * AREA);
        Self { area, first: vcpu == 0 }
    }

    /// Where what it finds at `at` really is.
    #[must_use]
    pub const fn place(self, at: Gpa) -> Gpa {
        match at.0 {
            _ if self.first => at,
            address if address - address % PAGE_SIZE == NOTES.0 => {
                self.area.offset(OWN_NOTES + (address - NOTES.0))
            }
            address if address >= TRACE_CALLS.0 && address < LEDGER.0 => {
                self.area.offset(TRACE + (address - TRACE_CALLS.0))
            }
            _ => at,
        }
    }

    /// Its page tables: [`TABLES`] pages.
    #[must_use]
    pub const fn tables(self) -> Gpa {
        self.area
    }

    /// Its tally of gaps.
    #[must_use]
    pub const fn tally(self) -> Gpa {
        self.area.offset(TALLY)
    }
}

/// Where processor `vcpu` says how often it has met the others.
#[must_use]
pub const fn met(vcpu: u32) -> Gpa {
    MET.offset(vcpu as u64 * APART)
}

/// Where processor `vcpu` says that its measured part is over.
#[must_use]
pub const fn ended(vcpu: u32) -> Gpa {
    ENDED.offset(vcpu as u64 * APART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes;
    use crate::timed::ledger::FRAMES_PER_WORD;
    use crate::timed::trace::{call_at, report_at};

    #[test]
    fn words_round_trip_and_others_are_none() {
        for company in
            [Company::ALONE, Company { vcpus: 8, reporters: 0 }, Company { vcpus: 4, reporters: 3 }]
        {
            assert_eq!(Company::from_words(company.to_words()), Some(company));
        }
        for words in [[0, 0], [9, 1], [1 << 32, 1], [2, 3]] {
            assert_eq!(Company::from_words(words), None, "{words:?}");
        }
    }

    #[test]
    fn shares_follow_one_another_and_share_no_word_of_the_ledger() {
        let company = Company { vcpus: 3, reporters: 2 };
        for vcpu in 0..2 {
            let [share, next] = [vcpu, vcpu + 1].map(|vcpu| company.share(vcpu, 3 * 1024));
            assert_eq!(share.start.0 + share.pages, next.start.0);
            assert!((next.start.0 - ARENA_START.0).is_multiple_of(FRAMES_PER_WORD));
        }
        assert_eq!(company.share(2, 3 * 1024).frames().last(), Some(Pfn(ARENA_START.0 + 3 * 1024 - 1)));
        assert_eq!(Company::ALONE.share(0, 512), Share::whole(512));
    }

    #[test]
    fn each_has_its_own_and_the_first_what_one_alone_has() {
        let pages = 4096;
        let places = [notes::CALLS, notes::PANIC_TEXT, call_at(0), call_at(4095), report_at(1023)];
        for at in places {
            assert_eq!(Own::of(0, pages).place(at), at);
            let own = |vcpu| Own::of(vcpu, pages).place(at).0;
            assert_eq!(own(2) - own(1), AREA);
            let area = ARENA.0 + bytes_of(pages) + AREA;
            assert!((area..area + AREA).contains(&own(1)), "{at:?}");
        }
        assert_eq!(Own::of(1, pages).place(ARENA), ARENA);
        assert_eq!(Own::of(1, pages).place(COMPANY), COMPANY);
        assert_eq!(Own::of(1, pages).place(LEDGER), LEDGER);
    }
}
