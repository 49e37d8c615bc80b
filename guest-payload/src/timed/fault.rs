//! A processor that faults: it touches page after page of its share, none of which is there, and counts from each stamp
//! to the next how long it took. Whatever keeps it from running is in one of these gaps: the fault, the lock it waits
//! for, the processor it does not have.

use abi::addr::{Gpa, PAGE_SIZE, Pfn};
use abi::control::Control;
use abi::notes;
use abi::tally::bucket;
use abi::timed::company::Share;
use abi::violation::Violation;

use super::oracle;
use crate::metal::{Metal, count};

/// What a touch leaves.
const TOUCHED: u64 = 0x6661_756c_7469_6e67;
/// Faults, and counts the gaps.
#[derive(Debug)]
pub(super) struct Faulter {
    share: Share,
    tally: Gpa,
}

impl Faulter {
    /// Pages from one look at whether to go on to the next.
    pub(super) const STRIDE: u64 = 64;

    /// Of this share, with its tally at `tally`.
    pub(super) const fn new(share: Share, tally: Gpa) -> Self {
        Self { share, tally }
    }

    /// Makes every page resident.
    pub(super) fn fill(&self, metal: &mut impl Metal) {
        for pfn in self.share.frames() {
            metal.store(pfn.gpa(), TOUCHED);
            metal.store(last_word(pfn), TOUCHED);
        }
    }

    /// Faults until somebody says that it is enough: it is asked now and then. Every page is there afterwards.
    pub(super) fn run<M: Metal>(&self, metal: &mut M, mut enough: impl FnMut(&M) -> bool) {
        loop {
            // The exit and the host's discard are no gap: what comes is counted from here on.
            metal.control(Control::Vacate);
            let over = self.pass(metal, &mut enough);
            self.check(metal);
            if over {
                return;
            }
        }
    }

    /// Once through the share, to its end in any case.
    fn pass<M: Metal>(&self, metal: &mut M, enough: &mut impl FnMut(&M) -> bool) -> bool {
        let mut over = false;
        let mut last = metal.clock();
        for (index, pfn) in (0_u64..).zip(self.share.frames()) {
            metal.store(pfn.gpa(), TOUCHED);
            let now = metal.clock();
            if !over {
                count(metal, self.tally.offset(bucket(now.wrapping_sub(last)) as u64 * 8), 1);
            }
            last = now;
            over |= index % Self::STRIDE == 0 && enough(metal);
        }
        over
    }

    /// The host has taken every page, or what was in it would still be there.
    fn check(&self, metal: &mut impl Metal) {
        for pfn in self.share.frames() {
            if metal.load(last_word(pfn)) != 0 {
                oracle::note(metal, Violation::StillThere, pfn, 0);
            }
            metal.store(last_word(pfn), TOUCHED);
        }
        count(metal, notes::CHECKED, self.share.pages);
    }

    /// Nobody has taken a page that was not to be.
    pub(super) fn sweep(&self, metal: &mut impl Metal) {
        for pfn in self.share.frames() {
            if metal.load(pfn.gpa()) != TOUCHED || metal.load(last_word(pfn)) != TOUCHED {
                oracle::note(metal, Violation::UnreportedLost, pfn, 0);
            }
        }
        count(metal, notes::CHECKED, self.share.pages);
    }
}

const fn last_word(pfn: Pfn) -> Gpa {
    pfn.gpa().offset(PAGE_SIZE - 8)
}

#[cfg(test)]
mod tests {
    use abi::tally::BUCKETS;
    use abi::timed::company::{Company, Own};

    use super::*;
    use crate::metal::fake::Fake;

    const PAGES: u64 = 256;

    fn faulter() -> Faulter {
        let company = Company { vcpus: 2, reporters: 1 };
        Faulter::new(company.share(1, 2 * PAGES), Own::of(1, 2 * PAGES).tally())
    }

    fn gaps(metal: &Fake) -> u64 {
        (0..BUCKETS as u64).map(|at| metal.load(faulter().tally.offset(at * 8))).sum()
    }

    fn found(metal: &Fake) -> [u64; 2] {
        [Violation::StillThere, Violation::UnreportedLost].map(|kind| metal.load(notes::violations(kind)))
    }

    /// A machine whose host takes the share whenever it is told to, or never.
    fn metal(takes: bool) -> Fake {
        let mut metal = Fake::new(|_, _| {});
        metal.when_told(move |metal, said| {
            if takes && said == Control::Vacate {
                metal.zero(faulter().share.start.gpa(), PAGES * PAGE_SIZE);
            }
        });
        metal
    }

    #[test]
    fn every_gap_is_counted_and_pages_that_come_back_empty_are_right() {
        let mut metal = metal(true);
        let mut asked = 0;
        faulter().run(&mut metal, |_| {
            asked += 1;
            asked > 8
        });
        // Two passes of four looks each; in the third the first look says enough.
        assert_eq!(gaps(&metal), 2 * PAGES + 1);
        assert_eq!(metal.said.iter().filter(|said| **said == Control::Vacate).count(), 3);
        faulter().sweep(&mut metal);
        assert_eq!((found(&metal), metal.load(notes::CHECKED)), ([0, 0], 4 * PAGES));
    }

    #[test]
    fn a_host_that_takes_nothing_is_found() {
        let mut metal = metal(false);
        faulter().fill(&mut metal);
        let mut asked = 0;
        faulter().run(&mut metal, |_| {
            asked += 1;
            asked > 4
        });
        assert_eq!(found(&metal), [2 * PAGES, 0], "all of both passes");
    }

    #[test]
    fn a_page_that_is_taken_unasked_is_found() {
        let mut metal = metal(true);
        faulter().fill(&mut metal);
        metal.zero(faulter().share.start.gpa(), PAGE_SIZE);
        faulter().sweep(&mut metal);
        assert_eq!(found(&metal), [0, 1]);
    }
}
