//! Small sound trials, for tests to change.

use std::time::Duration;

use abi::addr::Order;
use abi::axes::{Carrier, Completion, Workload};
use abi::engine::{Load, PerCpuLists, Reporting, Shuffle, Walk};
use abi::timed::company::Company;

use crate::axes::{Coalesce, Doorbell, Way};
use crate::engine::EngineSpec;
use crate::timed::{Stopwatch, TimedSpec};

const MIB: u64 = 1 << 20;

/// The seed of everything that is seeded.
pub const SEED: u64 = 42;

/// Bytes of the least arena there may be.
pub const ARENA: u64 = 4 * MIB;

/// Reports of random pages over a ring whose kicks exit.
pub const TIMED: TimedSpec = TimedSpec {
    way: Way::plain(Carrier::Ring, Doorbell::Mmio, Completion::Return),
    workload: Workload::Random,
    order: Order::PAGE,
    batch: 32,
    in_flight: 1,
    arena: Some(ARENA),
    warmup: 4,
    reports: 32,
    idle: 0,
    looks_around: false,
    seed: SEED,
    stopwatch: Stopwatch::Used,
    company: Company::ALONE,
};

/// The same over another way; of two reports in flight where they are merged across one another.
#[must_use]
pub const fn timed_over(way: Way) -> TimedSpec {
    let in_flight = if matches!(way.coalesce, Coalesce::Across) { 2 } else { 1 };
    TimedSpec { way, in_flight, ..TIMED }
}

/// Two processors that allocate and free twice, over a ring whose kicks exit.
pub const ENGINE: EngineSpec = EngineSpec {
    way: Way::plain(Carrier::Ring, Doorbell::Mmio, Completion::Return),
    vcpus: 2,
    memory: 64 * MIB,
    reporting: Reporting::On,
    walk: Walk::Rotation,
    shuffle: Shuffle::None,
    min_order: Order::HUGE,
    capacity: 32,
    queue_size: None,
    delay: Duration::from_millis(2),
    high_water: 1,
    budget: 16,
    watermark: true,
    load: Load::Memhog,
    unit: Order::HUGE,
    footprint: 16 * MIB,
    rounds: 2,
    warmup: Duration::ZERO,
    window: Duration::ZERO,
    settle: Duration::from_secs(10),
    poison: None,
    offer_poison: false,
    pcp: PerCpuLists::Off,
    watch: None,
    seed: SEED,
};

/// The same for a moment of a load that takes the time.
#[must_use]
pub fn churning(spec: EngineSpec) -> EngineSpec {
    let (window, settle) = (Duration::from_millis(50), Duration::ZERO);
    EngineSpec { load: Load::Churn, window, settle, rounds: 1, ..spec }
}
