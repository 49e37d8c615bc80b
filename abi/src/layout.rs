//! Where things are in guest physical memory.
//!
//! ```text
//!   0x0000_0000  nothing (null pointers fault nowhere, but nothing of ours is there)
//!   0x0000_1000  boot words          host writes, guest reads          [boot]
//!   0x0000_1400  engine words        host writes, guest reads          [engine::info]
//!   0x0000_1800  company words       host writes, vCPUs meet           [timed::company]
//!   0x0000_2000  step page           host writes, guest obeys          [step]
//!   0x0000_3000  batch page          guest writes, host reads          [wire::page]
//!   0x0000_4000  notes               guest writes, host reads          [notes]
//!   0x0000_5000  ring                both                              [wire::split_ring, wire::packed_ring]
//!   0x0000_d000  its indirect table  guest writes, host reads          [wire::indirect]
//!                or a page answered in place                           [wire::request, wire::status]
//!                or two queues with a list each                        [wire::frames]
//!   0x0001_0000  processor tables    host writes before the first instruction
//!   0x0001_e000  Hyper-V's code      KVM writes, guest calls            [calls::hyperv]
//!   0x0001_f000  Hyper-V's output    host writes, guest reads           [calls::hyperv]
//!   0x0002_0000  stacks of vCPU 0
//!   0x0008_0000  vCPU 1 to 7: task state, pages, stacks             [vcpu]
//!   0x0010_0000  trace: calls        guest writes, host drains         [timed::trace]
//!   0x0014_0000  trace: reports      guest writes, host drains         [timed::trace]
//!   0x0018_0000  ledger              guest writes, host compares       [timed::ledger]
//!   0x0020_0000  payload image
//!   0x0040_0000  arena: the pages that are freed and reported
//!   0xd000_0000  devices             no memory here: every access exits
//! ```
//!
//! The arena starts on the boundary of the largest block (4 MiB), and the host maps guest memory on such a
//! boundary too, so that a block of any order is one on both sides.

use crate::addr::{Gpa, Order, PAGE_SIZE, Pfn};

/// The most virtual processors a guest may have: there is an area for each, see [`vcpu`].
pub const VCPUS_MAX: u32 = 8;

/// Boot words: see [`crate::boot`].
pub const BOOT: Gpa = Gpa(0x1000);
/// What the engine is told: see [`crate::engine::info`].
pub const ENGINE: Gpa = Gpa(0x1400);
/// Who else is in a timed trial, and where they meet: see [`crate::timed::company`].
pub const COMPANY: Gpa = Gpa(0x1800);
/// Step page: see [`crate::step`].
pub const STEP: Gpa = Gpa(0x2000);
/// Batch page: see [`crate::wire::page`].
pub const BATCH: Gpa = Gpa(0x3000);
/// The guest's counters: see [`crate::notes`].
pub const NOTES: Gpa = Gpa(0x4000);
/// The parts of a ring, in either format: see [`crate::wire::split_ring`] and [`crate::wire::packed_ring`].
pub const RING: Gpa = Gpa(0x5000);
/// The table that a report's one descriptor points to, if tables were negotiated: see [`crate::wire::indirect`].
pub const INDIRECT: Gpa = Gpa(0xd000);
/// End of the space for the ring.
pub const RING_END: Gpa = Gpa(0x1_0000);

/// Page tables: one PML4, one PDPT, four page directories of 2 MiB entries, identity for 4 GiB.
pub const PAGE_TABLES: Gpa = Gpa(0x1_0000);
/// Global descriptor table.
pub const GDT: Gpa = Gpa(0x1_7000);
/// Interrupt descriptor table. The guest fills it; the host only points the register here, because a payload
/// in ring 3 may not.
pub const IDT: Gpa = Gpa(0x1_8000);
/// Task state segment with an I/O permission bitmap of two pages that allows every port.
pub const TSS: Gpa = Gpa(0x1_9000);

/// Where a guest of Hyper-V wants its page of code, and what a call of it gives out: see [`crate::calls::hyperv`].
pub const HYPERCALL_PAGE: Gpa = Gpa(0x1_e000);
/// Where what such a call gives out goes.
pub const HYPERCALL_OUTPUT: Gpa = Gpa(0x1_f000);

/// Selector of ring 0 code. The host builds the table, the guest's gates name the selector.
pub const KERNEL_CODE: u16 = 0x08;
/// Vector of the balloon's interrupt.
pub const INTERRUPT_VECTOR: u64 = 0x40;

/// Top of the payload's stack (it grows down from here).
pub const STACK_TOP: Gpa = Gpa(0x6_0000);
/// Top of the stack for the interrupt gate (IST 1).
pub const INTERRUPT_STACK_TOP: Gpa = Gpa(0x7_0000);
/// Top of the stack for the halt gate (IST 2): an interrupt arrives on top of it.
pub const HALT_STACK_TOP: Gpa = Gpa(0x8_0000);

/// What every virtual processor has for itself. The first has what is above; each of the others an area of
/// 64 KiB with the same things in it.
pub mod vcpu {
    use super::{
        BATCH, Gpa, HALT_STACK_TOP, INTERRUPT_STACK_TOP, RING, STACK_TOP, TRACE_CALLS, TSS, VCPUS_MAX,
    };

    const AREAS: Gpa = HALT_STACK_TOP;
    const AREA: u64 = 0x1_0000;
    const _: () = assert!(AREAS.0 + (VCPUS_MAX as u64 - 1) * AREA <= TRACE_CALLS.0);

    const fn at(vcpu: u32, first: Gpa, offset: u64) -> Gpa {
        match vcpu {
            0 => first,
            _ => AREAS.offset((vcpu as u64 - 1) * AREA + offset),
        }
    }

    /// Task state segment with its I/O permission bitmap: three pages.
    #[must_use]
    pub const fn tss(vcpu: u32) -> Gpa {
        at(vcpu, TSS, 0)
    }

    /// Batch page: see [`crate::wire::page`].
    #[must_use]
    pub const fn batch(vcpu: u32) -> Gpa {
        at(vcpu, BATCH, 0x3000)
    }

    /// The page that is answered in place: see [`crate::wire::request`] and [`crate::wire::status`]. There is no ring
    /// with such a carrier.
    #[must_use]
    pub const fn in_place(vcpu: u32) -> Gpa {
        at(vcpu, RING, 0x6000)
    }

    /// Top of the stack for the interrupt gate (IST 1).
    #[must_use]
    pub const fn interrupt_stack_top(vcpu: u32) -> Gpa {
        at(vcpu, INTERRUPT_STACK_TOP, 0x5000)
    }

    /// Top of the stack for the halt gate (IST 2).
    #[must_use]
    pub const fn halt_stack_top(vcpu: u32) -> Gpa {
        at(vcpu, HALT_STACK_TOP, 0x6000)
    }

    /// Top of the payload's stack.
    #[must_use]
    pub const fn stack_top(vcpu: u32) -> Gpa {
        at(vcpu, STACK_TOP, AREA)
    }
}

/// Trace of calls: see [`crate::timed::trace`].
pub const TRACE_CALLS: Gpa = Gpa(0x10_0000);
/// Trace of reports: see [`crate::timed::trace`].
pub const TRACE_REPORTS: Gpa = Gpa(0x14_0000);
/// Ledger of reported pages: see [`crate::timed::ledger`].
pub const LEDGER: Gpa = Gpa(0x18_0000);
/// End of the space for the ledger.
pub const LEDGER_END: Gpa = Gpa(0x20_0000);

/// Where the payload image is linked to run.
pub const IMAGE: Gpa = Gpa(0x20_0000);
/// First address of the arena.
pub const ARENA: Gpa = Gpa(0x40_0000);
/// The largest arena, in pages: 2 GiB, well below the devices.
pub const ARENA_MAX_PAGES: u64 = (2 << 30) / PAGE_SIZE;
/// First frame of the arena.
pub const ARENA_START: Pfn = ARENA.pfn();

/// The virtio-mmio register block: see [`crate::wire::virtio::mmio`].
pub const VIRTIO_MMIO: Gpa = Gpa(0xd000_0000);
/// The call register, for doorbells by MMIO store: see [`crate::calls`].
pub const CALL_MMIO: Gpa = Gpa(0xd000_1000);
/// Where ranges are written: see [`crate::wire::store`].
pub const STORE_MMIO: Gpa = Gpa(0xd000_2000);
/// Two registers of 32 bits, the lower half first: where a processor says its request page is, see [`crate::wire::request`].
pub const REQUEST_PAGE: Gpa = Gpa(0xd000_1008);

// That everything ends before the next begins is asserted where its size is known.
const _: () = assert!(ARENA.0.is_multiple_of(Order::MAX.bytes()));
const _: () = assert!(ARENA.0 + ARENA_MAX_PAGES * PAGE_SIZE <= VIRTIO_MMIO.0);
