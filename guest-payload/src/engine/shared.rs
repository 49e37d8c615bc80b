//! Where the words are that all virtual processors share, apart from those the host reads: a cache line each.

use abi::addr::Gpa;
use abi::engine::books::shared::OWN;
use abi::layout::VCPUS_MAX;

const LINE: u64 = 64;

/// The barrier: see [`crate::engine::barrier`].
pub const BARRIER: Gpa = OWN;
/// The request for a pass: see [`crate::engine::reporting`].
pub const REQUEST: Gpa = OWN.offset(LINE);
/// The lock of a carrier that all processors report through.
pub const CARRIER: Gpa = OWN.offset(2 * LINE);

/// Whether this virtual processor finds, reports or puts back blocks just now: 32 bits.
#[must_use]
pub const fn reporting(vcpu: u32) -> Gpa {
    OWN.offset((3 + vcpu as u64) * LINE)
}

const _: () = assert!(OWN.0 + (3 + VCPUS_MAX as u64) * LINE <= abi::layout::ARENA.0 + abi::addr::PAGE_SIZE);
