//! One guest's trial, as its control calls tell it: drain the trace, prove the discards, mark what is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::axes::Axis;
use abi::control::Control;
use abi::notes;
use abi::timed::burst::{Burst, CALLS as CALLS_A_BURST};
use abi::timed::trace::ReportRecord;

use super::collateral::Onlooker;
use super::company::{self, Audience, Vacater};
use super::proof::Prover;
use super::sample::Sample;
use super::stopwatch::Bursts;
use super::stream::{Measured, Stream};
use crate::axes::Backing;
use crate::kvm::{Counter, Exits, Flow, Thread, ThreadTime, TscOffset, idle};
use crate::memory::{GuestRam, Splits, require_huge};
use crate::reclaim::SharedPutOff;
use crate::serve::Served;
use crate::trial::{Account, Part, TrialError, processor_time};

/// What the measured part begins or ends with.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) exits: Exits,
    pub(super) cpu: Duration,
    /// Of each processor.
    pub(super) statistics: Vec<Vec<u64>>,
    pub(super) served: Served,
    pub(super) idles: u64,
    /// Processor time of the first processor's thread.
    pub(super) time: ThreadTime,
    /// How long the kernel had been idle, in nanoseconds of its clock; looked at only where instructions are
    /// counted, and `None` where it does not say.
    pub(super) slept: Option<u64>,
}

/// Hears the guest, and keeps what the trial leaves.
pub(super) struct Session<'a> {
    pub(super) ram: Arc<GuestRam>,
    pub(super) backing: Backing,
    pub(super) audience: &'a Audience<'a>,
    pub(super) stream: Stream,
    /// Where it faults itself.
    pub(super) vacater: Option<Vacater>,
    pub(super) account: Account,
    pub(super) counter: Counter,
    pub(super) offset: TscOffset,
    pub(super) prover: Prover,
    pub(super) started: Instant,
    pub(super) booted: Duration,
    /// Share of resident guest memory in huge pages, once all of it is there.
    pub(super) huge_share: f64,
    /// First what the kernel had counted when all of guest memory was there, at the end the change.
    pub(super) splits: Option<Splits>,
    pub(super) part: Part<Mark>,
    pub(super) measured: Measured,
    /// Processor time of its other processors' threads in the measured part, once they are done.
    pub(super) others: ThreadTime,
    /// Sees what reports do to other pages, where that is asked.
    pub(super) onlooker: Option<Onlooker>,
    /// Pages of a report.
    pub(super) reported_pages: u64,
    /// What is remembered to be discarded when memory is wanted.
    pub(super) put_off: Option<SharedPutOff>,
    /// The guest is done.
    pub(super) over: bool,
    /// Where the stopwatch is weighed: the bursts by which it is.
    pub(super) bursts: Option<Bursts>,
}

impl Session<'_> {
    /// What the guest says. `served` is what was done for all its processors so far.
    pub(super) fn control(
        &mut self,
        control: Control,
        served: impl FnOnce() -> Served,
    ) -> Result<Flow, TrialError> {
        match control {
            Control::Ready => {
                self.booted = self.started.elapsed();
                // Every page of the arena has been written by now.
                self.huge_share = require_huge(&self.ram, self.backing)?;
                self.splits = Splits::now();
            }
            Control::Begin => {
                self.drain()?;
                self.part.begin(self.mark(served())?)?;
                if let Some(bursts) = &mut self.bursts {
                    bursts.forget();
                }
            }
            Control::Drain => self.drain()?,
            Control::Filled => {
                self.drain()?;
                self.prover.filled(&self.ram)?;
            }
            Control::Reported => {
                self.want_memory();
                if let Some(onlooker) = &mut self.onlooker {
                    onlooker.reported(self.reported_pages)?;
                }
                self.prover.reported(&self.ram)?;
            }
            Control::Looked => {
                if let Some(onlooker) = &mut self.onlooker {
                    onlooker.looked()?;
                }
            }
            Control::End => {
                self.drain()?;
                if let Some(bursts) = &mut self.bursts {
                    bursts.begin(None);
                }
                self.part.end(self.mark(served())?)?;
                self.splits = Splits::change_since(self.splits);
            }
            Control::Burst => {
                self.drain()?;
                self.next_burst()?;
                return Ok(Flow::Leave);
            }
            Control::Done => {
                self.drain()?;
                self.want_memory();
                self.over = true;
                return Ok(Flow::Leave);
            }
            Control::Vacate => company::vacate(self.vacater.as_mut())?,
            Control::Panicked => return Err(TrialError::panicked(&self.ram)),
            Control::Next => return Err(TrialError::Protocol { what: "it asked for a step" }),
            Control::Settled | Control::Parked | Control::Resting => {
                return Err(TrialError::Protocol { what: "it said what only the engine says" });
            }
        }
        Ok(Flow::Resume)
    }

    /// Has what was put off discarded now, unless the guest has taken it back: its only processor stands meanwhile.
    fn want_memory(&self) {
        if let Some(put_off) = &self.put_off {
            put_off.discard_all(&self.ram);
        }
    }

    fn next_burst(&mut self) -> Result<(), TrialError> {
        let kind = Burst::from_number(self.ram.read(notes::BURST)?);
        let (Some(bursts), Some(kind)) = (&mut self.bursts, kind) else {
            return Err(TrialError::Protocol { what: "it began a burst that nobody asked for" });
        };
        bursts.begin(Some(kind));
        Ok(())
    }

    /// Reads the whole trace; what is measured goes to the audience.
    fn drain(&mut self) -> Result<(), TrialError> {
        self.stream.look()?;
        while let Some((report, sample)) = self.stream.next()? {
            if self.part.is_running() {
                self.keep(&report, sample.as_ref());
            }
        }
        Ok(())
    }

    fn keep(&mut self, report: &ReportRecord, sample: Option<&Sample>) {
        let burst = self.bursts.as_ref().and_then(Bursts::running);
        if let (Some(bursts), Some(sample)) = (&mut self.bursts, sample) {
            bursts.add(sample.total);
        }
        let is_report = burst.is_none_or(|burst| burst == Burst::Once);
        // Calls without a stamp have no record.
        let unstamped = burst.is_some_and(|burst| !burst.is_stamped());
        self.measured.add(report, if unstamped { CALLS_A_BURST } else { report.calls }, sample);
        self.measured.reports -= u64::from(!is_report);
        if let Some(sample) = sample.filter(|_| is_report) {
            company::hear(self.audience, sample);
        }
    }

    fn mark(&self, served: Served) -> Result<Mark, TrialError> {
        Ok(Mark {
            exits: self.account.exits(),
            cpu: processor_time(),
            statistics: self.account.statistics()?,
            served,
            idles: self.account.idles(),
            time: Thread::this().time(),
            slept: if self.counter == Counter::Instructions { idle::slept() } else { None },
        })
    }
}
