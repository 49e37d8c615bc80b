//! Trials of the reporting engine on the real device.

#[allow(dead_code, reason = "every suite uses its part")]
mod common;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/handmade.rs"]
mod handmade;
#[path = "engine/poison.rs"]
mod poison;
#[path = "engine/processors.rs"]
mod processors;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/walks.rs"]
mod walks;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use abi::addr::Order;
use abi::axes::{Carrier, Completion};
use host::axes::{Backing, Coalesce, Discard, Doorbell, RingChoice, Servicer};
use host::engine::{
    EngineOutcome, EngineSpec, GuestFault, Load, Reporting, Shuffle, Walk, run_engine, run_engine_planted,
};
use host::facts::Facts;
use host::{Planted, TrialError};

use common::SEED;

const MIB: u64 = 1 << 20;

/// A small sound trial: two rounds over a ring whose kicks exit. Reports are small, because a guest as small as this
/// has no more free memory to hide from its allocator, and the low watermark of a zone would forbid even these.
pub(crate) const SPEC: EngineSpec = EngineSpec {
    carrier: Carrier::Ring,
    doorbell: Doorbell::Mmio,
    servicer: Servicer::Vcpu,
    completion: Completion::Return,
    discard: Discard::DontNeed,
    coalesce: Coalesce::Each,
    backing: Backing::Anon,
    guest_ring: RingChoice::Auto,
    vcpus: 1,
    memory: 48 * MIB,
    reporting: Reporting::On,
    walk: Walk::Rotation,
    shuffle: Shuffle::None,
    min_order: Order::HUGE,
    capacity: 4,
    queue_size: None,
    delay: Duration::from_millis(2),
    high_water: 1,
    budget: 16,
    watermark: false,
    load: Load::Memhog,
    unit: Order::HUGE,
    footprint: 24 * MIB,
    rounds: 2,
    warmup: Duration::ZERO,
    window: Duration::ZERO,
    settle: Duration::from_secs(10),
    poison: None,
    offer_poison: false,
    watch: None,
    seed: SEED,
};

fn main() -> ExitCode {
    common::run(|facts| {
        let suites = [refusals::tests, processors::tests, walks::tests, poison::tests, faults::tests];
        suites.iter().flat_map(|suite| suite(facts)).collect()
    })
}

/// Runs a trial to its end.
pub(crate) fn ran(spec: &EngineSpec, facts: &Facts) -> Result<EngineOutcome, TrialError> {
    run_engine(spec, facts, &Arc::default())
}

/// The same with a bug planted in the host or in the guest.
pub(crate) fn planted(
    spec: &EngineSpec,
    facts: &Facts,
    host: Planted,
    guest: GuestFault,
) -> Result<EngineOutcome, TrialError> {
    run_engine_planted(spec, facts, &Arc::default(), host, guest)
}
