//! The trace of one processor: read as it grows, and paired with what the host stamped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::addr::Gpa;
use abi::layout::NOTES;
use abi::notes;
use abi::timed::company::Own;
use abi::timed::trace::{CALLS, CallRecord, REPORTS, ReportRecord, call_at, report_at};

use super::pairing::{self, Call};
use super::sample::Sample;
use crate::kvm::TscOffset;
use crate::memory::GuestRam;
use crate::serve::Stamps;
use crate::trial::TrialError;

/// How long the device thread may take to read its clock after it has acknowledged.
const LAST_STAMP: Duration = Duration::from_secs(1);

/// What the trace of the measured part held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) reports: u64,
    pub(super) ranges: u64,
    pub(super) calls: u64,
    pub(super) disordered: u64,
}

impl Measured {
    /// Adds a report that was measured, and so many calls.
    pub(super) fn add(&mut self, report: &ReportRecord, calls: u64, sample: Option<&Sample>) {
        self.reports += 1;
        // The guest's word: any number.
        self.ranges = self.ranges.saturating_add(report.ranges);
        self.calls += calls;
        self.disordered += u64::from(sample.is_none());
    }

    /// Adds what others held.
    pub(super) fn sum(self, other: &Self) -> Self {
        Self {
            reports: self.reports + other.reports,
            ranges: self.ranges.saturating_add(other.ranges),
            calls: self.calls + other.calls,
            disordered: self.disordered + other.disordered,
        }
    }
}

/// Reads the trace of one processor.
#[derive(Debug)]
pub(super) struct Stream {
    ram: Arc<GuestRam>,
    own: Own,
    /// Where the host stamps its calls; `None` where it stamps none, or not only its.
    stamps: Option<Arc<Stamps>>,
    offset: TscOffset,
    /// How far it has come, and how much of that was read.
    calls: u64,
    reports: u64,
    calls_read: u64,
    reports_read: u64,
}

impl Stream {
    /// Of a processor that has made no call yet.
    pub(super) const fn new(
        ram: Arc<GuestRam>,
        own: Own,
        stamps: Option<Arc<Stamps>>,
        offset: TscOffset,
    ) -> Self {
        Self { ram, own, stamps, offset, calls: 0, reports: 0, calls_read: 0, reports_read: 0 }
    }

    /// Looks how far it has come, now that it waits for us.
    pub(super) fn look(&mut self) -> Result<(), TrialError> {
        self.calls = self.note(notes::CALLS)?;
        self.reports = self.note(notes::REPORTS)?;
        let fits = |now: u64, before: u64, room: u64| now.checked_sub(before).is_some_and(|new| new <= room);
        if !fits(self.calls, self.calls_read, CALLS) || !fits(self.reports, self.reports_read, REPORTS) {
            return Err(TrialError::Protocol { what: "its trace ran over" });
        }
        self.await_stamps()
    }

    /// The next report up to there, and what both sides' stamps say of it, if they are in order.
    pub(super) fn next(&mut self) -> Result<Option<(ReportRecord, Option<Sample>)>, TrialError> {
        if self.reports_read == self.reports {
            return Ok(None);
        }
        let report = ReportRecord::from_words(self.words(report_at(self.reports_read))?);
        self.reports_read += 1;
        if report.calls > self.calls - self.calls_read {
            return Err(TrialError::Protocol { what: "a report has more calls than were made" });
        }
        let first = self.calls_read;
        self.calls_read += report.calls;
        let mut error = None;
        let calls = (first..self.calls_read).map_while(|number| match self.words(call_at(number)) {
            Ok(words) => {
                let host = self.stamps.as_ref().map(|stamps| stamps.get(number));
                Some(Call { guest: CallRecord::from_words(words), host })
            }
            Err(wrong) => {
                error = Some(wrong);
                None
            }
        });
        let sample = pairing::sample(&report, calls, self.offset);
        error.map_or(Ok(Some((report, sample))), Err)
    }

    /// A note of its.
    pub(super) fn note(&self, at: Gpa) -> Result<u64, TrialError> {
        Ok(self.ram.read(self.own.place(at))?)
    }

    /// It has panicked, and left its last words in its notes.
    pub(super) fn panicked(&self) -> TrialError {
        TrialError::panicked_in(&self.ram, self.own.place(NOTES))
    }

    /// Waits until the host's stamps of all calls are there: the guest may be quicker than the device thread.
    fn await_stamps(&self) -> Result<(), TrialError> {
        let Some(stamps) = &self.stamps else { return Ok(()) };
        let deadline = Instant::now() + LAST_STAMP;
        while stamps.pushed() < self.calls {
            if Instant::now() > deadline {
                return Err(TrialError::Protocol { what: "it made more calls than the host has seen" });
            }
            std::hint::spin_loop();
        }
        if stamps.pushed() > self.calls {
            return Err(TrialError::Protocol { what: "the host has seen more calls than it made" });
        }
        Ok(())
    }

    fn words<const N: usize>(&self, at: Gpa) -> Result<[u64; N], TrialError> {
        Ok(self.ram.read_words(self.own.place(at))?)
    }
}
