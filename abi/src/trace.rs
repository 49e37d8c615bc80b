//! What the guest leaves for the host to read: the trace, the ledger and the notes.
//!
//! All of it is written by the guest outside the instructions it times and read by the host outside the exits
//! it times. The trace is two rings of records, indexed by running numbers that never wrap in practice; the
//! guest asks to be drained ([`crate::calls::Control::Drain`]) before either would overflow. One *call* is one
//! ring of the doorbell with its ranges; one *report* is a batch, in one call or many.

use crate::addr::Gpa;
use crate::layout;

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
const _: () = assert!(crate::calls::BATCH_CAPACITY <= CALLS);

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

/// The ledger: for every page of the arena, whether the guest has it reported and not taken back, and whether
/// it ever reported it.
///
/// The guest keeps it without looking at the transport, the host compares it with what the kernel says is
/// resident: two witnesses that share no code.
pub mod ledger {
    use crate::addr::{Gpa, Pfn};
    use crate::layout::{ARENA_MAX_PAGES, ARENA_START, LEDGER, LEDGER_END};

    /// Frames whose bits share a word.
    pub const FRAMES_PER_WORD: u64 = 64;
    /// Bytes from a word of the ledger to the word of the history for the same frames.
    const HISTORY: u64 = ARENA_MAX_PAGES / 8;
    const _: () = assert!(LEDGER.0 + 2 * HISTORY <= LEDGER_END.0);

    /// Where a frame's bit is.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Bit {
        /// The word.
        pub word: Gpa,
        /// The bit in it.
        pub mask: u64,
    }

    /// Set while `pfn`, a frame of the arena, is reported and not taken back.
    #[must_use]
    pub const fn reported(pfn: Pfn) -> Bit {
        let index = pfn.0 - ARENA_START.0;
        Bit { word: LEDGER.offset(index / FRAMES_PER_WORD * 8), mask: 1 << (index % FRAMES_PER_WORD) }
    }

    /// Set once `pfn`, a frame of the arena, has been reported.
    #[must_use]
    pub const fn ever_reported(pfn: Pfn) -> Bit {
        let Bit { word, mask } = reported(pfn);
        Bit { word: word.offset(HISTORY), mask }
    }
}

/// What can be wrong with memory or with an acknowledgement, as the guest finds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Violation {
    /// A page that was never reported lost its stamp.
    UnreportedLost,
    /// A page that was acknowledged and taken back lost what was written to it since.
    ReusedLost,
    /// A page that should have been discarded still holds what it held.
    StillThere,
    /// A page holds neither what it held nor zeroes.
    Scrambled,
    /// The doorbell returned and the used ring had not moved.
    Unacknowledged,
    /// The used ring moved by more than the one chain in flight.
    UsedAhead,
    /// The used ring names another chain, or claims bytes were written.
    UsedWrong,
    /// An allocation was given a page of a report that was not acknowledged yet.
    HandedOutInFlight,
    /// A page was reported that was not taken off its free list.
    NotIsolated,
    /// A block was marked as reported that had been written to since.
    StaleMark,
    /// A page was handed out that was in use already.
    HandedOutTwice,
    /// The allocator's counts, lists and page states disagree, or a page is missing.
    Accounts,
}

impl Violation {
    /// Every kind, in the order of the counters in the notes.
    pub const ALL: [Self; 12] = [
        Self::UnreportedLost,
        Self::ReusedLost,
        Self::StillThere,
        Self::Scrambled,
        Self::Unacknowledged,
        Self::UsedAhead,
        Self::UsedWrong,
        Self::HandedOutInFlight,
        Self::NotIsolated,
        Self::StaleMark,
        Self::HandedOutTwice,
        Self::Accounts,
    ];

    /// What it is called in result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnreportedLost => "unreported-lost",
            Self::ReusedLost => "reused-lost",
            Self::StillThere => "still-there",
            Self::Scrambled => "scrambled",
            Self::Unacknowledged => "unacknowledged",
            Self::UsedAhead => "used-ahead",
            Self::UsedWrong => "used-wrong",
            Self::HandedOutInFlight => "handed-out-in-flight",
            Self::NotIsolated => "not-isolated",
            Self::StaleMark => "stale-mark",
            Self::HandedOutTwice => "handed-out-twice",
            Self::Accounts => "accounts",
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UnreportedLost => "a page that was never reported lost its contents",
            Self::ReusedLost => "a page taken back after its acknowledgement lost what was written since",
            Self::StillThere => "a reported page still held its old contents after the acknowledgement",
            Self::Scrambled => "a reported page held neither what it held before nor what a discard leaves",
            Self::Unacknowledged => "the doorbell returned without an acknowledgement",
            Self::UsedAhead => "the used index moved by more than the one chain in flight",
            Self::UsedWrong => "the used ring named a wrong chain or a length other than 0",
            Self::HandedOutInFlight => "an allocation was given a page whose report was not acknowledged yet",
            Self::NotIsolated => "a page was reported that was not taken off its free list",
            Self::StaleMark => "a block was marked as reported that had been written to since",
            Self::HandedOutTwice => "a page was handed out that was in use already",
            Self::Accounts => "the allocator's counts, lists and page states disagree",
        }
    }
}

/// The notes page: words the guest keeps about itself.
pub mod notes {
    use super::Violation;
    use crate::addr::Gpa;
    use crate::layout::NOTES;

    const fn word(index: u64) -> Gpa {
        NOTES.offset(index * 8)
    }

    /// Calls made since the start.
    pub const CALLS: Gpa = word(0);
    /// Reports made since the start.
    pub const REPORTS: Gpa = word(1);
    /// Ranges that answers said were refused, or calls that were answered with an error; by the host, or by
    /// KVM if the host never saw the call.
    pub const REFUSED: Gpa = word(2);
    /// [`crate::digest::Digest::sum`] of what was reported.
    pub const DIGEST_SUM: Gpa = word(3);
    /// [`crate::digest::Digest::pages`] of what was reported.
    pub const DIGEST_PAGES: Gpa = word(4);
    /// Pages whose contents were checked.
    pub const CHECKED: Gpa = word(5);
    /// What the last step of an obeying guest found.
    pub const ANSWER: Gpa = word(6);
    /// Interrupts taken.
    pub const INTERRUPTS: Gpa = word(7);
    /// Interrupts taken when the guest last looked before halting.
    pub const INTERRUPTS_SEEN: Gpa = word(8);
    /// Frame of the first page found wrong, and the report it was found in.
    pub const FIRST_WRONG: [Gpa; 2] = [word(9), word(10)];
    /// Length of the panic message.
    pub const PANIC_LENGTH: Gpa = word(30);
    const _: () = assert!(16 + Violation::ALL.len() <= 30);
    /// The panic message, UTF-8.
    pub const PANIC_TEXT: Gpa = word(32);
    /// Space for the panic message, in bytes.
    pub const PANIC_SPACE: u64 = 512;

    /// How often `violation` was found.
    #[must_use]
    pub const fn violations(violation: Violation) -> Gpa {
        word(16 + violation as u64)
    }
}
