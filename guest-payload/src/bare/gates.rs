//! Interrupts: the gate that counts them, and the gate that halts for a payload in ring 3.
//!
//! The processor's registers are set by the host; the tables they point to are ours to fill, and so is the
//! code. Both gates run in ring 0 on stacks of their own (IST), because code compiled for the host's target
//! may keep data below its stack pointer.

use core::arch::naked_asm;

use abi::layout::{IDT, INTERRUPT_VECTOR, KERNEL_CODE};
use abi::notes;

use super::machine::store_word;

/// The fault `hlt` raises in ring 3: general protection.
const GENERAL_PROTECTION: u64 = 13;
/// End of interrupt, as an x2APIC register.
const X2APIC_EOI: u32 = 0x80b;

/// Vectors of the processor's own exceptions.
const EXCEPTIONS: u64 = 32;
/// An interrupt gate that is not present. An entry of zeroes would not do: its type is invalid, which is general
/// protection (Intel SDM volume 3, 6.12.1), and for that there is a gate.
const ABSENT: u64 = 0x0e00 << 32;

/// Points the interrupt and the general protection vectors at their gates; those of all other exceptions are
/// absent, so that any other fault shuts the processor down where it happened.
pub(super) fn install() {
    for vector in 0..EXCEPTIONS {
        store_word(IDT.offset(vector * 16), ABSENT);
    }
    set(INTERRUPT_VECTOR, interrupt as *const () as u64, 1);
    set(GENERAL_PROTECTION, halt_for_ring3 as *const () as u64, 2);
}

/// Writes a 64-bit interrupt gate (Intel SDM volume 3, 6.14.1): present, usable from ring 3, interrupts off.
fn set(vector: u64, handler: u64, stack: u64) {
    let low = handler & 0xffff
        | u64::from(KERNEL_CODE) << 16
        | stack << 32
        | 0xee00 << 32
        | (handler >> 16 & 0xffff) << 48;
    store_word(IDT.offset(vector * 16), low);
    store_word(IDT.offset(vector * 16 + 8), handler >> 32);
}

/// Counts an interrupt and acknowledges it to the local APIC.
#[unsafe(naked)]
extern "C" fn interrupt() {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "inc qword ptr [{counter}]",
        "mov ecx, {eoi}",
        "xor eax, eax",
        "xor edx, edx",
        "wrmsr",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "iretq",
        counter = const notes::INTERRUPTS.0,
        eoi = const X2APIC_EOI,
    )
}

/// Halts in the place of a payload in ring 3 that executed `hlt`, unless an interrupt has come since it last
/// looked, and skips the instruction. Any other fault is not ours: it becomes a shutdown at its address.
#[unsafe(naked)]
extern "C" fn halt_for_ring3() {
    naked_asm!(
        "add rsp, 8", // The error code.
        "push rax",
        "mov rax, [rsp + 8]",
        "cmp byte ptr [rax], 0xf4", // `hlt`
        "jne 3f",
        "mov rax, [{counter}]",
        "cmp rax, [{seen}]",
        "jne 2f",
        "sti",
        "hlt",
        "cli",
        "2: inc qword ptr [rsp + 8]",
        "pop rax",
        "iretq",
        "3: ud2",
        counter = const notes::INTERRUPTS.0,
        seen = const notes::INTERRUPTS_SEEN.0,
    )
}
