//! What a guest is told of the way its reports travel, whatever it is to do.

use abi::addr::Order;
use abi::axes::{Program, Workload};
use abi::boot::BootInfo;
use abi::wire::virtio::balloon::REPORTING_QUEUE_MIN;

use crate::axes::Way;
use crate::probe::Facts;

/// The words that follow from the way; the others stand at what asks for nothing, for a kind of trial to say.
pub(crate) fn told(way: &Way, facts: &Facts, program: Program) -> BootInfo {
    let guest_ring = facts.guest_ring(way);
    BootInfo {
        program,
        guest_ring,
        carrier: way.carrier,
        bell: way.doorbell.bell(way.carrier, facts.hypercall),
        completion: way.completion,
        afterwards: way.afterwards(),
        workload: Workload::Sequential,
        order: Order::default(),
        batch: 1,
        queue_size: REPORTING_QUEUE_MIN.into(),
        arena_pages: 0,
        warmup: 0,
        reports: 0,
        idle: 0,
        gathers: way.gathers().unwrap_or(0),
        in_flight: 1,
        seed: 0,
        fenced: facts.is_fenced(guest_ring),
        ring_features: way.ring_features,
    }
}
