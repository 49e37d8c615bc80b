//! The guest's account of its pages against the kernel's, once a round has settled: what of them is mapped, and what
//! of the rest is back.

use std::sync::Arc;

use abi::axes::Axis;
use abi::engine::Truth;
use abi::engine::map::{Map, PAGE_BYTES, PAGE_TRUTH};

use super::contents::{Contents, Looked};
use super::outcome::Settled;
use crate::memory::{GuestRam, Held, Residency, ResidencyError, Verdict, Witness, WitnessError, WitnessKind};
use crate::trial::TrialError;

/// Words kept for a page, and the one whose upper half is the truth.
const WORDS: usize = (PAGE_BYTES / 8) as usize;
const TRUTH_WORD: usize = (PAGE_TRUTH / 8) as usize;
const _: () = assert!(PAGE_BYTES == 16 && PAGE_TRUTH == 12);

/// Looks at every managed page.
#[derive(Debug)]
pub(super) struct Examiner {
    ram: Arc<GuestRam>,
    map: Map,
    residency: Residency,
    witness: Witness,
    /// What was held before anything was touched.
    before: Held,
    held: Vec<bool>,
    words: Vec<u64>,
    /// Whether reported pages are given back: else there is nothing wrong with their being resident.
    returned: bool,
}

impl Examiner {
    /// Prepares everything it will need. None of the memory may have been touched.
    pub(super) fn new(ram: &Arc<GuestRam>, map: Map, returned: bool) -> Result<Self, WitnessError> {
        let residency = residency(ram, map)?;
        let managed = residency.pages();
        let mut witness = Witness::new(ram)?;
        let before = witness.look()?;
        Ok(Self {
            ram: Arc::clone(ram),
            map,
            residency,
            witness,
            before,
            held: vec![false; managed],
            words: vec![0; managed * WORDS],
            returned,
        })
    }

    /// Every page is there, and none is reported: what is gone at the first settled round was held here.
    pub(super) fn inhabited(&mut self) -> Result<(), TrialError> {
        self.witness.look()?;
        Ok(())
    }

    /// Compares; `round` and `at_ns` are left to the caller.
    pub(super) fn examine(&mut self) -> Result<Settled, TrialError> {
        self.residency.read(&mut self.held)?;
        self.ram.read_into(self.map.page(0), &mut self.words)?;
        let mut settled = Settled::default();
        for (words, held) in self.words.chunks_exact(WORDS).zip(&self.held) {
            // What is no truth at all is nobody's free page.
            let truth = Truth::from_number(words[TRUTH_WORD] >> 32).unwrap_or(Truth::Used);
            let reported = truth == Truth::Reported;
            settled.free += u64::from(truth != Truth::Used);
            settled.resident += u64::from(truth != Truth::Used && *held);
            settled.reported += u64::from(reported);
            settled.reported_resident += u64::from(reported && *held && self.returned);
            settled.lost += u64::from(truth == Truth::Freed && !*held);
        }
        settled.unmapped = settled.free - settled.resident;
        // What is held now beyond what was before anything was touched, and not mapped, is of these pages.
        let Verdict { back, unknown, within } = self.witness.look()?.verdict(self.before, settled.unmapped);
        Ok(Settled { back, unknown, within, ..settled })
    }

    /// Looks at every page of a guest that has come to rest, from outside.
    pub(super) fn look(&mut self, contents: &Contents) -> Result<Looked, TrialError> {
        self.residency.read(&mut self.held)?;
        self.ram.read_into(self.map.page(0), &mut self.words)?;
        let mut looked = Looked::default();
        for (index, (words, held)) in (0..).zip(self.words.chunks_exact(WORDS).zip(&self.held)) {
            looked.add(contents.look(index, Truth::from_number(words[TRUTH_WORD] >> 32), *held)?);
        }
        Ok(looked)
    }

    /// Who says what is back.
    pub(super) const fn witness(&self) -> WitnessKind {
        self.witness.kind()
    }
}

/// The residency of the pages the engine manages.
pub(super) fn residency(ram: &GuestRam, map: Map) -> Result<Residency, ResidencyError> {
    Residency::of_pages(ram, map.first().gpa(), map.managed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::Order;
    use abi::layout::ARENA;

    const PAGES: u64 = 1 << 13;

    /// A page of each truth, first not resident, then resident.
    fn settled(returned: bool) -> Settled {
        let ram = Arc::new(GuestRam::new(ARENA.0 + (PAGES << 12)).unwrap());
        let map = Map::new(PAGES);
        crate::memory::advise(&ram, ram.whole(), crate::memory::Advice::NoHugePage).unwrap();
        let truths = Truth::ALL.iter().map(|truth| truth.number()).chain([99]);
        for index in 0..map.managed() {
            // Everything else is in use.
            ram.write(map.page(index).offset(8), Truth::Used.number() << 32).unwrap();
        }
        for (index, truth) in truths.enumerate() {
            for (index, resident) in [(2 * index as u64, false), (2 * index as u64 + 1, true)] {
                // Noise in the word's lower half is the guest's own.
                ram.write(map.page(index).offset(8), truth << 32 | 0xffff_ffff).unwrap();
                if resident {
                    ram.write(map.block(index, Order::PAGE).gpa(), 1).unwrap();
                }
            }
        }
        let found = Examiner::new(&ram, map, returned).unwrap().examine().unwrap();
        // What is back not every user can see of so few pages.
        Settled { back: 0, unknown: 0, within: 0, ..found }
    }

    #[test]
    fn every_page_is_counted_by_its_truth() {
        let expected = Settled {
            round: 0,
            at_ns: 0,
            flushed: None,
            // Two each that are untouched, freed, in flight, reported.
            free: 8,
            resident: 4,
            unmapped: 4,
            back: 0,
            unknown: 0,
            within: 0,
            reported: 2,
            reported_resident: 1,
            lost: 1,
        };
        assert_eq!(settled(true), expected);
        assert_eq!(settled(false), Settled { reported_resident: 0, ..expected });
    }
}
