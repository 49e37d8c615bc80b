//! One guest's trial, as its control calls tell it: drain the trace, prove the discards, mark what is measured.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abi::calls::Answer;
use abi::control::Control;
use abi::notes;
use abi::timed::trace::{CALLS, CallRecord, REPORTS, ReportRecord, call_at, report_at};

use crate::axes::Backing;
use crate::balloon::Balloon;
use crate::clock::{HostTsc, TscOffset};
use crate::error::{ExitError, TrialError};
use crate::facts::Counter;
use crate::idle;
use crate::pairing::{self, Call};
use crate::processor::{Board, Flow};
use crate::proof::{ProofError, Prover};
use crate::ram::GuestRam;
use crate::reclaim::Taken;
use crate::residency;
use crate::server::Server;
use crate::service::Service;
use crate::stamps::Stamps;
use crate::stats::Statistics;
use crate::transport::{self, Request, lock};
use crate::trial::{Exits, Observer, Refused};

/// How long the device thread may take to read its clock after it has acknowledged.
const LAST_STAMP: Duration = Duration::from_secs(1);

/// What the measured part begins or ends with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) exits: Exits,
    pub(crate) statistics: Vec<u64>,
    pub(crate) taken: Taken,
    /// How long the kernel had been idle, in nanoseconds of its clock; looked at only where instructions are
    /// counted, and `None` where it does not say.
    pub(crate) slept: Option<u64>,
}

/// What the trace of the measured part held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) reports: u64,
    pub(crate) ranges: u64,
    pub(crate) calls: u64,
    pub(crate) disordered: u64,
}

/// Everything a trial's guest can reach, and everything it leaves.
pub(crate) struct Session<'a> {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) backing: Backing,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) server: Server,
    pub(crate) balloon: Arc<Mutex<Balloon>>,
    pub(crate) stamps: Arc<Stamps>,
    /// [`crate::trial::TrialSpec::is_stamped`].
    pub(crate) stamped: bool,
    pub(crate) counter: Counter,
    pub(crate) offset: TscOffset,
    pub(crate) statistics: Option<Statistics>,
    pub(crate) prover: Prover,
    pub(crate) started: Instant,
    pub(crate) booted: Duration,
    pub(crate) begin: Mark,
    pub(crate) end: Mark,
    pub(crate) measured: Measured,
    pub(crate) measuring: bool,
    pub(crate) calls_drained: u64,
    pub(crate) reports_drained: u64,
}

impl Board for Session<'_> {
    type Error = TrialError;

    fn call(&mut self, request: &Request, at: HostTsc) -> Result<Answer, TrialError> {
        self.server.call(request, at)
    }

    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, TrialError> {
        match control {
            Control::Ready => {
                self.booted = self.started.elapsed();
                self.check_backing()?;
            }
            Control::Begin => {
                self.drain()?;
                self.begin = self.mark(exits)?;
                self.measuring = true;
            }
            Control::Drain => self.drain()?,
            Control::Filled => {
                self.drain()?;
                self.prover.filled()?;
            }
            Control::Reported => self.prover.reported(&self.ram)?,
            Control::End => {
                self.drain()?;
                self.measuring = false;
                self.end = self.mark(exits)?;
            }
            Control::Done => {
                self.drain()?;
                return Ok(Flow::Leave);
            }
            Control::Panicked => return Err(TrialError::Panicked { message: panic_message(&self.ram) }),
            Control::Next => return Err(TrialError::Protocol { what: "it asked for a step" }),
            Control::Settled | Control::Parked => {
                return Err(TrialError::Protocol { what: "it said what only the engine says" });
            }
        }
        Ok(Flow::Resume)
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        lock(&self.balloon).read(offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        transport::write(&self.balloon, offset, data);
    }
}

impl Session<'_> {
    /// Every page of the arena has been written: if huge pages were asked for, there must be some by now.
    fn check_backing(&self) -> Result<(), TrialError> {
        if self.backing == Backing::AnonThp {
            let huge = residency::huge_bytes(&self.ram).map_err(ProofError::Pagemap)?;
            if huge == 0 {
                return Err(TrialError::NoHugePages);
            }
        }
        Ok(())
    }

    /// Reads the whole trace; what is measured goes to the observer.
    fn drain(&mut self) -> Result<(), TrialError> {
        let calls = self.ram.read(notes::CALLS).map_err(ExitError::from)?;
        let reports = self.ram.read(notes::REPORTS).map_err(ExitError::from)?;
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
        if !self.measuring {
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
        self.measured.reports += 1;
        // The guest's word: any number.
        self.measured.ranges = self.measured.ranges.saturating_add(report.ranges);
        self.measured.calls += report.calls;
        match sample {
            Some(sample) => self.observer.sample(&sample),
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
        Ok(self.ram.read_words(at).map_err(ExitError::from)?)
    }

    fn mark(&self, exits: &Exits) -> Result<Mark, TrialError> {
        let statistics =
            self.statistics.as_ref().map(Statistics::read).transpose().map_err(TrialError::Statistics)?;
        Ok(Mark {
            exits: *exits,
            statistics: statistics.unwrap_or_default(),
            taken: self.server.with(Service::taken),
            slept: if self.counter == Counter::Instructions { idle::slept() } else { None },
        })
    }

    /// What was refused in the whole trial.
    pub(crate) fn refused(&self) -> Refused {
        self.server.with(Service::refused)
    }
}

/// What the payload left in the notes before it gave up.
pub(crate) fn panic_message(ram: &GuestRam) -> String {
    let length = ram.read(notes::PANIC_LENGTH).unwrap_or(0).min(notes::PANIC_SPACE);
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    match ram.read_bytes(notes::PANIC_TEXT, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => error.to_string(),
    }
}
