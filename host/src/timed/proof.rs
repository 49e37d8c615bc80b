//! Proof of what became of reported pages, around one report: the guest's ledger against the page table, which says
//! what is unmapped, and against the physical witness, which says what is back.

use abi::layout::{ARENA, ARENA_START};
use abi::timed::ledger::{FRAMES_PER_WORD, reported};

use super::outcome::Proof;
use crate::memory::{GuestRam, Held, Residency, Verdict, Witness, WitnessError, WitnessKind, lazy_pages};
use crate::trial::TrialError;

/// Looks at the arena before and after a report.
#[derive(Debug)]
pub(crate) struct Prover {
    residency: Residency,
    witness: Witness,
    held: Held,
    /// Pages that were freed lazily before the report.
    lazy: u64,
    before: Vec<bool>,
    after: Vec<bool>,
    ledger: Vec<u64>,
    proof: Proof,
}

impl Prover {
    /// Prepares everything it will need for an arena of so many pages, none of which has been touched.
    pub(crate) fn new(ram: &GuestRam, arena_pages: u64) -> Result<Self, WitnessError> {
        let residency = Residency::of_pages(ram, ARENA, arena_pages)?;
        let pages = residency.pages();
        Ok(Self {
            residency,
            witness: Witness::new(ram)?,
            held: Held::default(),
            lazy: 0,
            before: vec![false; pages],
            after: vec![false; pages],
            ledger: (0..arena_pages.div_ceil(FRAMES_PER_WORD)).map(|_| 0).collect(),
            proof: Proof::default(),
        })
    }

    /// Nothing is reported, everything has been written.
    pub(crate) fn filled(&mut self, ram: &GuestRam) -> Result<(), WitnessError> {
        self.residency.read(&mut self.before)?;
        self.held = self.witness.look()?;
        // After the witness has drained the lists: what earlier reports have left on one is not this one's.
        self.lazy = lazy_pages(ram)?;
        Ok(())
    }

    /// A batch is reported, acknowledged and not touched.
    pub(crate) fn reported(&mut self, ram: &GuestRam) -> Result<(), TrialError> {
        self.residency.read(&mut self.after)?;
        let held = self.witness.look()?;
        // What is freed lazily is marked on a list of its processor, which the witness has drained.
        self.proof.lazy += lazy_pages(ram)?.saturating_sub(self.lazy);
        ram.read_into(reported(ARENA_START).word, &mut self.ledger)?;
        let unmapped_so_far = self.proof.unmapped;
        self.proof.proofs += 1;
        let bits = self.ledger.iter().flat_map(|word| (0..FRAMES_PER_WORD).map(move |bit| word >> bit & 1));
        for ((was, is), bit) in self.before.iter().zip(&self.after).zip(bits) {
            let is_reported = bit == 1;
            self.proof.reported += u64::from(is_reported);
            self.proof.resident_before += u64::from(is_reported && *was);
            self.proof.unmapped += u64::from(is_reported && *was && !*is);
            self.proof.lost += u64::from(!is_reported && *was && !*is);
        }
        let unmapped = self.proof.unmapped - unmapped_so_far;
        let Verdict { back, unknown, within } = held.verdict(self.held, unmapped);
        self.proof.back += back;
        self.proof.unknown += unknown;
        // Only of what it could tell may the witness be off: else one that cannot tell would excuse the others twice.
        self.proof.within += if unknown < unmapped { within } else { 0 };
        Ok(())
    }

    /// Who says what is back.
    pub(crate) const fn witness(&self) -> WitnessKind {
        self.witness.kind()
    }

    pub(crate) const fn proof(&self) -> Proof {
        self.proof
    }
}
