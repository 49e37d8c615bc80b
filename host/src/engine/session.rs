//! What the guest says on the control port of its processors, and what is done about it.

use std::time::Duration;

use abi::control::Control;
use abi::engine::books::shared;

use super::contents::{Contents, Looked};
use super::outcome::{Flushed, Settled};
use super::settled::Examiner;
use super::watch::{Look, Watch};
use crate::axes::Backing;
use crate::kvm::{Exits, Flow, GuestTsc, HostTsc, TscOffset};
use crate::memory::{GuestRam, Splits, require_huge};
use crate::serve::{Served, Services};
use crate::trial::{Account, Part, TrialError, processor_time};

/// What the measured part begins or ends with, of all processors.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) exits: Exits,
    pub(super) idles: u64,
    /// Processor time of this process so far.
    pub(super) cpu: Duration,
    /// Of each processor.
    pub(super) statistics: Vec<Vec<u64>>,
    pub(super) served: Served,
}

/// A round that had settled, when the guest's clock stood at `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) at: GuestTsc,
    pub(super) settled: Settled,
}

/// Hears the first processor, and keeps what the trial leaves.
pub(super) struct Session<'a> {
    pub(super) ram: &'a GuestRam,
    pub(super) services: &'a Services,
    pub(super) account: Account,
    pub(super) offset: TscOffset,
    pub(super) watch: Option<Watch>,
    pub(super) looks: Vec<Look>,
    pub(super) examiner: Examiner,
    pub(super) contents: Contents,
    /// What the host saw itself, once the guest had come to rest.
    pub(super) looked: Option<Looked>,
    /// How many rounds there are to settle.
    pub(super) rounds: u64,
    /// Whether the guest may wait to be asked for everything at once.
    pub(super) flushes: bool,
    pub(super) settled: Vec<Round>,
    pub(super) backing: Backing,
    /// Share of resident guest memory in huge pages, once all of it is there.
    pub(super) huge_share: f64,
    /// First what the kernel had counted when all of guest memory was there, at the end the change.
    pub(super) splits: Option<Splits>,
    pub(super) part: Part<Mark>,
}

impl Session<'_> {
    /// What the first processor says.
    pub(super) fn control(&mut self, control: Control) -> Result<Flow, TrialError> {
        match control {
            // Every page has been written by now, and none reported.
            Control::Ready => {
                self.huge_share = require_huge(self.ram, self.backing)?;
                self.splits = Splits::now();
                self.examiner.inhabited()?;
            }
            Control::Begin => {
                self.part.begin(self.mark()?)?;
                if let Some(watch) = &self.watch {
                    watch.begin();
                }
            }
            Control::Settled => self.settle()?,
            Control::Next if self.flushes => {
                self.ram.write(shared::ASKED, self.offset.to_guest(HostTsc::now()).0)?;
            }
            Control::Resting if self.looked.is_none() => {
                self.looked = Some(self.examiner.look(&self.contents)?);
            }
            Control::Resting => return Err(TrialError::Protocol { what: "it came to rest twice" }),
            Control::End => {
                self.part.end(self.mark()?)?;
                self.splits = Splits::change_since(self.splits);
                // What comes is the guest's last look at all of its memory, which brings it back.
                if let Some(watch) = self.watch.take() {
                    self.looks = watch.end()?;
                }
            }
            Control::Done => return Ok(Flow::Leave),
            Control::Panicked => return Err(TrialError::panicked(self.ram)),
            Control::Parked => return Err(TrialError::Protocol { what: "its first processor parked" }),
            Control::Drain
            | Control::Filled
            | Control::Reported
            | Control::Looked
            | Control::Next
            | Control::Burst
            | Control::Vacate => {
                return Err(TrialError::Protocol { what: "it said what the engine never says" });
            }
        }
        Ok(Flow::Resume)
    }

    fn settle(&mut self) -> Result<(), TrialError> {
        if self.settled.len() as u64 >= self.rounds {
            return Err(TrialError::Protocol { what: "more rounds settled than were asked for" });
        }
        let at = self.offset.to_guest(HostTsc::now());
        let round = self.ram.read(shared::ROUND)?;
        let flushed = self.flushed()?;
        self.settled.push(Round { at, settled: Settled { round, flushed, ..self.examiner.examine()? } });
        Ok(())
    }

    /// The guest's word on the flush of this round; any numbers.
    fn flushed(&self) -> Result<Option<Flushed>, TrialError> {
        if !self.flushes {
            return Ok(None);
        }
        let read = |word| self.ram.read(word);
        let ticks = read(shared::FLUSHED)?.saturating_sub(read(shared::ASKED)?);
        let (reports, pages) = (read(shared::FLUSH_REPORTS)?, read(shared::FLUSH_PAGES)?);
        Ok(Some(Flushed { ticks, reports, pages }))
    }

    fn mark(&self) -> Result<Mark, TrialError> {
        Ok(Mark {
            exits: self.account.exits(),
            idles: self.account.idles(),
            cpu: processor_time(),
            statistics: self.account.statistics()?,
            served: self.services.served(),
        })
    }
}

/// What another processor says: that it has nothing left to do, or that it panicked.
pub(super) fn other(control: Control, ram: &GuestRam) -> Result<Flow, TrialError> {
    match control {
        Control::Parked => Ok(Flow::Leave),
        Control::Panicked => Err(TrialError::panicked(ram)),
        _ => Err(TrialError::Protocol { what: "a processor said what only the first may say" }),
    }
}
