//! Whether the memory that a guest has freed comes back to the host, and how soon.

pub mod found;

use host::engine::{EngineSpec, Load};
use schemars::{Schema, SchemaGenerator};

use super::contract::{Experiment, Findings};
use super::engine;
use crate::archive::Archive;
use crate::axes::rung::CallBy;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::site::calls::Calls;
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Memhog;

impl Experiment for Memhog {
    fn name(&self) -> &'static str {
        "memhog"
    }

    fn question(&self) -> &'static str {
        "Does the memory that a guest has freed come back to the host, and how soon?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("default", include_str!("../../plans/memhog.toml")),
            ("quick", include_str!("../../plans/memhog.quick.toml")),
        ]
    }

    fn beside(&self) -> &'static [&'static str] {
        &["vcpus", "high-water", "footprint", "queue-size", "poison", "offer-poison"]
    }

    fn fill(&self, keys: &mut Keys, processors: u32, _: &Calls) {
        engine::fill(keys, processors);
    }

    fn check(&self, keys: &Keys) -> Result<(), PlanError> {
        engine::check(keys)
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        let footprint = keys.share(4) * 3;
        let hog = |rung| EngineSpec { load: Load::Memhog, footprint, ..keys.engine(rung, call) };
        keys.rungs().map(|rung| engine::cell(hog(rung))).collect()
    }

    fn in_instructions(&self) -> Result<(), &'static str> {
        Err("it waits for reporting to settle, and an idle machine executes nothing")
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
