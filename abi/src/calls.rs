//! Doorbells, call numbers, the batch page, the step page and the control port.
//!
//! A call is one word plus two registers, the same for every doorbell that exits to the host:
//!
//! | | `vmcall`, `vmmcall` | `out`, MMIO store |
//! |---|---|---|
//! | call number | `rax` = 12, `KVM_HC_MAP_GPA_RANGE` | the port or address itself |
//! | word (operation, count) | `rdx`, the attributes | the value written |
//! | gpa | `rbx` | `rbx` |
//! | pages | `rcx` | `rcx` |
//! | answer | `rax` | [`batch::ANSWER`] |
//!
//! By port or store, registers and answer are only looked at for a carrier that uses them
//! ([`crate::axes::Carrier::uses_registers`]): an empty call or a kick has neither.
//!
//! KVM lets exactly this hypercall through to user space, and only if `gpa` is page-aligned, `pages` is not
//! zero and the range does not wrap (Linux `arch/x86/kvm/x86.c`, `KVM_HC_MAP_GPA_RANGE`); operations that
//! need neither send [`IDLE_GPA`] and [`IDLE_PAGES`]. The attributes are free for the word.
//!
//! A call with [`HYPERCALL_NUMBER_IN_KERNEL`] asks for nothing and never reaches the host's user space: KVM
//! answers 0 in `rax`, or an error if it knows no such call or the guest is not in ring 0.

/// `KVM_HC_MAP_GPA_RANGE`, the one hypercall KVM forwards to user space (`KVM_CAP_EXIT_HYPERCALL`).
pub const HYPERCALL_NUMBER: u64 = 12;
/// `KVM_HC_VAPIC_POLL_IRQ`, a hypercall that KVM answers itself with 0: its only effect is the exit into KVM
/// (Linux `Documentation/virt/kvm/x86/hypercalls.rst`).
pub const HYPERCALL_NUMBER_IN_KERNEL: u64 = 1;
/// Sent as gpa where an operation has none.
pub const IDLE_GPA: u64 = 0;
/// Sent as pages where an operation has none.
pub const IDLE_PAGES: u64 = 1;

/// Port of calls.
pub const CALL_PORT: u16 = 0x510;
/// Port of ring kicks: what [`crate::virtio::mmio::QUEUE_NOTIFY`] is for the MMIO doorbell.
pub const KICK_PORT: u16 = 0x514;
/// Port on which the guest tells its host where it stands: see [`Control`].
pub const CONTROL_PORT: u16 = 0x518;
/// Port on which the guest gives its processor away: the value is how long at the most, in microseconds; 0 lets
/// another thread run and comes back. What a halt with a timer is in a guest that may set one.
pub const IDLE_PORT: u16 = 0x51c;

/// Entries in a batch page, and the largest batch of any transport.
pub const BATCH_CAPACITY: u64 = BATCH_LENGTH as u64;
/// The same, as the length of an array.
pub const BATCH_LENGTH: usize = 511;

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Nothing: come back at once.
    Nothing,
    /// Discard the range in the registers.
    Range,
    /// Discard the first `count` ranges of the batch page at `gpa`.
    Batch {
        /// Entries to read, as the guest says: not yet checked against [`BATCH_CAPACITY`].
        count: u16,
    },
    /// Look at the reporting queue.
    Kick,
}

impl Operation {
    /// The word on the wire: operation in the low half, count in the high half.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Range => 1,
            Self::Batch { count } => 2 | (count as u32) << 16,
            Self::Kick => 3,
        }
    }

    /// The operation a word asks for, or `None` if there is no such one.
    #[must_use]
    pub const fn from_word(word: u32) -> Option<Self> {
        let [low, high, ..] = [word & 0xffff, word >> 16];
        match (low, high) {
            (0, 0) => Some(Self::Nothing),
            (1, 0) => Some(Self::Range),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (2, count) => Some(Self::Batch { count: count as u16 }),
            (3, 0) => Some(Self::Kick),
            _ => None,
        }
    }
}

/// The host's answer to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Acted on; so many of the ranges were refused.
    Done {
        /// Ranges refused.
        refused: u16,
    },
    /// No such operation (`-ENOSYS`).
    NoSuchCall,
    /// More ranges than a batch page holds (`-E2BIG`).
    TooMany,
    /// The batch page is not in memory (`-EFAULT`).
    BadPage,
}

impl Answer {
    /// The answer as a register value.
    #[must_use]
    pub const fn value(self) -> u64 {
        let errno: u64 = match self {
            Self::Done { refused } => return refused as u64,
            Self::NoSuchCall => 38,
            Self::TooMany => 7,
            Self::BadPage => 14,
        };
        errno.wrapping_neg()
    }
}

/// The batch page: a header of one word, then up to [`BATCH_CAPACITY`] entries of one word.
pub mod batch {
    use super::BATCH_CAPACITY;
    use crate::addr::{ByteRange, Gpa, PAGE_SIZE, PageRange, Pfn, RangeError};

    /// Offset of the header: where the answer to a port or MMIO call is stored.
    pub const ANSWER: u64 = 0;
    /// Offset of the first entry.
    pub const ENTRIES: u64 = 8;
    /// Size of an entry.
    pub const ENTRY_SIZE: u64 = 8;

    const _: () = assert!(ENTRIES + BATCH_CAPACITY * ENTRY_SIZE == PAGE_SIZE);

    /// Bits of an entry that hold the number of pages. The frame number has the other 52.
    const PAGES_BITS: u32 = 12;
    const PAGES_MASK: u64 = (1 << PAGES_BITS) - 1;
    /// The most pages an entry can name.
    pub const ENTRY_MAX_PAGES: u64 = PAGES_MASK;

    /// The entry that names a range of at most [`ENTRY_MAX_PAGES`] pages.
    #[must_use]
    pub const fn entry(range: PageRange) -> u64 {
        range.start().0 << PAGES_BITS | range.pages() & PAGES_MASK
    }

    /// The range an entry names.
    ///
    /// # Errors
    /// [`RangeError`], never in fact: 52 bits of frame and 12 of pages always have a length in bytes.
    pub const fn range(entry: u64) -> Result<ByteRange, RangeError> {
        let gpa: Gpa = Pfn(entry >> PAGES_BITS).gpa();
        ByteRange::of_pages(gpa, entry & PAGES_MASK)
    }
}

/// The step page: how the host tells an obeying guest ([`crate::axes::Program::Obey`]) what to do next.
///
/// The guest announces [`Control::Next`]; the host writes a step into the page and resumes it.
pub mod step {
    /// Words in a step: the verb and three arguments.
    pub const WORDS: usize = 4;

    /// What the guest is to do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Step {
        /// Ring the doorbell of the boot words with exactly these values, whatever they mean.
        Call {
            /// The word: operation and count.
            word: u32,
            /// The gpa register.
            gpa: u64,
            /// The pages register.
            pages: u64,
        },
        /// Write `value` to `port`.
        Out {
            /// The port.
            port: u16,
            /// The value.
            value: u32,
        },
        /// Store the 32-bit `value` at `gpa`.
        Store {
            /// The address.
            gpa: u64,
            /// The value.
            value: u32,
        },
        /// Load a 32-bit value from `gpa` into the notes' answer.
        Load {
            /// The address.
            gpa: u64,
        },
        /// Put the time stamp counter into the notes' answer.
        Clock,
        /// Halt until an interrupt has come since the last look.
        Halt,
        /// Execute a run of so many simple instructions.
        Count {
            /// Loop iterations of two instructions.
            iterations: u64,
        },
        /// Execute an undefined instruction with no handler for it: a triple fault.
        TripleFault,
        /// Spin for ever with no exit.
        Hang,
        /// Panic.
        Panic,
    }

    impl Step {
        /// The step as words.
        #[must_use]
        pub const fn words(self) -> [u64; WORDS] {
            match self {
                Self::Call { word, gpa, pages } => [1, word as u64, gpa, pages],
                Self::Out { port, value } => [3, port as u64, value as u64, 0],
                Self::Store { gpa, value } => [4, gpa, value as u64, 0],
                Self::Load { gpa } => [5, gpa, 0, 0],
                Self::Clock => [6, 0, 0, 0],
                Self::Halt => [7, 0, 0, 0],
                Self::Count { iterations } => [8, iterations, 0, 0],
                Self::TripleFault => [9, 0, 0, 0],
                Self::Hang => [10, 0, 0, 0],
                Self::Panic => [11, 0, 0, 0],
            }
        }

        /// The step these words are, if they are one.
        #[must_use]
        pub fn from_words(words: [u64; WORDS]) -> Option<Self> {
            let [verb, a, b, c] = words;
            let low = |value: u64| u32::try_from(value).ok();
            Some(match verb {
                1 => Self::Call { word: low(a)?, gpa: b, pages: c },
                3 => Self::Out { port: u16::try_from(a).ok()?, value: low(b)? },
                4 => Self::Store { gpa: a, value: low(b)? },
                5 => Self::Load { gpa: a },
                6 => Self::Clock,
                7 => Self::Halt,
                8 => Self::Count { iterations: a },
                9 => Self::TripleFault,
                10 => Self::Hang,
                11 => Self::Panic,
                _ => return None,
            })
        }
    }
}

/// What the guest says on the control port. None of these exits is part of a timed report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Up, transport initialised, arena stamped.
    Ready,
    /// The warm-up is over: what follows is measured.
    Begin,
    /// The trace is about to overflow: read it.
    Drain,
    /// Every page of the arena has been written and none is reported: all must be resident.
    Filled,
    /// A batch was reported and acknowledged and has not been touched: compare the ledger with the kernel.
    Reported,
    /// The measured part is over; the trace holds the rest.
    End,
    /// The program is over; the notes are final.
    Done,
    /// Waiting for a step.
    Next,
    /// The payload panicked; the message is in the notes.
    Panicked,
    /// A round of the engine is over, everything was freed, and reporting has settled or been waited for: compare
    /// [`crate::engine::Truth`] with the kernel.
    Settled,
    /// A virtual processor other than the first has nothing left to do.
    Parked,
}

impl Control {
    const ALL: [Self; 11] = [
        Self::Ready,
        Self::Begin,
        Self::Drain,
        Self::Filled,
        Self::Reported,
        Self::End,
        Self::Done,
        Self::Next,
        Self::Panicked,
        Self::Settled,
        Self::Parked,
    ];

    /// The value on the wire.
    #[must_use]
    pub const fn value(self) -> u32 {
        self as u32
    }

    /// What a value says, if anything.
    #[must_use]
    pub fn from_value(value: u32) -> Option<Self> {
        usize::try_from(value).ok().and_then(|at| Self::ALL.get(at)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Order, PageRange, Pfn};

    #[test]
    fn words_round_trip() {
        for operation in
            [Operation::Nothing, Operation::Range, Operation::Batch { count: 511 }, Operation::Kick]
        {
            assert_eq!(Operation::from_word(operation.word()), Some(operation));
        }
        assert_eq!(Operation::from_word(4), None);
        assert_eq!(Operation::from_word(1 | 1 << 16), None, "only a batch has a count");
    }

    #[test]
    fn entries_round_trip() {
        let range = PageRange::block(Pfn(0x12345), Order::MAX);
        assert_eq!(batch::range(batch::entry(range)), Ok(range.as_bytes()));
    }

    #[test]
    fn an_entry_may_wrap_and_is_caught() {
        use crate::addr::RangeError;
        let last_frame_two_pages = u64::MAX << 12 | 2;
        let named = batch::range(last_frame_two_pages).unwrap();
        assert_eq!(named.inward(), Err(RangeError::Wraps));
    }

    #[test]
    fn steps_round_trip() {
        use step::Step;
        for step in [
            Step::Call { word: 7, gpa: 1, pages: 2 },
            Step::Out { port: 9, value: 8 },
            Step::Store { gpa: 4, value: 5 },
            Step::Load { gpa: 6 },
            Step::Clock,
            Step::Halt,
            Step::Count { iterations: 1 },
            Step::TripleFault,
            Step::Hang,
            Step::Panic,
        ] {
            assert_eq!(Step::from_words(step.words()), Some(step));
        }
        assert_eq!(Step::from_words([0; step::WORDS]), None);
    }

    #[test]
    fn controls_round_trip() {
        for control in Control::ALL {
            assert_eq!(Control::from_value(control.value()), Some(control));
        }
        assert_eq!(Control::from_value(11), None);
    }

    #[test]
    fn errors_are_negative_errnos() {
        assert_eq!(Answer::NoSuchCall.value().cast_signed(), -38);
        assert_eq!(Answer::Done { refused: 3 }.value(), 3);
    }
}
