//! What the guest of a trial of the engine is told, and what of it the host has to know too.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::axes::{Afterwards, Program};
use abi::boot::BootInfo;
use abi::engine::GuestFault;
use abi::engine::info::EngineInfo;

use super::spec::EngineSpec;
use crate::axes::Freed;
use crate::probe::Facts;
use crate::trial::told;

/// Turns the choices into what every guest is told.
pub(super) fn boot_info(spec: &EngineSpec, facts: &Facts) -> BootInfo {
    let told = told(&spec.way, facts, Program::Engine);
    BootInfo {
        afterwards: Reported::of(spec).hold,
        order: spec.min_order,
        batch: spec.capacity.into(),
        queue_size: spec.queue_size().into(),
        arena_pages: spec.memory / PAGE_SIZE,
        seed: spec.seed,
        ..told
    }
}

/// What becomes of reported pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reported {
    /// What they hold.
    pub(super) hold: Afterwards,
    /// How many of them are freed.
    pub(super) freed: Freed,
}

impl Reported {
    /// The host keeps all of them where the guest fills free pages with something that a discard would not leave.
    pub(super) fn of(spec: &EngineSpec) -> Self {
        if !matches!(spec.poison, None | Some(0)) {
            return Self { hold: Afterwards::Kept, freed: Freed::Nothing };
        }
        // A report has blocks from the least order to the largest.
        let [least, most] = [spec.min_order, Order::MAX].map(|order| spec.way.frees(order));
        let freed = if least == most { least } else { Freed::AsItLikes };
        Self { hold: spec.way.afterwards(), freed }
    }
}

/// Turns the choices into what the engine is told, with a bug planted in it, by a clock of this frequency.
pub(super) fn engine_info(spec: &EngineSpec, fault: GuestFault, tsc_khz: u32) -> EngineInfo {
    let ticks = |duration: Duration| {
        // The durations are a day at the most: see `EngineSpec::validate`.
        u64::try_from(duration.as_nanos() * u128::from(tsc_khz) / 1_000_000).unwrap_or(u64::MAX)
    };
    EngineInfo {
        vcpus: spec.vcpus.into(),
        reporting: spec.reporting,
        walk: spec.walk,
        shuffle: spec.shuffle,
        min_order: spec.min_order,
        capacity: spec.capacity.into(),
        delay: ticks(spec.delay),
        high_water: spec.high_water,
        budget: spec.budget,
        watermark: spec.watermark,
        load: spec.load,
        unit: spec.unit,
        footprint: spec.footprint / PAGE_SIZE,
        rounds: spec.rounds,
        window: ticks(spec.window),
        warmup: ticks(spec.warmup),
        settle: ticks(spec.settle),
        poisoned: spec.poison.is_some(),
        poison: u64::from_ne_bytes([spec.poison.unwrap_or(0); 8]),
        fault,
        ticks_per_us: u64::from(tsc_khz / 1000).max(1),
        pcp: spec.pcp,
    }
}
