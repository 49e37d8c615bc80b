//! What the guest of a timed trial is told.

use abi::axes::Program;
use abi::boot::BootInfo;

use super::spec::TimedSpec;
use crate::probe::Facts;
use crate::trial::told;

/// Turns the choices into what a guest is told that runs `program`.
pub(super) fn boot_info(spec: &TimedSpec, facts: &Facts, program: Program) -> BootInfo {
    BootInfo {
        workload: spec.workload,
        order: spec.order,
        batch: spec.batch.into(),
        queue_size: spec.queue_size().into(),
        arena_pages: spec.arena_pages() * u64::from(spec.company.vcpus),
        warmup: spec.warmup,
        reports: spec.reports,
        idle: spec.idle.into(),
        in_flight: spec.in_flight.into(),
        seed: spec.seed,
        ..told(&spec.way, facts, program)
    }
}
