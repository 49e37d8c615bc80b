//! The machine itself: identity-mapped memory, the time stamp counter, the control port.

#![expect(unsafe_code, reason = "guest memory is raw memory, and the clock and ports are instructions")]

use core::arch::asm;
use core::arch::x86_64::_rdtsc;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use abi::addr::Gpa;
use abi::control::{CONTROL_PORT, Control, IDLE_PORT};
use abi::layout;
use abi::notes;
use guest_payload::metal::Metal;

use super::bells::Ringer;

/// The machine, with the doorbell `R`.
pub(super) struct Machine<R> {
    vcpu: u32,
    fenced: bool,
    ring0: bool,
    /// What the doorbell's register answered last, if it has one.
    answer: Option<u64>,
    bell: PhantomData<R>,
}

impl<R> Machine<R> {
    /// Virtual processor `vcpu`. `fenced`: whether the clock may use a fence; `ring0`: whether this is ring 0.
    pub(super) const fn new(vcpu: u32, fenced: bool, ring0: bool) -> Self {
        Self { vcpu, fenced, ring0, answer: None, bell: PhantomData }
    }
}

/// A guest physical address as a pointer. All memory is mapped identically, readable and writable; the
/// compiler never owns any of it but the image and the stack, and those are never named by a [`Gpa`].
#[expect(clippy::cast_possible_truncation, reason = "a usize has 64 bits here")]
fn pointer<T>(at: Gpa) -> *mut T {
    core::ptr::with_exposed_provenance_mut(at.0 as usize)
}

macro_rules! access {
    ($load:ident, $store:ident, $type:ty) => {
        fn $load(&self, at: Gpa) -> $type {
            // SAFETY: `pointer`: mapped, aligned (every layout in `abi` is), and never owned by the compiler.
            unsafe { pointer::<$type>(at).read_volatile() }
        }
        fn $store(&mut self, at: Gpa, value: $type) {
            // SAFETY: as above.
            unsafe { pointer::<$type>(at).write_volatile(value) }
        }
    };
}

impl<R: Ringer> Metal for Machine<R> {
    fn vcpu(&self) -> u32 {
        self.vcpu
    }

    access!(load, store, u64);
    access!(load32, store32, u32);
    access!(load16, store16, u16);

    fn load16_acquire(&self, at: Gpa) -> u16 {
        // SAFETY: as for the volatile accesses; the host only ever writes these 16 bits atomically.
        let shared = unsafe { AtomicU16::from_ptr(pointer(at)) };
        // Acquire, as the trait promises: pairs with the device's release of the used index.
        shared.load(Ordering::Acquire)
    }

    fn store16_publish(&mut self, at: Gpa, value: u16) {
        // SAFETY: as for the volatile accesses; the host only ever reads these 16 bits atomically.
        let shared = unsafe { AtomicU16::from_ptr(pointer(at)) };
        // SeqCst is an `xchg` here: release for what came before, and a full barrier for the load of
        // used.flags that follows. Not `fence`: that is `mfence`, which KVM's emulator does not know.
        shared.store(value, Ordering::SeqCst);
    }

    fn swap32_acquire(&mut self, at: Gpa, value: u32) -> u32 {
        // SAFETY: as for the volatile accesses; locks are only ever accessed atomically.
        let shared = unsafe { AtomicU32::from_ptr(pointer(at)) };
        // Acquire, as the trait promises: pairs with the release below.
        shared.swap(value, Ordering::Acquire)
    }

    fn load32_acquire(&self, at: Gpa) -> u32 {
        // SAFETY: as above.
        let shared = unsafe { AtomicU32::from_ptr(pointer(at)) };
        // Acquire, as the trait promises: pairs with the release below.
        shared.load(Ordering::Acquire)
    }

    fn store32_release(&mut self, at: Gpa, value: u32) {
        // SAFETY: as above.
        let shared = unsafe { AtomicU32::from_ptr(pointer(at)) };
        // Release, as the trait promises: pairs with the acquires above.
        shared.store(value, Ordering::Release);
    }

    fn fill(&mut self, at: Gpa, words: u64, word: u64) {
        // SAFETY: as for every store; the direction flag is clear, as the ABI has it.
        unsafe {
            asm!(
                "rep stosq",
                inout("rdi") at.0 => _,
                inout("rcx") words => _,
                in("rax") word,
                options(nostack, preserves_flags),
            );
        }
    }

    fn clock(&self) -> u64 {
        if self.fenced {
            // Written out, because the intrinsic is a call where the payload is built without SSE. It keeps the
            // counter from being read before the loads that precede it are done.
            // SAFETY: `lfence` has no preconditions on x86_64.
            unsafe { asm!("lfence", options(nostack, preserves_flags)) }
        }
        // SAFETY: `rdtsc` has no preconditions while CR4.TSD is clear, and the host leaves it clear.
        unsafe { _rdtsc() }
    }

    fn ring(&mut self, word: u32, gpa: Gpa, pages: u64) {
        self.answer = R::ring(word, gpa.0, pages);
    }

    fn answer(&self) -> u64 {
        self.answer
            .unwrap_or_else(|| self.load(layout::vcpu::batch(self.vcpu).offset(abi::wire::page::ANSWER)))
    }

    fn control(&mut self, control: Control) {
        self.out(CONTROL_PORT, control.value());
    }

    fn relax(&mut self) {
        core::hint::spin_loop();
    }

    fn halt(&mut self) {
        let taken = self.load(notes::INTERRUPTS);
        if taken != self.load(notes::INTERRUPTS_SEEN) {
            self.store(notes::INTERRUPTS_SEEN, taken);
            return;
        }
        if self.ring0 {
            // SAFETY: the gates are installed, interrupts are otherwise on, and the window between the look
            // and `hlt` is closed: `sti` takes effect after the instruction that follows it.
            unsafe {
                asm!(
                    "cli",
                    "mov {taken}, [{counter}]",
                    "cmp {taken}, [{seen}]",
                    "jne 2f",
                    "sti",
                    "hlt",
                    "2: sti",
                    taken = out(reg) _,
                    counter = in(reg) notes::INTERRUPTS.0,
                    seen = in(reg) notes::INTERRUPTS_SEEN.0,
                );
            }
        } else {
            // SAFETY: `hlt` faults in ring 3, and the gate for that fault halts in our place, after the same
            // look with interrupts off.
            unsafe { asm!("hlt") }
        }
    }

    fn idle(&mut self, microseconds: u32) {
        self.out(IDLE_PORT, microseconds);
    }

    fn out(&mut self, port: u16, value: u32) {
        // SAFETY: the host allows every port; memory the host may write meanwhile is only accessed volatile.
        unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack)) }
    }

    fn out8(&mut self, port: u16, value: u8) {
        // SAFETY: as above.
        unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack)) }
    }

    fn count(&mut self, iterations: u64) {
        // SAFETY: a loop on one register.
        unsafe {
            asm!("2: dec {n}", "jnz 2b", n = inout(reg) iterations.max(1) => _, options(nomem, nostack));
        }
    }

    fn triple_fault(&mut self) -> ! {
        // SAFETY: there is no gate for the fault, so that the processor shuts down: as asked for.
        unsafe { asm!("ud2", options(noreturn)) }
    }
}

/// The boot words.
pub(super) fn boot_words<const N: usize>() -> [u64; N] {
    // SAFETY: the host has written them before the first instruction and does not write them again.
    core::array::from_fn(|i| unsafe { pointer::<u64>(layout::BOOT.offset(i as u64 * 8)).read_volatile() })
}

/// Stores one word: for processor tables.
pub(super) fn store_word(at: Gpa, value: u64) {
    // SAFETY: as for every store; only called for tables that the host has placed and the guest owns.
    unsafe { pointer::<u64>(at).write_volatile(value) }
}

/// Stores one byte: for text.
pub(super) fn store_byte(at: Gpa, byte: u8) {
    // SAFETY: as for every store; only called for the notes.
    unsafe { pointer::<u8>(at).write_volatile(byte) }
}
