//! Whether any page is ever lost, over every transport and with every strategy.

pub mod found;

use host::engine::EngineSpec;
use schemars::{Schema, SchemaGenerator};

use super::contract::{Experiment, Findings};
use super::engine;
use crate::archive::Archive;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::high_water;
use crate::plan::{PlanError, bad};
use crate::site::calls::Calls;
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Soak;

impl Experiment for Soak {
    fn name(&self) -> &'static str {
        "soak"
    }

    fn question(&self) -> &'static str {
        "Does any page lose its contents, whatever the transport and the strategy?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("default", include_str!("../../plans/soak.toml")),
            ("quick", include_str!("../../plans/soak.quick.toml")),
        ]
    }

    fn beside(&self) -> &'static [&'static str] {
        &["vcpus", "high-water", "footprint", "queue-size", "poison", "offer-poison"]
    }

    fn fill(&self, keys: &mut Keys, processors: u32, _: &Calls) {
        engine::fill(keys, processors);
    }

    fn check(&self, keys: &Keys) -> Result<(), PlanError> {
        if let Some(load) = keys.loads.iter().flatten().find(|load| !load.0.is_timed()) {
            return bad("loads", load, "a soak takes loads that are timed: page_fault1, churn");
        }
        engine::check(keys)
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
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

    fn in_instructions(&self) -> Result<(), &'static str> {
        Err("it goes on for a time")
    }

    fn scope(&self, keys: &Keys) -> String {
        engine::scope(keys)
    }

    fn found(&self, archive: &Archive) -> Box<dyn Findings> {
        Box::new(Found::of(archive))
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Found>()
    }
}
