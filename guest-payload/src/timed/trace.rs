//! Leaves time stamps for the host: see [`abi::timed::trace`].

use abi::addr::Gpa;
use abi::control::Control;
use abi::notes;
use abi::timed::trace::{CALLS, CallRecord, REPORTS, ReportRecord, call_at, report_at};

use crate::metal::Metal;

/// The writing end of the trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    calls: u64,
    reports: u64,
    calls_drained: u64,
    reports_drained: u64,
}

impl Trace {
    /// Makes room for so many more reports of up to `calls` calls in all, by asking the host to drain if there is none.
    pub fn reserve(&mut self, metal: &mut impl Metal, calls: u64, reports: u64) {
        if self.calls - self.calls_drained + calls > CALLS
            || self.reports - self.reports_drained + reports > REPORTS
        {
            self.hand_over(metal, Control::Drain);
        }
    }

    /// Tells the host `control`, one of those on which it reads the whole trace.
    pub fn hand_over(&mut self, metal: &mut impl Metal, control: Control) {
        metal.store(notes::CALLS, self.calls);
        metal.store(notes::REPORTS, self.reports);
        metal.control(control);
        self.calls_drained = self.calls;
        self.reports_drained = self.reports;
    }

    /// Records a call.
    pub fn call(&mut self, metal: &mut impl Metal, record: CallRecord) {
        store(metal, call_at(self.calls), &record.to_words());
        self.calls += 1;
    }

    /// Records a report.
    pub fn report(&mut self, metal: &mut impl Metal, record: ReportRecord) {
        store(metal, report_at(self.reports), &record.to_words());
        self.reports += 1;
    }

    /// Reports so far.
    #[must_use]
    pub const fn reports(&self) -> u64 {
        self.reports
    }
}

fn store(metal: &mut impl Metal, at: Gpa, words: &[u64]) {
    let mut at = at;
    for word in words {
        metal.store(at, *word);
        at = at.offset(8);
    }
}
