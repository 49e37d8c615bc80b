//! What it costs to report memory, by the order reported and the blocks a report holds: for each a comb, which
//! tells the cost of reporting, and a load, which tells what it slows down.

pub mod found;
mod told;

use abi::addr::PAGE_SIZE;
use host::engine::{EngineSpec, Reporting};

use super::contract::Asks;
use super::engine;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::{comb, order};
use crate::plan::{PlanError, timed_loads};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Sweep;

impl Asks for Sweep {
    const NAME: &'static str = "sweep";
    const QUESTION: &'static str =
        "What does it cost to report memory, by the order reported and the blocks a report holds?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/sweep.toml")),
        ("quick", include_str!("../../plans/sweep.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["vcpus", "footprint"];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        let Some(first) = keys.first_rung() else { return cells };
        for reported in keys.orders.iter().flatten().map(|number| order(*number)) {
            let load = |rung| EngineSpec { unit: reported, min_order: reported, ..keys.engine(rung, call) };
            cells.push(engine::cell(EngineSpec { reporting: Reporting::Absent, ..load(first) }));
            for rung in keys.rungs() {
                for capacity in keys.capacities.iter().flatten() {
                    let load = EngineSpec { capacity: *capacity, ..load(rung) };
                    let bytes = engine::comb_bytes(keys, 2);
                    let length = bytes / (2 * reported.pages() * PAGE_SIZE);
                    let comb = EngineSpec { budget: 0, ..comb(load, reported, length) };
                    cells.extend([engine::cell(comb), engine::cell(load)]);
                }
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        timed_loads("load", keys.load.as_slice())?;
        engine::gives_back(keys, "its cost is one of giving memory back and bringing it back")
    }
}
