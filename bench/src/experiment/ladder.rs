//! How should a guest tell its host which pages are free? From one hypercall a range to virtio, one choice a rung.

pub mod apart;
pub mod cell;
pub mod checks;
pub mod compared;
pub mod findings;
pub mod found;
pub mod gate;
mod pictures;
pub mod sentences;
pub mod stopwatch;
pub mod tables;
mod told;
pub mod undisturbed;
pub mod waterfall;
pub mod worth;

use host::axes::Discard;

use super::contract::Asks;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, each_report_calls};
use crate::trial::spec::Spec;
use found::Found;

/// The ladder.
pub struct Ladder;

impl Asks for Ladder {
    const NAME: &'static str = "ladder";
    const COMMAND: &'static str = "compare";
    const QUESTION: &'static str =
        "How should a guest tell its host which pages are free: by a hypercall or by a virtio queue?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/ladder.toml")),
        ("quick", include_str!("../../plans/ladder.quick.toml")),
        ("lab", include_str!("../../plans/ladder.lab.toml")),
        ("lab-check", include_str!("../../plans/ladder.lab-check.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["rungs", "arena", "idle-us", "until", "within", "require"];
    const NAMES_PAGES: bool = false;

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let with = |discard: &Named<Discard>| Keys { discard: Some(*discard), ..keys.clone() };
        let of = |keys: Keys| -> Vec<Spec> {
            keys.rungs().map(|rung| Spec::Timed(keys.timed(rung.transport(call)))).collect()
        };
        let rungs = keys.discards.iter().flatten().map(with).flat_map(of);
        rungs.chain(stopwatch::cells(keys, call)).collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        each_report_calls(keys)
    }
}
