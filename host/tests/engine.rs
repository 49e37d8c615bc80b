//! Trials of the reporting engine on the real device.

mod common;
#[path = "engine/discards.rs"]
mod discards;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/flush.rs"]
mod flush;
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

use host::engine::{self, EngineOutcome, EngineSpec, GuestFault};
use host::fault::Planted;
use host::probe::Facts;
use host::testing::specs::ENGINE;
use host::trial::TrialError;

const MIB: u64 = 1 << 20;

/// A small sound trial: two rounds over a ring whose kicks exit. Reports are small, because a guest as small as this
/// has no more free memory to hide from its allocator, and the low watermark of a zone would forbid even these.
pub(crate) const SPEC: EngineSpec =
    EngineSpec { vcpus: 1, memory: 48 * MIB, capacity: 4, watermark: false, footprint: 24 * MIB, ..ENGINE };

fn main() -> ExitCode {
    common::run(|facts| {
        let suites = [
            refusals::tests,
            processors::tests,
            walks::tests,
            poison::tests,
            discards::tests,
            faults::tests,
            flush::tests,
        ];
        suites.iter().flat_map(|suite| suite(facts)).collect()
    })
}

/// Runs a trial to its end.
pub(crate) fn ran(spec: &EngineSpec, facts: &Facts) -> Result<EngineOutcome, TrialError> {
    engine::run(spec, facts, &Arc::default())
}

/// The same with a bug planted in the host or in the guest.
pub(crate) fn planted(
    spec: &EngineSpec,
    facts: &Facts,
    host: Planted,
    guest: GuestFault,
) -> Result<EngineOutcome, TrialError> {
    engine::run_planted(spec, facts, &Arc::default(), host, guest)
}
