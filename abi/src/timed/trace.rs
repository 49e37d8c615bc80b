//! The trace: the guest's time stamps of every call and report.
//!
//! The guest writes it outside the instructions it times, the host reads it outside the exits it times. It is two
//! rings of records, indexed by running numbers that never wrap in practice; the guest asks to be drained
//! ([`crate::control::Control::Drain`]) before either would overflow. One *call* is one ring of the doorbell with its
//! ranges; one *report* is a batch, in one call or many.

use crate::addr::Gpa;
use crate::layout;
use crate::wire::page::BATCH_CAPACITY;

/// Call records the trace holds.
pub const CALLS: u64 = 4096;
/// Words in a call record: time stamps `prepared`, `notified`, `acknowledged`.
pub const CALL_WORDS: usize = 3;
/// Report records the trace holds.
pub const REPORTS: u64 = 1024;
/// Words in a report record: see [`ReportRecord`].
pub const REPORT_WORDS: usize = 6;

const WORD: u64 = 8;

const _: () = assert!(layout::TRACE_CALLS.0 + CALLS * CALL_WORDS as u64 * WORD <= layout::TRACE_REPORTS.0);
const _: () = assert!(layout::TRACE_REPORTS.0 + REPORTS * REPORT_WORDS as u64 * WORD <= layout::LEDGER.0);
// A report of the largest batch, a call a range, must fit in an empty trace.
const _: () = assert!(BATCH_CAPACITY <= CALLS);

/// Where the record of call number `call` is.
#[must_use]
pub const fn call_at(call: u64) -> Gpa {
    layout::TRACE_CALLS.offset(call % CALLS * CALL_WORDS as u64 * WORD)
}

/// Where the record of report number `report` is.
#[must_use]
pub const fn report_at(report: u64) -> Gpa {
    layout::TRACE_REPORTS.offset(report % REPORTS * REPORT_WORDS as u64 * WORD)
}

/// The guest's stamps of one call, in ticks of its time stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallRecord {
    /// The ranges are in the carrier; the doorbell instruction comes next.
    pub prepared: u64,
    /// The doorbell instruction is over.
    pub notified: u64,
    /// The acknowledgement was seen.
    pub acknowledged: u64,
}

impl CallRecord {
    /// As words.
    #[must_use]
    pub const fn to_words(self) -> [u64; CALL_WORDS] {
        [self.prepared, self.notified, self.acknowledged]
    }

    /// From words; any will do.
    #[must_use]
    pub const fn from_words([prepared, notified, acknowledged]: [u64; CALL_WORDS]) -> Self {
        Self { prepared, notified, acknowledged }
    }
}

/// The guest's record of one report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportRecord {
    /// Time stamp before the first call.
    pub begun: u64,
    /// Calls it took.
    pub calls: u64,
    /// Ranges in it.
    pub ranges: u64,
    /// Ticks to touch every reported page once, after the acknowledgement.
    pub touch: u64,
    /// Ticks to touch them all once more, now resident.
    pub retouch: u64,
    /// Time stamp after the acknowledgement of the last call.
    pub ended: u64,
}

impl ReportRecord {
    /// As words.
    #[must_use]
    pub const fn to_words(self) -> [u64; REPORT_WORDS] {
        [self.begun, self.calls, self.ranges, self.touch, self.retouch, self.ended]
    }

    /// From words; any will do.
    #[must_use]
    pub const fn from_words(words: [u64; REPORT_WORDS]) -> Self {
        let [begun, calls, ranges, touch, retouch, ended] = words;
        Self { begun, calls, ranges, touch, retouch, ended }
    }
}
