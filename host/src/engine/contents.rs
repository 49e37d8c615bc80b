//! The host's own look at every page of a guest that has come to rest: whether it is there as the guest's account has
//! it, and whether every word of it holds what it must. The guest's oracle looks at one word of a page, and believes
//! what it reads; this believes the page table, and reads the page from outside.

use std::sync::Arc;

use abi::addr::{PAGE_SIZE, Pfn};
use abi::engine::map::Map;
use abi::engine::{Truth, stamp};

use super::info::Reported;
use super::spec::EngineSpec;
use crate::axes::{Afterwards, Freed};
use crate::memory::GuestRam;
use crate::trial::TrialError;

/// Words of a page.
const WORDS: usize = (PAGE_SIZE / 8) as usize;

/// What the host looked at when nothing was used and nothing in flight. Pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// Whose residency was compared with the guest's account.
    pub pages: u64,
    /// Of these, such as were there and were read from end to end.
    pub read: u64,
    /// Of these, wrong: gone without having been reported, there although they were given back, or with other contents
    /// than they must have.
    pub wrong: u64,
}

/// What pages hold by the choices of a trial.
#[derive(Debug)]
pub(super) struct Contents {
    ram: Arc<GuestRam>,
    first: Pfn,
    managed: u64,
    seed: u64,
    /// What every word of a free page holds in a guest that poisons them.
    poison: Option<u64>,
    reported: Reported,
}

impl Contents {
    pub(super) fn new(ram: &Arc<GuestRam>, map: Map, spec: &EngineSpec, reported: Reported) -> Self {
        let poison = spec.poison.map(|byte| u64::from_ne_bytes([byte; 8]));
        Self {
            ram: Arc::clone(ram),
            first: map.first(),
            managed: map.managed(),
            seed: spec.seed,
            poison,
            reported,
        }
    }

    /// Looks at page `index`, by the guest's account `truth`, which is resident or not. Only two accounts are accepted:
    ///
    /// - freed: the page is there, with what freeing left in it.
    /// - reported: the page is gone, if such are freed; or it is there with what it must hold by what the host did. That is
    ///   zeroes where a huge page that had holes was filled again.
    pub(super) fn look(
        &self,
        index: u64,
        truth: Option<Truth>,
        resident: bool,
    ) -> Result<Looked, TrialError> {
        let pfn = Pfn(self.first.0 + index);
        let Reported { hold, freed } = self.reported;
        let (hold, may_be_gone) = match truth {
            Some(Truth::Reported) => (hold, freed != Freed::Nothing),
            Some(Truth::Freed) => (Afterwards::Kept, false),
            // Nothing is used or in flight when a guest has come to rest, and every page was written to before anything
            // was measured. What was zeroed of the account reads as untouched: that must excuse no page that is gone.
            None | Some(Truth::Untouched | Truth::Used | Truth::InFlight) => {
                return Ok(Looked { pages: 1, read: 0, wrong: 1 });
            }
        };
        let is_right = if resident { self.is_as(hold, pfn)? } else { may_be_gone };
        Ok(Looked { pages: 1, read: resident.into(), wrong: (!is_right).into() })
    }

    /// Whether a page holds that: what freeing left in it, or zeroes.
    fn is_as(&self, hold: Afterwards, pfn: Pfn) -> Result<bool, TrialError> {
        let is_kept = || self.holds(pfn, self.poison.unwrap_or(0), self.left(pfn));
        match hold {
            Afterwards::Kept => is_kept(),
            Afterwards::Zeroed => self.holds(pfn, 0, 0),
            Afterwards::Either => Ok(is_kept()? || self.holds(pfn, 0, 0)?),
        }
    }

    /// The last word of a page that was freed.
    fn left(&self, pfn: Pfn) -> u64 {
        self.poison.unwrap_or_else(|| stamp::of_free(self.seed, pfn))
    }

    /// Whether every word of a page but the last reads `words`, and that one `last`. The first may also be a link of the
    /// guest's loads, which chain the blocks they hold through it: the number of a page and one.
    fn holds(&self, pfn: Pfn, words: u64, last: u64) -> Result<bool, TrialError> {
        let mut page = [0; WORDS];
        self.ram.read_into(pfn.gpa(), &mut page)?;
        let [first, others @ .., found] = page;
        let is_link = self.poison.is_none() && last != 0 && (1..=self.managed).contains(&first);
        let is_first = first == words || is_link;
        Ok(found == last && is_first && others.iter().all(|word| *word == words))
    }
}

impl Looked {
    /// Adds another look.
    pub(super) const fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.read += other.read;
        self.wrong += other.wrong;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::specs::ENGINE;
    use abi::layout::ARENA;

    const PAGES: u64 = 1 << 13;

    const GIVEN_BACK: Reported = Reported { hold: Afterwards::Zeroed, freed: Freed::All };
    const KEPT: Reported = Reported { hold: Afterwards::Kept, freed: Freed::Nothing };
    const LAZILY: Reported = Reported { hold: Afterwards::Either, freed: Freed::AsItLikes };

    fn contents(reported: Reported, poison: Option<u8>) -> Contents {
        let ram = Arc::new(GuestRam::new(ARENA.0 + (PAGES << 12)).unwrap());
        Contents::new(&ram, Map::new(PAGES), &EngineSpec { poison, seed: 7, ..ENGINE }, reported)
    }

    fn wrong(contents: &Contents, truth: impl Into<Option<Truth>>, resident: bool) -> bool {
        contents.look(0, truth.into(), resident).unwrap().wrong == 1
    }

    /// Writes a word of page 0.
    fn write(contents: &Contents, word: u64, value: u64) {
        contents.ram.write(contents.first.gpa().offset(8 * word), value).unwrap();
    }

    #[test]
    fn a_page_is_right_where_it_must_be_and_with_every_word() {
        let contents = contents(GIVEN_BACK, None);
        assert!(!wrong(&contents, Truth::Reported, false) && !wrong(&contents, Truth::Reported, true));
        assert!(wrong(&contents, Truth::Freed, false), "gone, and was not reported");
        assert!(wrong(&contents, Truth::Freed, true), "zeroes instead of its stamp");
        write(&contents, 511, stamp::of_free(7, contents.first));
        assert!(!wrong(&contents, Truth::Freed, true));
        write(&contents, 0, 1);
        assert!(!wrong(&contents, Truth::Freed, true), "a link");
        write(&contents, 0, u64::MAX);
        assert!(wrong(&contents, Truth::Freed, true), "no link");
        write(&contents, 0, 0);
        assert!(wrong(&contents, Truth::Reported, true), "still there");
        // A word that the guest's oracle does not look at.
        write(&contents, 100, 1);
        assert!(wrong(&contents, Truth::Freed, true), "scrambled");
    }

    #[test]
    fn no_page_is_used_or_in_flight_or_was_never_written_to() {
        let contents = contents(GIVEN_BACK, None);
        for truth in [Some(Truth::Untouched), Some(Truth::Used), Some(Truth::InFlight), None] {
            for resident in [false, true] {
                let looked = contents.look(0, truth, resident).unwrap();
                assert_eq!(looked, Looked { pages: 1, read: 0, wrong: 1 }, "{truth:?} {resident}");
            }
        }
    }

    #[test]
    fn read_is_what_is_there() {
        let contents = contents(GIVEN_BACK, None);
        for (truth, resident) in [(Truth::Reported, true), (Truth::Reported, false), (Truth::Freed, false)] {
            let looked = contents.look(0, Some(truth), resident).unwrap();
            assert_eq!(looked.read, u64::from(resident), "{truth:?}");
        }
    }

    #[test]
    fn what_is_freed_lazily_is_there_or_zeroes_or_gone_and_nothing_else() {
        let lazily = contents(LAZILY, None);
        assert!(!wrong(&lazily, Truth::Reported, true) && !wrong(&lazily, Truth::Reported, false));
        write(&lazily, 511, stamp::of_free(7, lazily.first));
        assert!(!wrong(&lazily, Truth::Reported, true));
        write(&lazily, 511, 1);
        assert!(wrong(&lazily, Truth::Reported, true));
    }

    #[test]
    fn what_is_not_given_back_stays_as_it_was() {
        let kept = contents(KEPT, None);
        write(&kept, 511, stamp::of_free(7, kept.first));
        assert!(!wrong(&kept, Truth::Reported, true) && wrong(&kept, Truth::Reported, false));
        let poisoned = contents(KEPT, Some(0xaa));
        assert!(wrong(&poisoned, Truth::Freed, true));
        (0..512).for_each(|word| write(&poisoned, word, u64::from_ne_bytes([0xaa; 8])));
        assert!(!wrong(&poisoned, Truth::Freed, true) && !wrong(&poisoned, Truth::Reported, true));
    }
}
