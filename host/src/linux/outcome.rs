//! What came of a Linux guest.

use abi::axes::Bell;
use abi::control::Control;

use super::account::{Account, Told};
use crate::kvm::{Counter, Exits, HostTsc, Placed};
use crate::reclaim::Refused;

/// How things stood when the agent said where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// What it said.
    pub at: Control,
    /// Pages of the guest that the kernel has for it (`/proc/self/pagemap`).
    pub resident_pages: u64,
    /// Exits to user space so far.
    pub exits: Exits,
    /// Reports so far: calls that were served, or chains of the reporting queue.
    pub reports: u64,
    /// Pages in them.
    pub told_pages: u64,
    /// Pages that were discarded, with repetition.
    pub discarded_pages: u64,
    /// Calls that discard.
    pub madvise_calls: u64,
    /// Of them those that failed.
    pub madvise_failures: u64,
    /// Ticks spent on reports: on taking them, on discarding, on answering.
    pub spent: [u64; 3],
    /// Ticks of the host's clock.
    pub ticks: u64,
}

impl Mark {
    /// Before the first instruction, with so many pages resident.
    #[must_use]
    pub fn before(resident_pages: u64) -> Self {
        Self {
            at: Control::Ready,
            resident_pages,
            exits: Exits::default(),
            reports: 0,
            told_pages: 0,
            discarded_pages: 0,
            madvise_calls: 0,
            madvise_failures: 0,
            spent: [0; 3],
            ticks: HostTsc::now().0,
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinuxOutcome {
    /// What the agent said, in the order in which it did.
    pub said: Vec<String>,
    /// The instruction by which it reports, if it does.
    pub bell: Bell,
    /// What ticks are.
    pub counter: Counter,
    /// How things stood before the first instruction: all of memory is there.
    pub before: Mark,
    /// How things stood, in the order in which the agent said so.
    pub marks: Vec<Mark>,
    /// What became of the pages that were reported while the task ran, when reporting had settled; `None` if the agent did
    /// not get so far, or there were more reports than are noted.
    pub account: Option<Account>,
    /// Every report since the first instruction.
    pub told: Vec<Told>,
    /// Ranges that were refused.
    pub refused: Refused,
    /// What the kernel said to the first discard that failed (`errno`).
    pub madvise_error: Option<i32>,
    /// Times somebody was called to the ring and found nothing in it.
    pub stale_kicks: u64,
    /// Frequency of the time stamp counter in kHz, as KVM states it.
    pub tsc_khz: u32,
    /// Where the threads ran.
    pub placed: Placed,
    /// From the first instruction to the agent's, in ticks of the host's clock.
    pub boot_ticks: u64,
}

impl LinuxOutcome {
    /// How things stood when the agent last said so.
    #[must_use]
    pub fn mark(&self, at: Control) -> Option<&Mark> {
        self.marks.iter().rev().find(|mark| mark.at == at)
    }

    /// The number that the agent gave by this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = |line: &String| line.strip_prefix(name)?.strip_prefix('=')?.trim().parse().ok();
        self.said.iter().rev().find_map(value)
    }
}
