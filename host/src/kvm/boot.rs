//! A processor's state at the payload's first instruction: 64-bit mode, ring 0 or 3, its number in `rdi`.
//!
//! | structure | contents |
//! |---|---|
//! | page tables | 4 GiB mapped identically in 2 MiB pages, usable from ring 3; above 3 GiB uncached |
//! | GDT | code and data for ring 0 and ring 3, one TSS |
//! | TSS, one a processor | stacks for the two gates (IST 1 and 2), and an I/O bitmap that allows every port: KVM's instruction emulator looks at the bitmap where IOPL would have done on hardware |
//! | IDT | the register points there; the payload fills it |
//! | local APIC | enabled, x2APIC mode |

use abi::addr::{Gpa, PAGE_SIZE};
use abi::axes::GuestRing;
use abi::layout::{GDT, IDT, KERNEL_CODE, PAGE_TABLES, vcpu};
use abi::timed::company::Own;
use kvm_bindings::{
    KVM_MAX_CPUID_ENTRIES, KVM_MP_STATE_RUNNABLE, kvm_dtable, kvm_mp_state, kvm_regs, kvm_segment,
};
use kvm_ioctls::{Kvm, VcpuFd};

use crate::memory::{GuestRam, RamError};

const PRESENT_WRITABLE_USER: u64 = 0b111;
const LARGE_PAGE: u64 = 1 << 7;
const UNCACHED: u64 = 0b11 << 3;
const GIB: u64 = 1 << 30;

const KERNEL_DATA: u16 = 0x10;
/// Selectors of ring 3 carry their privilege level in the low bits.
const USER_DATA: u16 = 0x18 | 3;
const USER_CODE: u16 = 0x20 | 3;
const TASK: u16 = 0x28;

/// Offset of the I/O bitmap in the TSS, and its size: one bit a port, then one byte of ones (SDM 1, 19.5.2).
const IO_BITMAP: u16 = 0x68;
const IO_BITMAP_BYTES: u16 = 8192;
const IO_BITMAP_END: u16 = IO_BITMAP + IO_BITMAP_BYTES;

const CR0_PROTECTED_PAGED: u64 = 0x8000_0033;
/// PAE, and SSE for code that was compiled for the host's target.
const CR4_PAE_SSE: u64 = 0x620;
const EFER_LONG_MODE: u64 = 0x500;
/// Reserved bit, interrupts on, I/O privilege level 3.
const RFLAGS: u64 = 0x2 | 0x200 | 0x3000;
/// Local APIC enabled, x2APIC mode, at its usual address.
const APIC_BASE: u64 = 0xfee0_0000 | 1 << 11 | 1 << 10;
/// In the same register: the bootstrap processor.
const APIC_BOOTSTRAP: u64 = 1 << 8;
/// Spurious interrupt vector register: software enable, vector 255.
const APIC_SPURIOUS: usize = 0xf0;

/// Why the processor could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The tables do not fit.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// KVM did not take a part of the state.
    #[error("the guest has no state to start in: {call}: {source}")]
    State {
        /// Which request.
        call: &'static str,
        /// What it said.
        source: kvm_ioctls::Error,
    },
}

/// Writes what all processors share: page tables and GDT.
pub(crate) fn write_tables(ram: &GuestRam) -> Result<(), RamError> {
    let directory_pointers = PAGE_TABLES.offset(0x1000);
    ram.write(PAGE_TABLES, directory_pointers.0 | PRESENT_WRITABLE_USER)?;
    for gib in 0..4 {
        let directory = directory(gib);
        ram.write(directory_pointers.offset(gib * 8), directory.0 | PRESENT_WRITABLE_USER)?;
        let attributes = PRESENT_WRITABLE_USER | LARGE_PAGE | if gib == 3 { UNCACHED } else { 0 };
        for entry in 0..512 {
            ram.write(directory.offset(entry * 8), (gib * GIB + (entry << 21)) | attributes)?;
        }
    }
    ram.write_words(GDT, &descriptors())
}

/// Writes the page tables of a processor that has pages of its own: as those of all, but for the first 2 MiB, where
/// everything of ours is, in pages of 4 KiB.
pub(crate) fn write_own_tables(ram: &GuestRam, own: Own) -> Result<(), RamError> {
    let [root, directory_pointers, first, table] =
        [0, 1, 2, 3].map(|page| own.tables().offset(page * PAGE_SIZE));
    ram.write(root, directory_pointers.0 | PRESENT_WRITABLE_USER)?;
    ram.write(directory_pointers, first.0 | PRESENT_WRITABLE_USER)?;
    for gib in 1..4 {
        ram.write(directory_pointers.offset(gib * 8), directory(gib).0 | PRESENT_WRITABLE_USER)?;
    }
    ram.write(first, table.0 | PRESENT_WRITABLE_USER)?;
    for entry in 1..512 {
        ram.write(first.offset(entry * 8), (entry << 21) | PRESENT_WRITABLE_USER | LARGE_PAGE)?;
    }
    for entry in 0..512 {
        let page = own.place(Gpa(entry * PAGE_SIZE));
        ram.write(table.offset(entry * 8), page.0 | PRESENT_WRITABLE_USER)?;
    }
    Ok(())
}

/// The page directory of a gibibyte that all share.
const fn directory(gib: u64) -> Gpa {
    PAGE_TABLES.offset(0x2000 + gib * 0x1000)
}

/// Null, ring 0 code and data, ring 3 data and code, TSS (two words): that of the first processor. Nobody loads it;
/// each processor starts with its own in the register.
const fn descriptors() -> [u64; 7] {
    const TSS: u64 = vcpu::tss(0).0;
    // The limit fits in its lower 16 bits.
    let task = IO_BITMAP_END as u64 | (TSS & 0xff_ffff) << 16 | 0x8b << 40 | (TSS >> 24 & 0xff) << 56;
    [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        task,
        TSS >> 32,
    ]
}

/// Writes the TSS of a processor.
pub(crate) fn write_tss(ram: &GuestRam, number: u32) -> Result<(), RamError> {
    let halt_stack = vcpu::halt_stack_top(number).0.to_le_bytes();
    // The fields are not aligned to words: RSP0 is at 4, IST1 at 36, IST2 at 44, the bitmap's offset at 102.
    let mut tss = [0_u8; IO_BITMAP as usize];
    tss[4..12].copy_from_slice(&halt_stack);
    tss[36..44].copy_from_slice(&vcpu::interrupt_stack_top(number).0.to_le_bytes());
    tss[44..52].copy_from_slice(&halt_stack);
    tss[102..104].copy_from_slice(&IO_BITMAP.to_le_bytes());
    for (word, at) in tss.chunks_exact(8).zip((0..).step_by(8)) {
        let word = word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        ram.write(vcpu::tss(number).offset(at), word)?;
    }
    ram.write(vcpu::tss(number).offset(IO_BITMAP_END.into()), 0xff)
}

/// Sets the registers of processor `number`, which starts at `entry` in `ring` as soon as it is run, with the page tables
/// at `tables`.
pub(crate) fn set_registers(
    kvm: &Kvm,
    fd: &VcpuFd,
    ring: GuestRing,
    entry: u64,
    number: u32,
    tables: Gpa,
) -> Result<(), BootError> {
    let refused = |call| move |source| BootError::State { call, source };
    let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(refused("KVM_GET_SUPPORTED_CPUID"))?;
    fd.set_cpuid2(&cpuid).map_err(refused("KVM_SET_CPUID2"))?;

    let mut special = fd.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
    let (code, data) = match ring {
        GuestRing::Zero => (code(KERNEL_CODE), data(KERNEL_DATA)),
        GuestRing::Three => (code(USER_CODE), data(USER_DATA)),
    };
    special.cs = code;
    (special.ss, special.ds, special.es, special.fs, special.gs) = (data, data, data, data, data);
    special.tr = kvm_segment {
        base: vcpu::tss(number).0,
        limit: IO_BITMAP_END.into(),
        selector: TASK,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    special.gdt = table(GDT, 7 * 8);
    special.idt = table(IDT, 256 * 16);
    special.cr0 = CR0_PROTECTED_PAGED;
    special.cr3 = tables.0;
    special.cr4 = CR4_PAE_SSE;
    special.efer = EFER_LONG_MODE;
    special.apic_base = APIC_BASE | if number == 0 { APIC_BOOTSTRAP } else { 0 };
    fd.set_sregs(&special).map_err(refused("KVM_SET_SREGS"))?;

    let mut apic = fd.get_lapic().map_err(refused("KVM_GET_LAPIC"))?;
    apic.regs[APIC_SPURIOUS] = -1;
    apic.regs[APIC_SPURIOUS + 1] = 1;
    fd.set_lapic(&apic).map_err(refused("KVM_SET_LAPIC"))?;

    // The stack is aligned as after a call: the entry is an ordinary function.
    let registers = kvm_regs {
        rip: entry,
        rsp: vcpu::stack_top(number).0 - 8,
        rdi: number.into(),
        rflags: RFLAGS,
        ..kvm_regs::default()
    };
    fd.set_regs(&registers).map_err(refused("KVM_SET_REGS"))?;
    // All but the first would wait for a message from the first.
    let running = kvm_mp_state { mp_state: KVM_MP_STATE_RUNNABLE };
    fd.set_mp_state(running).map_err(refused("KVM_SET_MP_STATE"))
}

pub(super) const fn table(base: Gpa, bytes: u16) -> kvm_dtable {
    kvm_dtable { base: base.0, limit: bytes - 1, padding: [0; 3] }
}

pub(super) const fn code(selector: u16) -> kvm_segment {
    kvm_segment { type_: 11, l: 1, db: 0, ..flat(selector) }
}

pub(super) const fn data(selector: u16) -> kvm_segment {
    kvm_segment { type_: 3, l: 0, db: 1, ..flat(selector) }
}

const fn flat(selector: u16) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: 0,
        present: 1,
        dpl: (selector & 3) as u8,
        db: 0,
        s: 1,
        l: 0,
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    }
}

// The bitmap and its last byte stay clear of the stacks.
const _: () = assert!(vcpu::tss(0).0 + IO_BITMAP_END as u64 + 8 <= vcpu::stack_top(0).0 - 0x1_0000);
const _: () = assert!(vcpu::tss(1).0 + IO_BITMAP_END as u64 + 8 <= vcpu::batch(1).0);
