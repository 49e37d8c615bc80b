//! Calls by the conventions of other hypervisors: [`abi::calls::xen`] and [`abi::calls::hyperv`].

#![expect(unsafe_code, reason = "a doorbell is an instruction")]

use core::arch::asm;

use abi::calls::{Operation, hyperv, xen};
use abi::layout::{HYPERCALL_OUTPUT, HYPERCALL_PAGE};

use super::Ringer;

macro_rules! xen_call {
    ($name:ident, $instruction:literal) => {
        #[doc = concat!("`", $instruction, "` with Xen's registers.")]
        pub(in crate::bare) struct $name;

        impl Ringer for $name {
            fn ring(word: u32, gpa: u64, pages: u64) -> Option<u64> {
                let answer: u64;
                // SAFETY: the host has made sure that this processor has the instruction and that KVM leaves it to it.
                // KVM keeps all registers but rax.
                unsafe {
                    asm!(
                        $instruction,
                        inout("rax") xen::NUMBER => answer,
                        in("rdi") u64::from(word),
                        in("rsi") gpa,
                        in("rdx") pages,
                        options(nostack),
                    );
                }
                Some(answer)
            }
        }
    };
}

xen_call!(XenVmcall, "vmcall");
xen_call!(XenVmmcall, "vmmcall");

/// A call of the page of code that Hyper-V has put there, whatever its instruction is.
pub(in crate::bare) struct HypervCall;

impl Ringer for HypervCall {
    /// Says who we are and asks for the page. Both are the machine's: every processor asks for the same.
    fn enable() {
        write_msr(hyperv::MSR_GUEST_OS_ID, hyperv::GUEST_OS_ID);
        write_msr(hyperv::MSR_HYPERCALL, HYPERCALL_PAGE.0 | hyperv::HYPERCALL_ENABLE);
    }

    fn ring(word: u32, gpa: u64, _: u64) -> Option<u64> {
        let output = if word == Operation::Nothing.word() { HYPERCALL_OUTPUT.0 } else { 0 };
        let result: u64;
        // SAFETY: `enable` has put code there that makes the call and returns. It keeps what the convention has kept:
        // everything but these.
        unsafe {
            asm!(
                "call {page}",
                page = in(reg) HYPERCALL_PAGE.0,
                inout("rcx") hyperv::control(word) => _,
                inout("rdx") gpa => _,
                inout("r8") output => _,
                out("rax") result,
                out("r9") _,
                out("r10") _,
                out("r11") _,
            );
        }
        Some(result)
    }
}

fn write_msr(register: u32, value: u64) {
    let [low, high] = [value & 0xffff_ffff, value >> 32];
    // SAFETY: this is ring 0, as the host has seen to, and these registers change what a call does and no memory but the
    // page of code, where nothing else lies.
    unsafe { asm!("wrmsr", in("ecx") register, in("rax") low, in("rdx") high, options(nostack)) }
}
