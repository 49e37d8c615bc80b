//! What the guest of a timed trial is told.

use abi::axes::Program;
use abi::boot::BootInfo;

use super::spec::TimedSpec;
use crate::axes::Way;
use crate::probe::Facts;

/// Turns the choices into what a guest is told that runs `program`.
pub(super) fn boot_info(spec: &TimedSpec, facts: &Facts, program: Program) -> BootInfo {
    let Way { carrier, doorbell, completion, discard, .. } = spec.way;
    let guest_ring = facts.guest_ring(&spec.way);
    BootInfo {
        program,
        guest_ring,
        carrier,
        bell: doorbell.bell(carrier, facts.hypercall),
        completion,
        afterwards: discard.afterwards(),
        workload: spec.workload,
        order: spec.order,
        batch: spec.batch.into(),
        queue_size: spec.queue_size().into(),
        arena_pages: spec.arena_pages(),
        warmup: spec.warmup,
        reports: spec.reports,
        seed: spec.seed,
        fenced: facts.is_fenced(guest_ring),
    }
}
