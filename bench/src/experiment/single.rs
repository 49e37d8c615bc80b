//! One trial of a kind, every choice a flag.

pub mod engine;
pub mod timed;

use host::engine::Load;
use schemars::{Schema, SchemaGenerator};

use super::contract::{Experiment, Findings};
use super::engine as shared;
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::{CallBy, Rung};
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::site::calls::Calls;
use crate::trial::spec::Spec;

/// One timed trial.
pub struct OneTimed;

/// One trial of the engine.
pub struct OneEngine;

fn preset(keys: &Keys) -> Rung {
    keys.preset.map_or(Rung::Virtio, |preset| preset.0)
}

impl Experiment for OneTimed {
    fn name(&self) -> &'static str {
        "run"
    }

    fn question(&self) -> &'static str {
        "What does one timed trial show, every axis a flag?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("default", include_str!("../../plans/run.toml")),
            ("quick", "reports = 100\nwarmup = 20\n"),
            ("lab", "reports = 32\nwarmup = 8\narena = 4194304\n"),
        ]
    }

    fn beside(&self) -> &'static [&'static str] {
        &["carrier", "doorbell", "servicer", "completion", "arena", "blocks"]
    }

    fn fill(&self, _: &mut Keys, _: u32, _: &Calls) {}

    fn check(&self, _: &Keys) -> Result<(), PlanError> {
        Ok(())
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        vec![Spec::Timed(keys.timed(preset(keys).transport(call)))]
    }

    fn scope(&self, _: &Keys) -> String {
        String::new()
    }

    fn found(&self, archive: &Archive) -> Box<dyn Findings> {
        Box::new(timed::Found::of(archive))
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<timed::Found>()
    }
}

impl Experiment for OneEngine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn question(&self) -> &'static str {
        "What does one trial of the guest's reporting engine show, every parameter a flag?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[("default", include_str!("../../plans/engine.toml")), ("quick", "memory = 134217728\n")]
    }

    fn beside(&self) -> &'static [&'static str] {
        &[
            "vcpus",
            "high-water",
            "footprint",
            "queue-size",
            "poison",
            "offer-poison",
            "carrier",
            "doorbell",
            "servicer",
            "completion",
            "watch-ms",
            "shuffle",
            "capacity",
            "delay-ms",
            "budget",
            "watermark",
            "rounds",
            "warmup-ms",
            "window-ms",
            "settle-ms",
            "blocks",
        ]
    }

    fn fill(&self, keys: &mut Keys, processors: u32, _: &Calls) {
        // A comb is one list, and made by one processor.
        let processors = if keys.load == Some(Named(Load::Comb)) { 1 } else { processors };
        shared::fill(keys, processors);
    }

    fn check(&self, _: &Keys) -> Result<(), PlanError> {
        Ok(())
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        // What is chosen for a single trial and would change nothing is refused, not passed over.
        vec![Spec::Engine(keys.engine(preset(keys), call))]
    }

    fn scope(&self, _: &Keys) -> String {
        String::new()
    }

    fn found(&self, archive: &Archive) -> Box<dyn Findings> {
        Box::new(engine::Found::of(archive))
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<engine::Found>()
    }
}
