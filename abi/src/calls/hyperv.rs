//! Calls by Hyper-V's convention, of which KVM leaves the extended ones to user space, from ring 0
//! (Linux `arch/x86/kvm/hyperv.c`, `HV_EXT_CALL_QUERY_CAPABILITIES` to `HV_EXT_CALL_MAX`, 6.3 and later).
//!
//! | register | what |
//! |---|---|
//! | `rcx` | the control word: the call's code, and how many entries its input has |
//! | `rdx`, `r8` | guest physical address of the input, of the output |
//! | `rax` | the result: a status, and how many entries were looked at |
//!
//! The guest calls a page of code that the hypervisor has put where the guest asked for it. Register layouts are those of
//! the Hypervisor Top Level Functional Specification 6.0b, 3; codes and formats those of Linux
//! `include/asm-generic/hyperv-tlfs.h` (6.12).

use super::{Answer, MEMORY_HEAT_HINT, Operation};

/// Where the guest says who it is (`HV_X64_MSR_GUEST_OS_ID`). Until then there are no calls.
pub const MSR_GUEST_OS_ID: u32 = 0x4000_0000;
/// Where it asks for the page of code (`HV_X64_MSR_HYPERCALL`).
pub const MSR_HYPERCALL: u32 = 0x4000_0001;
/// In that register: the page is wanted.
pub const HYPERCALL_ENABLE: u64 = 1;
/// Who our guest is: open source (bit 63), of no kind that has a number (bits 56 to 62).
pub const GUEST_OS_ID: u64 = 0xff << 56 | 1;

/// What the hypervisor can do of these (`HV_EXT_CALL_QUERY_CAPABILITIES`): our empty call.
pub const QUERY_CAPABILITIES: u16 = 0x8001;
/// Among the capabilities: it takes hints that memory may be discarded (`HV_EXT_CAPABILITY_MEMORY_COLD_DISCARD_HINT`).
pub const COLD_DISCARD: u64 = 1 << 8;

/// In a control word and in a result: where the number of entries begins.
const COUNT_SHIFT: u32 = 32;
/// It has twelve bits.
const COUNT_MASK: u64 = 0xfff;

/// The control word of a call that means `word`.
#[must_use]
pub const fn control(word: u32) -> u64 {
    if word == Operation::Nothing.word() {
        return QUERY_CAPABILITIES as u64;
    }
    (word as u64 & 0xffff) | (word as u64 >> 16) << COUNT_SHIFT
}

/// What a control word means as a call of ours; a word that means nothing for every other.
#[must_use]
pub const fn word(control: u64) -> u32 {
    let (code, count) = (control & 0xffff, control >> COUNT_SHIFT & COUNT_MASK);
    if code | count << COUNT_SHIFT != control {
        // A call in registers, with a header of variable length, or gone on with after an interruption.
        return u32::MAX;
    }
    match (code, count) {
        (code, 0) if code == QUERY_CAPABILITIES as u64 => Operation::Nothing.word(),
        #[expect(clippy::cast_possible_truncation, reason = "a code has 16 bits and a count twelve")]
        (code, count) if code == MEMORY_HEAT_HINT as u64 => (code | count << 16) as u32,
        _ => u32::MAX,
    }
}

/// `HV_STATUS_INVALID_HYPERCALL_CODE`.
const INVALID_CODE: u64 = 2;
/// `HV_STATUS_INVALID_HYPERCALL_INPUT`.
const INVALID_INPUT: u64 = 3;
/// `HV_STATUS_INVALID_ALIGNMENT`.
const INVALID_ALIGNMENT: u64 = 4;
/// `HV_STATUS_INVALID_PARAMETER`.
const INVALID_PARAMETER: u64 = 5;

/// The result that says so. All entries of a hint are looked at, those after a bad one too.
#[must_use]
pub const fn result(answer: Answer, control: u64) -> u64 {
    match answer {
        Answer::Done { refused: 0 } => control & COUNT_MASK << COUNT_SHIFT,
        Answer::Done { .. } => INVALID_PARAMETER | control & COUNT_MASK << COUNT_SHIFT,
        Answer::NoSuchCall => INVALID_CODE,
        Answer::TooMany => INVALID_INPUT,
        Answer::BadPage => INVALID_ALIGNMENT,
    }
}

/// Whether a result is that of a call that was done as asked (`HV_STATUS_SUCCESS`).
#[must_use]
pub const fn is_success(result: u64) -> bool {
    result & 0xffff == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_is_heard() {
        for operation in
            [Operation::Nothing, Operation::HeatHint { count: 0 }, Operation::HeatHint { count: 511 }]
        {
            assert_eq!(word(control(operation.word())), operation.word());
        }
        assert_eq!(control(Operation::HeatHint { count: 3 }.word()), 0x3_0000_8003);
    }

    #[test]
    fn what_is_none_of_ours_means_nothing() {
        let hint = control(Operation::HeatHint { count: 3 }.word());
        for odd in [1 << 16, 1 << 17, 1 << 27, 1 << 44, 1 << 48, 1 << 60] {
            assert_eq!(word(hint | odd), u32::MAX, "{odd:#x}");
        }
        for control in [0, 2, 0x8000, 0x8002, 0x8004, 0x8001 | 1 << 32] {
            assert_eq!(word(control), u32::MAX, "{control:#x}");
        }
    }

    #[test]
    fn a_result_has_the_entries_of_the_call() {
        let hint = control(Operation::HeatHint { count: 3 }.word());
        assert_eq!(result(Answer::Done { refused: 0 }, hint), 3 << 32);
        assert!(is_success(result(Answer::Done { refused: 0 }, hint)));
        for answer in [Answer::Done { refused: 1 }, Answer::NoSuchCall, Answer::TooMany, Answer::BadPage] {
            assert!(!is_success(result(answer, hint)), "{answer:?}");
        }
    }
}
