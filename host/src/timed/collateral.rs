//! What a report does to memory that it does not name: faults that the guest takes on other pages, huge pages that are gone,
//! mappings, flushes. Seen around the reports that prove something, between two looks of the guest at all other pages.

use std::sync::Arc;

use crate::kvm::{Machine, Statistics};
use crate::memory::{GuestRam, ResidencyError, Splits, huge_and_mappings};

/// What it did, summed over the proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Collateral {
    /// Reports that were looked at.
    pub reports: u64,
    /// Pages that were not reported and that the guest looked at after one.
    pub neighbours: u64,
    /// Faults that KVM served meanwhile (`pf_fixed`); `None` where it does not count.
    pub faults: Option<u64>,
    /// Bytes of guest memory in huge pages before and after.
    pub huge: [u64; 2],
    /// Mappings of the process before and after.
    pub mappings: [u64; 2],
    /// Huge pages of the whole machine whose split was put off, and that were split; `None` where nobody counts.
    pub splits: Option<Splits>,
    /// Times KVM had all processors flush (`remote_tlb_flush`); `None` where it does not count.
    pub remote_flushes: Option<u64>,
    /// Flushes of the guest's processor (`tlb_flush`); likewise.
    pub flushes: Option<u64>,
}

/// What can be seen at a moment.
#[derive(Clone, Copy, Debug)]
struct Seen {
    huge: u64,
    mappings: u64,
    splits: Option<Splits>,
    remote_flushes: Option<u64>,
    flushes: Option<u64>,
}

/// Where the looks of a proof stand.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// No look is due.
    Idle,
    /// Everything was looked at, and nothing is reported.
    Before(Seen),
    /// A batch is reported; KVM had served so many faults.
    Reported(Option<u64>),
}

/// Sees what reports do.
#[derive(Debug)]
pub(super) struct Onlooker {
    ram: Arc<GuestRam>,
    processor: Option<Statistics>,
    machine: Option<Statistics>,
    stage: Stage,
    arena_pages: u64,
    sum: Collateral,
}

impl Onlooker {
    /// One for a guest with such an arena.
    pub(super) fn new(ram: &Arc<GuestRam>, machine: &Machine, arena_pages: u64) -> Self {
        let zero = |statistics: &Option<Statistics>, name| statistics.as_ref()?.value(name).map(|_| 0);
        let (processor, machine) = (machine.statistics(), machine.machine_statistics());
        let sum = Collateral {
            faults: zero(&processor, "pf_fixed"),
            splits: Splits::now().map(|_| Splits::default()),
            remote_flushes: zero(&machine, "remote_tlb_flush"),
            flushes: zero(&processor, "tlb_flush"),
            ..Collateral::default()
        };
        Self { ram: Arc::clone(ram), processor, machine, stage: Stage::Idle, arena_pages, sum }
    }

    /// The guest has looked at everything that is not reported.
    pub(super) fn looked(&mut self) -> Result<(), ResidencyError> {
        self.stage = match self.stage {
            Stage::Reported(before) => {
                let faults = self.faults().zip(before).map(|(now, before)| now - before);
                add(&mut self.sum.faults, faults);
                Stage::Idle
            }
            Stage::Idle | Stage::Before(_) => Stage::Before(self.see()?),
        };
        Ok(())
    }

    /// A batch of so many pages is reported, and the guest has not gone on.
    pub(super) fn reported(&mut self, pages: u64) -> Result<(), ResidencyError> {
        let Stage::Before(before) = self.stage else { return Ok(()) };
        let now = self.see()?;
        let sum = &mut self.sum;
        sum.reports += 1;
        sum.neighbours += self.arena_pages.saturating_sub(pages);
        for (sum, seen) in sum.huge.iter_mut().zip([before.huge, now.huge]) {
            *sum += seen;
        }
        for (sum, seen) in sum.mappings.iter_mut().zip([before.mappings, now.mappings]) {
            *sum += seen;
        }
        if let (Some(sum), Some(now), Some(before)) = (&mut sum.splits, now.splits, before.splits) {
            sum.add(now.since(before));
        }
        let change = |now: Option<u64>, before| now.zip(before).map(|(now, before): (u64, u64)| now - before);
        add(&mut sum.remote_flushes, change(now.remote_flushes, before.remote_flushes));
        add(&mut sum.flushes, change(now.flushes, before.flushes));
        self.stage = Stage::Reported(self.faults());
        Ok(())
    }

    pub(super) const fn sum(&self) -> Collateral {
        self.sum
    }

    fn faults(&self) -> Option<u64> {
        self.processor.as_ref()?.value("pf_fixed")
    }

    fn see(&self) -> Result<Seen, ResidencyError> {
        let of = |statistics: &Option<Statistics>, name| statistics.as_ref()?.value(name);
        let (huge, mappings) = huge_and_mappings(&self.ram)?;
        Ok(Seen {
            huge,
            mappings,
            splits: Splits::now(),
            remote_flushes: of(&self.machine, "remote_tlb_flush"),
            flushes: of(&self.processor, "tlb_flush"),
        })
    }
}

/// Adds what is known to what is counted.
const fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let (Some(sum), Some(more)) = (sum, more) {
        *sum += more;
    }
}
