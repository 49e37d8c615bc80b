//! The doorbells: one instruction each. The registers are those of [`abi::calls`].

#![expect(unsafe_code, reason = "a doorbell is an instruction")]

use core::arch::asm;

use abi::calls::{
    CALL_PORT, HYPERCALL_NUMBER, HYPERCALL_NUMBER_IN_KERNEL, HYPERCALL_NUMBER_MODULE, KICK_PORT, STORE_PORT,
};
use abi::layout::{CALL_MMIO, STORE_MMIO, VIRTIO_MMIO};
use abi::wire::virtio::balloon::REPORTING_QUEUE;
use abi::wire::virtio::mmio::QUEUE_NOTIFY;

mod foreign;

pub(super) use foreign::{HypervCall, XenVmcall, XenVmmcall};

/// Rings one kind of doorbell.
pub(super) trait Ringer {
    /// Does what has to be done on a processor before it rings.
    fn enable() {}

    /// Rings it; returns the answer if it comes in a register.
    fn ring(word: u32, gpa: u64, pages: u64) -> Option<u64>;
}

// `rbx` cannot be named as an operand, so that it is exchanged in and out around the instruction. The compiler
// may still choose it for an unnamed one: everything but `gpa`, which is what is exchanged, is in a named
// register.
macro_rules! hypercall {
    ($name:ident, $instruction:literal, $number:ident) => {
        #[doc = concat!("`", $instruction, "` with [`", stringify!($number), "`].")]
        pub(super) struct $name;

        impl Ringer for $name {
            fn ring(word: u32, gpa: u64, pages: u64) -> Option<u64> {
                let answer: u64;
                // SAFETY: the host has made sure that this processor has the instruction and that KVM answers
                // it. KVM keeps all registers but rax.
                unsafe {
                    asm!(
                        "xchg rbx, {gpa}",
                        $instruction,
                        "xchg rbx, {gpa}",
                        gpa = inout(reg) gpa => _,
                        inout("rax") $number => answer,
                        in("rcx") pages,
                        in("rdx") u64::from(word),
                        options(nostack),
                    );
                }
                Some(answer)
            }
        }
    };
}

hypercall!(Vmcall, "vmcall", HYPERCALL_NUMBER);
hypercall!(Vmmcall, "vmmcall", HYPERCALL_NUMBER);
hypercall!(VmcallToKernel, "vmcall", HYPERCALL_NUMBER_IN_KERNEL);
hypercall!(VmmcallToKernel, "vmmcall", HYPERCALL_NUMBER_IN_KERNEL);
hypercall!(VmcallToModule, "vmcall", HYPERCALL_NUMBER_MODULE);
hypercall!(VmmcallToModule, "vmmcall", HYPERCALL_NUMBER_MODULE);

/// `out` to the call port.
pub(super) struct CallPort;

impl Ringer for CallPort {
    fn ring(word: u32, gpa: u64, pages: u64) -> Option<u64> {
        // SAFETY: the host allows every port and keeps all registers.
        unsafe {
            asm!(
                "xchg rbx, {gpa}",
                "out dx, eax",
                "xchg rbx, {gpa}",
                gpa = inout(reg) gpa => _,
                in("eax") word,
                in("rcx") pages,
                in("dx") CALL_PORT,
                options(nostack),
            );
        }
        None
    }
}

/// A store to the call register.
pub(super) struct CallStore;

impl Ringer for CallStore {
    fn ring(word: u32, gpa: u64, pages: u64) -> Option<u64> {
        // SAFETY: the address is mapped, has no memory behind it, and the host keeps all registers.
        unsafe {
            asm!(
                "xchg rbx, {gpa}",
                "mov [rdx], eax",
                "xchg rbx, {gpa}",
                gpa = inout(reg) gpa => _,
                in("rdx") CALL_MMIO.0,
                in("eax") word,
                in("rcx") pages,
                options(nostack),
            );
        }
        None
    }
}

/// `out` of the queue's number to the kick port.
pub(super) struct KickPort;

impl Ringer for KickPort {
    fn ring(_: u32, _: u64, _: u64) -> Option<u64> {
        // SAFETY: the host allows every port.
        unsafe {
            asm!("out dx, eax", in("eax") u32::from(REPORTING_QUEUE), in("dx") KICK_PORT, options(nostack));
        }
        None
    }
}

/// A store of the queue's number to the device's notify register.
pub(super) struct NotifyRegister;

impl Ringer for NotifyRegister {
    fn ring(_: u32, _: u64, _: u64) -> Option<u64> {
        // SAFETY: the address is mapped and has no memory behind it.
        unsafe {
            asm!(
                "mov [{at}], {queue:e}",
                at = in(reg) VIRTIO_MMIO.0 + QUEUE_NOTIFY,
                queue = in(reg) u32::from(REPORTING_QUEUE),
                options(nostack),
            );
        }
        None
    }
}

/// The same of whichever queue the word says.
pub(super) struct NotifyQueue;

impl Ringer for NotifyQueue {
    fn ring(word: u32, _: u64, _: u64) -> Option<u64> {
        // SAFETY: the address is mapped and has no memory behind it.
        unsafe {
            asm!(
                "mov [{at}], {queue:e}",
                at = in(reg) VIRTIO_MMIO.0 + QUEUE_NOTIFY,
                // [`abi::calls::Operation::Queue`] has it above its number.
                queue = in(reg) word >> 16,
                options(nostack),
            );
        }
        None
    }
}

/// `out` of the word to the store port.
pub(super) struct StorePort;

impl Ringer for StorePort {
    fn ring(word: u32, _: u64, _: u64) -> Option<u64> {
        // SAFETY: the host allows every port.
        unsafe { asm!("out dx, eax", in("eax") word, in("dx") STORE_PORT, options(nostack)) }
        None
    }
}

/// A store of the word where words are stored.
pub(super) struct StoreMmio;

impl Ringer for StoreMmio {
    fn ring(word: u32, _: u64, _: u64) -> Option<u64> {
        // SAFETY: the address is mapped and has no memory behind it.
        unsafe {
            asm!("mov [{at}], {word:e}", at = in(reg) STORE_MMIO.0, word = in(reg) word, options(nostack));
        }
        None
    }
}
