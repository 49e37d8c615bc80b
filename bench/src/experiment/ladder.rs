//! How should a guest tell its host which pages are free? From one hypercall a range to virtio, one choice a rung.

pub mod cell;
pub mod checks;
pub mod found;
pub mod gate;
pub mod sentences;
pub mod stopwatch;
pub mod tables;
pub mod waterfall;

use host::axes::{Discard, Workload};
use schemars::{Schema, SchemaGenerator};

use super::contract::{Experiment, Findings};
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::site::calls::Calls;
use crate::trial::spec::Spec;
use found::Found;

/// The ladder.
pub struct Ladder;

impl Experiment for Ladder {
    fn name(&self) -> &'static str {
        "ladder"
    }

    fn command(&self) -> &'static str {
        "compare"
    }

    fn question(&self) -> &'static str {
        "How should a guest tell its host which pages are free: by a hypercall or by a virtio queue?"
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("default", include_str!("../../plans/ladder.toml")),
            ("quick", include_str!("../../plans/ladder.quick.toml")),
            ("lab", include_str!("../../plans/ladder.lab.toml")),
            ("lab-check", include_str!("../../plans/ladder.lab-check.toml")),
        ]
    }

    fn beside(&self) -> &'static [&'static str] {
        &["rungs", "arena"]
    }

    fn fill(&self, keys: &mut Keys, _: u32, calls: &Calls) {
        keys.rungs.get_or_insert_with(|| calls.rungs().map(Named).collect());
    }

    fn check(&self, _: &Keys) -> Result<(), PlanError> {
        Ok(())
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        let with = |discard: &Named<Discard>| Keys { discard: Some(*discard), ..keys.clone() };
        let of = |keys: Keys| -> Vec<Spec> {
            keys.rungs().map(|rung| Spec::Timed(keys.timed(rung.transport(call)))).collect()
        };
        let rungs = keys.discards.iter().flatten().map(with).flat_map(of);
        rungs.chain(stopwatch::cells(keys, call)).collect()
    }

    fn scope(&self, keys: &Keys) -> String {
        format!(
            "{} ranges of order {} a report and the {} workload",
            keys.batch.unwrap_or_default(),
            keys.order.unwrap_or_default(),
            keys.workload.unwrap_or(Named(Workload::Random))
        )
    }

    fn found(&self, archive: &Archive) -> Box<dyn Findings> {
        Box::new(Found::of(archive))
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Found>()
    }
}
