//! Proof that pages were freed: the guest's ledger against the kernel's account, around one report.

use abi::layout::{ARENA, ARENA_START};
use abi::timed::ledger::{FRAMES_PER_WORD, reported};

use super::outcome::Proof;
use crate::memory::{GuestRam, Residency, ResidencyError};
use crate::trial::TrialError;

/// Looks at the arena before and after a report.
#[derive(Debug)]
pub(crate) struct Prover {
    residency: Residency,
    before: Vec<bool>,
    after: Vec<bool>,
    ledger: Vec<u64>,
    proof: Proof,
}

impl Prover {
    /// Prepares everything it will need for an arena of so many pages.
    pub(crate) fn new(ram: &GuestRam, arena_pages: u64) -> Result<Self, ResidencyError> {
        let residency = Residency::of_pages(ram, ARENA, arena_pages)?;
        let pages = residency.pages();
        Ok(Self {
            residency,
            before: vec![false; pages],
            after: vec![false; pages],
            ledger: (0..arena_pages.div_ceil(FRAMES_PER_WORD)).map(|_| 0).collect(),
            proof: Proof::default(),
        })
    }

    /// Nothing is reported, everything has been written.
    pub(crate) fn filled(&mut self) -> Result<(), ResidencyError> {
        self.residency.read(&mut self.before)
    }

    /// A batch is reported, acknowledged and not touched.
    pub(crate) fn reported(&mut self, ram: &GuestRam) -> Result<(), TrialError> {
        self.residency.read(&mut self.after)?;
        ram.read_into(reported(ARENA_START).word, &mut self.ledger)?;
        self.proof.proofs += 1;
        let bits = self.ledger.iter().flat_map(|word| (0..FRAMES_PER_WORD).map(move |bit| word >> bit & 1));
        for ((was, is), bit) in self.before.iter().zip(&self.after).zip(bits) {
            let is_reported = bit == 1;
            self.proof.reported += u64::from(is_reported);
            self.proof.resident_before += u64::from(is_reported && *was);
            self.proof.freed += u64::from(is_reported && *was && !*is);
            self.proof.lost += u64::from(!is_reported && *was && !*is);
        }
        Ok(())
    }

    pub(crate) const fn proof(&self) -> Proof {
        self.proof
    }
}
