//! Whether the harness tells apart what is the same: a cell compared with itself, again and again.

pub mod found;

use schemars::{Schema, SchemaGenerator};

use super::contract::{Experiment, Findings};
use crate::archive::Archive;
use crate::axes::rung::CallBy;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::site::calls::Calls;
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Same;

impl Experiment for Same {
    fn name(&self) -> &'static str {
        "same"
    }

    fn question(&self) -> &'static str {
        "How often does this harness call two things different that are the same?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[("default", include_str!("../../plans/same.toml")), ("quick", "blocks = 96\n")]
    }

    fn beside(&self) -> &'static [&'static str] {
        &["arena"]
    }

    fn fill(&self, _: &mut Keys, _: u32, _: &Calls) {}

    fn check(&self, _: &Keys) -> Result<(), PlanError> {
        Ok(())
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        keys.first_rung().map(|rung| Spec::Timed(keys.timed(rung.transport(call)))).into_iter().collect()
    }

    fn in_instructions(&self) -> Result<(), &'static str> {
        Err("counts repeat, and nothing in them is chance")
    }

    fn scope(&self, keys: &Keys) -> String {
        format!("{} reports a trial", keys.reports.unwrap_or_default())
    }

    fn found(&self, archive: &Archive) -> Box<dyn Findings> {
        Box::new(Found::of(archive))
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Found>()
    }
}
