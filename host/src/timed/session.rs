//! One guest's trial, as its control calls tell it: drain the trace, prove the discards, mark what is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::axes::Axis;
use abi::control::Control;
use abi::notes;
use abi::timed::burst::{Burst, CALLS as CALLS_A_BURST};
use abi::timed::trace::{CALLS, CallRecord, REPORTS, ReportRecord, call_at, report_at};

use super::pairing::{self, Call};
use super::proof::Prover;
use super::sample::Observer;
use super::stopwatch::Bursts;
use crate::axes::Backing;
use crate::balloon::RingCounts;
use crate::kvm::{Counter, Counts, Exits, Flow, Statistics, TscOffset, idle};
use crate::memory::{GuestRam, Splits, require_huge};
use crate::reclaim::Taken;
use crate::serve::{Server, Service, Stamps};
use crate::trial::{Part, TrialError, processor_time};

/// How long the device thread may take to read its clock after it has acknowledged.
const LAST_STAMP: Duration = Duration::from_secs(1);

/// What the measured part begins or ends with.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) exits: Exits,
    pub(super) cpu: Duration,
    pub(super) statistics: Vec<u64>,
    pub(super) taken: Taken,
    pub(super) stale: u64,
    pub(super) ring: RingCounts,
    pub(super) idles: u64,
    /// How long the kernel had been idle, in nanoseconds of its clock; looked at only where instructions are
    /// counted, and `None` where it does not say.
    pub(super) slept: Option<u64>,
}

/// What the trace of the measured part held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) reports: u64,
    pub(super) ranges: u64,
    pub(super) calls: u64,
    pub(super) disordered: u64,
}

/// Hears the guest, and keeps what the trial leaves.
pub(super) struct Session<'a> {
    pub(super) ram: Arc<GuestRam>,
    pub(super) backing: Backing,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) stamps: Arc<Stamps>,
    /// [`crate::axes::Way::is_stamped`].
    pub(super) stamped: bool,
    pub(super) counts: Arc<Counts>,
    pub(super) counter: Counter,
    pub(super) offset: TscOffset,
    pub(super) statistics: Option<Statistics>,
    pub(super) prover: Prover,
    pub(super) started: Instant,
    pub(super) booted: Duration,
    /// Share of resident guest memory in huge pages, once all of it is there.
    pub(super) huge_share: f64,
    /// First what the kernel had counted when all of guest memory was there, at the end the change.
    pub(super) splits: Option<Splits>,
    pub(super) part: Part<Mark>,
    pub(super) measured: Measured,
    /// The guest is done.
    pub(super) over: bool,
    /// Where the stopwatch is weighed: the bursts by which it is.
    pub(super) bursts: Option<Bursts>,
    pub(super) calls_drained: u64,
    pub(super) reports_drained: u64,
}

impl Session<'_> {
    /// What the guest says, while `server` serves it.
    pub(super) fn control(
        &mut self,
        control: Control,
        exits: &Exits,
        server: &Server,
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
                self.part.begin(self.mark(exits, server)?)?;
                if let Some(bursts) = &mut self.bursts {
                    bursts.forget();
                }
            }
            Control::Drain => self.drain()?,
            Control::Filled => {
                self.drain()?;
                self.prover.filled(&self.ram)?;
            }
            Control::Reported => self.prover.reported(&self.ram)?,
            Control::End => {
                self.drain()?;
                if let Some(bursts) = &mut self.bursts {
                    bursts.begin(None);
                }
                self.part.end(self.mark(exits, server)?)?;
                self.splits = Splits::change_since(self.splits);
            }
            Control::Burst => {
                self.drain()?;
                self.next_burst()?;
                return Ok(Flow::Leave);
            }
            Control::Done => {
                self.drain()?;
                self.over = true;
                return Ok(Flow::Leave);
            }
            Control::Panicked => return Err(TrialError::panicked(&self.ram)),
            Control::Next => return Err(TrialError::Protocol { what: "it asked for a step" }),
            Control::Settled | Control::Parked | Control::Resting => {
                return Err(TrialError::Protocol { what: "it said what only the engine says" });
            }
        }
        Ok(Flow::Resume)
    }

    fn next_burst(&mut self) -> Result<(), TrialError> {
        let kind = Burst::from_number(self.ram.read(notes::BURST)?);
        let (Some(bursts), Some(kind)) = (&mut self.bursts, kind) else {
            return Err(TrialError::Protocol { what: "it began a burst that nobody asked for" });
        };
        bursts.begin(Some(kind));
        Ok(())
    }

    /// Reads the whole trace; what is measured goes to the observer.
    fn drain(&mut self) -> Result<(), TrialError> {
        let calls = self.ram.read(notes::CALLS)?;
        let reports = self.ram.read(notes::REPORTS)?;
        let fits = |now: u64, before: u64, room: u64| now.checked_sub(before).is_some_and(|new| new <= room);
        if !fits(calls, self.calls_drained, CALLS) || !fits(reports, self.reports_drained, REPORTS) {
            return Err(TrialError::Protocol { what: "its trace ran over" });
        }
        self.await_stamps(calls)?;
        while self.reports_drained < reports {
            let report = ReportRecord::from_words(self.words(report_at(self.reports_drained))?);
            self.reports_drained += 1;
            if report.calls > calls - self.calls_drained {
                return Err(TrialError::Protocol { what: "a report has more calls than were made" });
            }
            self.pair(&report)?;
        }
        Ok(())
    }

    fn pair(&mut self, report: &ReportRecord) -> Result<(), TrialError> {
        let first = self.calls_drained;
        self.calls_drained += report.calls;
        if !self.part.is_running() {
            return Ok(());
        }
        let mut error = None;
        let calls = (first..self.calls_drained).map_while(|number| match self.words(call_at(number)) {
            Ok(words) => {
                let host = self.stamped.then(|| self.stamps.get(number));
                Some(Call { guest: CallRecord::from_words(words), host })
            }
            Err(wrong) => {
                error = Some(wrong);
                None
            }
        });
        let sample = pairing::sample(report, calls, self.offset);
        if let Some(error) = error {
            return Err(error);
        }
        let burst = self.bursts.as_ref().and_then(Bursts::running);
        if let (Some(bursts), Some(sample)) = (&mut self.bursts, &sample) {
            bursts.add(sample.total);
        }
        let is_report = burst.is_none_or(|burst| burst == Burst::Once);
        self.measured.reports += u64::from(is_report);
        // The guest's word: any number.
        self.measured.ranges = self.measured.ranges.saturating_add(report.ranges);
        // Calls without a stamp have no record.
        let unstamped = burst.is_some_and(|burst| !burst.is_stamped());
        self.measured.calls += if unstamped { CALLS_A_BURST } else { report.calls };
        match sample {
            Some(sample) if is_report => self.observer.sample(&sample),
            Some(_) => {}
            None => self.measured.disordered += 1,
        }
        Ok(())
    }

    /// Waits until the host's stamps of all calls are there: the guest may be quicker than the device thread.
    fn await_stamps(&self, calls: u64) -> Result<(), TrialError> {
        let deadline = Instant::now() + LAST_STAMP;
        while self.stamped && self.stamps.pushed() < calls {
            if Instant::now() > deadline {
                return Err(TrialError::Protocol { what: "it made more calls than the host has seen" });
            }
            std::hint::spin_loop();
        }
        if self.stamped && self.stamps.pushed() > calls {
            return Err(TrialError::Protocol { what: "the host has seen more calls than it made" });
        }
        Ok(())
    }

    fn words<const N: usize>(&self, at: abi::addr::Gpa) -> Result<[u64; N], TrialError> {
        Ok(self.ram.read_words(at)?)
    }

    fn mark(&self, exits: &Exits, server: &Server) -> Result<Mark, TrialError> {
        let statistics =
            self.statistics.as_ref().map(Statistics::read).transpose().map_err(TrialError::Statistics)?;
        Ok(Mark {
            exits: *exits,
            cpu: processor_time(),
            statistics: statistics.unwrap_or_default(),
            taken: server.with(Service::taken),
            stale: server.with(Service::stale),
            ring: server.with(Service::ring),
            idles: self.counts.idles(),
            slept: if self.counter == Counter::Instructions { idle::slept() } else { None },
        })
    }
}
