//! What the contents of every page must be, and a note when they are not.
//!
//! Every page of the arena carries a stamp, a function of its frame and the seed, in its first and last word.
//! A page keeps it until it is reported. After the acknowledgement the first word is written (that is the
//! timed touch), and the last word tells what the host did: zero if the page was discarded, the stamp if not.
//! Then the page is stamped again, and any discard that comes late will be found by the next look.

use abi::addr::{Gpa, PAGE_SIZE, PageRange, Pfn};
use abi::axes::Afterwards;
use abi::digest::mix;
use abi::notes;
use abi::violation::Violation;

use crate::metal::{Metal, count};
use crate::timed::ledger;

/// Offset of a page's last word.
const LAST_WORD: u64 = PAGE_SIZE - 8;
/// What a touch writes: not zero, and no stamp but by a chance of 2^-64.
const TOUCHED: u64 = 0x7061_6765_6869_6e74;

/// The oracle of one trial.
#[derive(Clone, Copy, Debug)]
pub struct Oracle {
    seed: u64,
    afterwards: Afterwards,
}

impl Oracle {
    /// An oracle for a trial with this seed, in which reported pages hold `afterwards` after the
    /// acknowledgement.
    #[must_use]
    pub const fn new(seed: u64, afterwards: Afterwards) -> Self {
        Self { seed, afterwards }
    }

    const fn stamp(self, pfn: Pfn) -> u64 {
        mix(self.seed ^ mix(pfn.0))
    }

    /// Stamps pages.
    pub fn write(self, metal: &mut impl Metal, range: PageRange) {
        for pfn in range.frames() {
            let stamp = self.stamp(pfn);
            metal.store(pfn.gpa(), stamp);
            metal.store(last_word(pfn), stamp);
        }
    }

    /// Checks that pages still carry their stamps: before they are reported, and at the end. `report` goes
    /// into the notes of what is wrong.
    pub fn check(self, metal: &mut impl Metal, range: PageRange, report: u64) {
        for pfn in range.frames() {
            let stamp = self.stamp(pfn);
            if metal.load(pfn.gpa()) != stamp || metal.load(last_word(pfn)) != stamp {
                let was_reported = ledger::was_reported(metal, pfn);
                let violation = if was_reported { Violation::ReusedLost } else { Violation::UnreportedLost };
                note(metal, violation, pfn, report);
            }
        }
        count(metal, notes::CHECKED, range.pages());
    }

    /// Checks pages that were reported, acknowledged and touched.
    pub fn check_touched(self, metal: &mut impl Metal, range: PageRange, report: u64) {
        for pfn in range.frames() {
            if metal.load(pfn.gpa()) != TOUCHED {
                note(metal, Violation::ReusedLost, pfn, report);
            }
            if let Some(violation) = self.judge(pfn, metal.load(last_word(pfn))) {
                note(metal, violation, pfn, report);
            }
        }
        count(metal, notes::CHECKED, range.pages());
    }

    /// What is wrong with a reported page whose last word reads `found`.
    fn judge(self, pfn: Pfn, found: u64) -> Option<Violation> {
        let stamp = self.stamp(pfn);
        match self.afterwards {
            Afterwards::Kept | Afterwards::Either if found == stamp => None,
            Afterwards::Zeroed | Afterwards::Either if found == 0 => None,
            Afterwards::Zeroed if found == stamp => Some(Violation::StillThere),
            Afterwards::Kept | Afterwards::Zeroed | Afterwards::Either => Some(Violation::Scrambled),
        }
    }
}

/// Writes to every page once; what is timed as touch and retouch.
pub fn touch(metal: &mut impl Metal, batch: &[PageRange]) {
    for range in batch {
        for pfn in range.frames() {
            metal.store(pfn.gpa(), TOUCHED);
        }
    }
}

/// Counts a violation; the first one's page and report are kept.
pub fn note(metal: &mut impl Metal, violation: Violation, pfn: Pfn, report: u64) {
    if Violation::ALL.iter().all(|kind| metal.load(notes::violations(*kind)) == 0) {
        metal.store(notes::FIRST_WRONG[0], pfn.0);
        metal.store(notes::FIRST_WRONG[1], report);
    }
    count(metal, notes::violations(violation), 1);
}

const fn last_word(pfn: Pfn) -> Gpa {
    pfn.gpa().offset(LAST_WORD)
}
