//! What is compared with what: every trial of an experiment's block, a specification each. The seed is the
//! schedule's.

use abi::addr::{Order, PAGE_SIZE};
use host::axes::{Discard, Way};
use host::engine::{EngineSpec, Load, Reporting, Walk};

use super::experiment::Experiment;
use super::plan::EnginePlan;
use crate::ladder::{CallBy, Rung};

/// The order of a comb that is walked: the longest lists a memory can have.
pub const COMB_ORDER: u8 = 0;

/// The number of unreported blocks that requests a pass, for a strategy: what its authors had.
#[must_use]
pub const fn high_water(walk: Walk) -> u64 {
    match walk {
        Walk::Boundary => 32,
        Walk::Rewalk | Walk::Rotation | Walk::PerCpuArray | Walk::Synchronous => 1,
    }
}

/// Every cell of a plan, for a host that is called by `call`.
#[must_use]
pub fn of(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let cells = match plan.experiment.0 {
        Experiment::PageFaults => page_faults(plan, call),
        Experiment::Walk => walk(plan, call),
        Experiment::Memhog => memhog(plan, call),
        Experiment::Rate => rate(plan, call),
        Experiment::Sweep => sweep(plan, call),
        Experiment::Soak => soak(plan, call),
        // What is chosen for a single trial and would change nothing is refused, not passed over.
        Experiment::Run => return first_rung(plan).map(|rung| plan.spec(rung, call)).into_iter().collect(),
    };
    cells.into_iter().map(EngineSpec::neutral).collect()
}

fn first_rung(plan: &EnginePlan) -> Option<Rung> {
    plan.rungs().next()
}

fn order(order: u8) -> Order {
    Order::new(u64::from(order)).unwrap_or_default()
}

/// A trial that does not report is the same over any transport.
fn without(spec: EngineSpec, reporting: Reporting) -> EngineSpec {
    EngineSpec { reporting, ..spec }
}

fn with_discard(spec: EngineSpec, discard: Discard) -> EngineSpec {
    EngineSpec { way: Way { discard, ..spec.way }, ..spec }
}

fn page_faults(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let mut cells = Vec::new();
    let Some(first) = first_rung(plan) else { return cells };
    for unit in plan.choices.units.iter().flatten() {
        let over = |rung| EngineSpec { unit: order(*unit), ..plan.spec(rung, call) };
        cells.extend([Reporting::Absent, Reporting::Off].map(|reporting| without(over(first), reporting)));
        for rung in plan.rungs() {
            cells.extend([Discard::None, Discard::DontNeed].map(|discard| with_discard(over(rung), discard)));
        }
    }
    cells
}

/// Combs for the strategies that walk lists, and a timed load for all.
fn walk(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let keys = &plan.choices;
    let mut cells = Vec::new();
    let Some(rung) = first_rung(plan) else { return cells };
    let walks: Vec<Walk> = keys.walks.iter().flatten().map(|walk| walk.0).collect();
    let with = |walk| EngineSpec { walk, high_water: high_water(walk), ..plan.spec(rung, call) };
    for length in keys.lengths.iter().flatten() {
        for shuffle in keys.shuffles.iter().flatten() {
            for walk in walks.iter().copied().filter(|walk| walk.walks_lists()) {
                let comb = comb(with(walk), order(COMB_ORDER), *length);
                // The whole list in one pass, so that every batch meets what the ones before have reported; and
                // however short it is.
                let comb = with_discard(comb, Discard::None);
                cells.push(EngineSpec { shuffle: shuffle.0, budget: 0, watermark: false, ..comb });
            }
        }
    }
    for walk in &walks {
        cells.push(with(*walk));
        cells.push(without(with(*walk), Reporting::Off));
    }
    cells.push(without(with(Walk::Rotation), Reporting::Absent));
    cells
}

/// A list of exactly `length` blocks.
fn comb(spec: EngineSpec, order: Order, length: u64) -> EngineSpec {
    let footprint = 2 * length * order.pages() * PAGE_SIZE;
    EngineSpec { load: Load::Comb, unit: order, min_order: order, footprint, ..spec }
}

fn memhog(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let footprint = plan.share(4) * 3;
    let hog = |rung| EngineSpec { load: Load::Memhog, footprint, ..plan.spec(rung, call) };
    plan.rungs().map(hog).collect()
}

/// The largest blocks lie on their lists after a burst; smaller ones only in a comb, as they would merge.
fn rate(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let keys = &plan.choices;
    let mut cells = Vec::new();
    let Some(rung) = first_rung(plan) else { return cells };
    for reported in keys.orders.iter().flatten().map(|number| order(*number)) {
        for capacity in keys.capacities.iter().flatten() {
            for delay in keys.delays_ms.iter().flatten() {
                let delay = std::time::Duration::from_millis(*delay);
                let spec = EngineSpec { capacity: *capacity, delay, ..plan.spec(rung, call) };
                let bytes = plan.share(4) * u64::from(spec.vcpus);
                cells.push(if reported == Order::MAX {
                    let footprint = plan.share(4);
                    let load = Load::IdleAfterBurst;
                    EngineSpec { load, unit: reported, min_order: reported, footprint, ..spec }
                } else {
                    comb(spec, reported, bytes / (2 * reported.pages() * PAGE_SIZE))
                });
            }
        }
    }
    cells
}

/// For every order and capacity a comb, which tells the cost of giving back, and a load, which tells what it slows
/// down.
fn sweep(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let keys = &plan.choices;
    let mut cells = Vec::new();
    let Some(first) = first_rung(plan) else { return cells };
    for reported in keys.orders.iter().flatten().map(|number| order(*number)) {
        let load = |rung| EngineSpec { unit: reported, min_order: reported, ..plan.spec(rung, call) };
        cells.push(without(load(first), Reporting::Absent));
        for rung in plan.rungs() {
            for capacity in keys.capacities.iter().flatten() {
                let load = EngineSpec { capacity: *capacity, ..load(rung) };
                let bytes = plan.share(2) * u64::from(load.vcpus);
                let length = bytes / (2 * reported.pages() * PAGE_SIZE);
                cells.extend([EngineSpec { budget: 0, ..comb(load, reported, length) }, load]);
            }
        }
    }
    cells
}

fn soak(plan: &EnginePlan, call: CallBy) -> Vec<EngineSpec> {
    let keys = &plan.choices;
    let mut cells = Vec::new();
    for walk in keys.walks.iter().flatten().map(|walk| walk.0) {
        for load in keys.loads.iter().flatten() {
            for rung in plan.rungs() {
                let high_water = keys.high_water.unwrap_or(high_water(walk));
                cells.push(EngineSpec { walk, load: load.0, high_water, ..plan.spec(rung, call) });
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use abi::axes::Axis;

    use super::super::choices::Choices;
    use super::*;

    fn cells(experiment: Experiment) -> Vec<EngineSpec> {
        let plan = EnginePlan::built_in(experiment, false).unwrap().on(2, CallBy::Port).unwrap();
        of(&plan, CallBy::Port)
    }

    #[test]
    fn no_cell_is_there_twice_and_tags_tell_them_apart() {
        for experiment in Experiment::ALL {
            let cells = cells(*experiment);
            assert!(!cells.is_empty(), "{}", experiment.name());
            let choices: Vec<Choices> = cells.iter().map(Choices::from).collect();
            assert_eq!(choices.iter().collect::<BTreeSet<_>>().len(), cells.len(), "{}", experiment.name());
            let tags: BTreeSet<String> = choices.iter().map(Choices::tag).collect();
            assert_eq!(tags.len(), cells.len(), "{}", experiment.name());
            assert!(tags.iter().all(|tag| !tag.contains([' ', ','])));
        }
    }

    #[test]
    fn absent_and_off_are_measured_once_a_unit() {
        let cells = cells(Experiment::PageFaults);
        let count = |reporting| cells.iter().filter(|spec| spec.reporting == reporting).count();
        assert_eq!((count(Reporting::Absent), count(Reporting::Off), count(Reporting::On)), (2, 2, 24));
    }

    #[test]
    fn a_comb_has_the_length_asked_for() {
        let cells = cells(Experiment::Walk);
        let combs: Vec<_> = cells.iter().filter(|spec| spec.load == Load::Comb).collect();
        assert_eq!(combs.len(), 3 * 2 * 3);
        for spec in combs {
            let length = spec.footprint / (2 * spec.unit.pages() * PAGE_SIZE);
            assert!([1000, 10_000, 100_000].contains(&length), "{length}");
            assert_eq!(spec.min_order, spec.unit);
        }
    }
}
