//! Whether any page is ever lost, over every transport and with every strategy.

pub mod found;
mod told;

use host::engine::EngineSpec;

use super::contract::Asks;
use super::engine;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::high_water;
use crate::plan::{PlanError, timed_loads};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Soak;

impl Asks for Soak {
    const NAME: &'static str = "soak";
    const QUESTION: &'static str =
        "Does any page lose its contents, whatever the transport and the strategy?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/soak.toml")),
        ("quick", include_str!("../../plans/soak.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] =
        &["vcpus", "high-water", "footprint", "queue-size", "poison", "offer-poison"];
    const NOT_COUNTED: Option<&'static str> = Some("it goes on for a time");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        for walk in keys.walks.iter().flatten().map(|walk| walk.0) {
            for load in keys.loads.iter().flatten() {
                for rung in keys.rungs() {
                    let high_water = keys.high_water.unwrap_or(high_water(walk));
                    let spec = EngineSpec { walk, load: load.0, high_water, ..keys.engine(rung, call) };
                    cells.push(engine::cell(spec));
                }
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        timed_loads("loads", keys.loads.as_deref().unwrap_or_default())
    }
}
