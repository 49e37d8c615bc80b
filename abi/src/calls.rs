//! Calls: the doorbells, and what a guest says with one.
//!
//! A call is one word plus two registers, the same for every doorbell that exits to the host:
//!
//! | | `vmcall`, `vmmcall` | `out`, MMIO store |
//! |---|---|---|
//! | call number | `rax` = 12, `KVM_HC_MAP_GPA_RANGE` | the port or address itself |
//! | word (operation, count) | `rdx`, the attributes | the value written |
//! | gpa | `rbx` | `rbx` |
//! | pages | `rcx` | `rcx` |
//! | answer | `rax` | [`crate::wire::page::ANSWER`] |
//!
//! By port or store, registers and answer are only looked at for a carrier that uses them
//! ([`crate::axes::Carrier::uses_registers`]): an empty call or a kick has neither.
//!
//! KVM lets exactly this hypercall through to user space, and only if `gpa` is page-aligned, `pages` is not
//! zero and the range does not wrap (Linux `arch/x86/kvm/x86.c`, `KVM_HC_MAP_GPA_RANGE`); operations that
//! need neither send [`IDLE_GPA`] and [`IDLE_PAGES`]. The attributes are free for the word.
//!
//! The conventions of other hypervisors have registers of their own: [`xen`] and [`hyperv`].
//!
//! A call with [`HYPERCALL_NUMBER_IN_KERNEL`] asks for nothing and never reaches the host's user space: KVM
//! answers 0 in `rax`, or an error if it knows no such call or the guest is not in ring 0.

pub mod hyperv;
pub mod xen;

/// `KVM_HC_MAP_GPA_RANGE`, the one hypercall KVM forwards to user space (`KVM_CAP_EXIT_HYPERCALL`).
pub const HYPERCALL_NUMBER: u64 = 12;
/// `KVM_HC_VAPIC_POLL_IRQ`, a hypercall that KVM answers itself with 0: its only effect is the exit into KVM
/// (Linux `Documentation/virt/kvm/x86/hypercalls.rst`).
pub const HYPERCALL_NUMBER_IN_KERNEL: u64 = 1;
/// The number of the module kvmhint (`host/kernel/kvmhint.c`), which serves calls inside KVM: [`Operation::Nothing`],
/// [`Operation::Range`] and [`Operation::Batch`], with the same registers and answers. Without it KVM answers that it
/// knows no such call.
pub const HYPERCALL_NUMBER_MODULE: u64 = 0x5048;
/// Hyper-V's call that names pages the guest does not need (`HV_EXT_CALL_MEMORY_HEAT_HINT`): see
/// [`crate::wire::heat_hint`].
pub const MEMORY_HEAT_HINT: u16 = 0x8003;
/// Sent as gpa where an operation has none.
pub const IDLE_GPA: u64 = 0;
/// Sent as pages where an operation has none.
pub const IDLE_PAGES: u64 = 1;

/// Port of calls.
pub const CALL_PORT: u16 = 0x510;
/// Port of ring kicks: what [`crate::wire::virtio::mmio::QUEUE_NOTIFY`] is for the MMIO doorbell.
pub const KICK_PORT: u16 = 0x514;
/// Port to which ranges are written: see [`crate::wire::store`].
pub const STORE_PORT: u16 = 0x520;

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Nothing: come back at once.
    Nothing,
    /// Discard the range in the registers.
    Range,
    /// Discard the first `count` ranges of the batch page at `gpa`.
    Batch {
        /// Entries to read, as the guest says: not yet checked against [`crate::wire::page::BATCH_CAPACITY`].
        count: u16,
    },
    /// Look at the reporting queue.
    Kick,
    /// Act on the range that was written: see [`crate::wire::store`]. What was written takes the place of the gpa. The
    /// host makes this call of a write that exits; whoever makes it himself gets the same.
    Store,
    /// Act on the first `count` entries of the log at `gpa`.
    Log {
        /// Entries to read, as the guest says: not yet checked against [`crate::wire::log::CAPACITY`].
        count: u16,
    },
    /// Act on the request in this processor's request page ([`crate::wire::request`]).
    Request,
    /// Discard the first `count` frames of the status page at `gpa` ([`crate::wire::status`]).
    Status {
        /// Entries to read, as the guest says: not yet checked against [`crate::wire::status::CAPACITY`].
        count: u16,
        /// Whether each is 2 MiB long; else 4 KiB.
        huge: bool,
    },
    /// The request page of this processor has `gpa` for the lower (`pages` 0) or upper half of its address: what a
    /// store to [`crate::layout::REQUEST_PAGE`] says.
    Place,
    /// Look at one of the balloon's queues.
    Queue {
        /// Its number.
        queue: u16,
    },
    /// The range in the registers is about to be reported over the ring: without this the host would not take it.
    Announce,
    /// Discard what the first `count` hints of the page at `gpa` name ([`crate::wire::heat_hint`]).
    HeatHint {
        /// Entries to read, as the guest says.
        count: u16,
    },
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
            Self::Store => 5,
            Self::Log { count } => 4 | (count as u32) << 16,
            Self::Request => 16,
            Self::Status { count, huge: false } => 17 | (count as u32) << 16,
            Self::Status { count, huge: true } => 18 | (count as u32) << 16,
            Self::Place => 19,
            Self::Queue { queue } => 20 | (queue as u32) << 16,
            Self::Announce => 21,
            Self::HeatHint { count } => MEMORY_HEAT_HINT as u32 | (count as u32) << 16,
        }
    }

    /// The operation a word asks for, or `None` if there is no such one.
    #[must_use]
    #[inline]
    pub const fn from_word(word: u32) -> Option<Self> {
        let [low, high, ..] = [word & 0xffff, word >> 16];
        match (low, high) {
            (0, 0) => Some(Self::Nothing),
            (1, 0) => Some(Self::Range),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (2, count) => Some(Self::Batch { count: count as u16 }),
            (3, 0) => Some(Self::Kick),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (4, count) => Some(Self::Log { count: count as u16 }),
            (5, 0) => Some(Self::Store),
            (16, 0) => Some(Self::Request),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (17 | 18, count) => Some(Self::Status { count: count as u16, huge: low == 18 }),
            (19, 0) => Some(Self::Place),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (20, queue) => Some(Self::Queue { queue: queue as u16 }),
            (21, 0) => Some(Self::Announce),
            #[expect(clippy::cast_possible_truncation, reason = "shifted down to 16 bits")]
            (code, count) if code == MEMORY_HEAT_HINT as u32 => Some(Self::HeatHint { count: count as u16 }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for operation in [
            Operation::Nothing,
            Operation::Range,
            Operation::Batch { count: 511 },
            Operation::Kick,
            Operation::Log { count: 511 },
            Operation::Store,
            Operation::Request,
            Operation::Status { count: 512, huge: false },
            Operation::Status { count: 1, huge: true },
            Operation::Place,
            Operation::Queue { queue: 1 },
            Operation::Announce,
        ] {
            assert_eq!(Operation::from_word(operation.word()), Some(operation));
        }
        assert_eq!(Operation::from_word(6), None);
        assert_eq!(Operation::from_word(1 | 1 << 16), None, "only what is in a page has a count");
    }

    #[test]
    fn errors_are_negative_errnos() {
        assert_eq!(Answer::NoSuchCall.value().cast_signed(), -38);
        assert_eq!(Answer::Done { refused: 3 }.value(), 3);
    }
}
