//! Whether the harness tells apart what is the same: a cell compared with itself, again and again.

pub mod found;
mod told;

use super::contract::Asks;
use crate::axes::rung::CallBy;
use crate::figure::interval::blocks_needed;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad, one_rung};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Same;

impl Asks for Same {
    const NAME: &'static str = "same";
    const QUESTION: &'static str = "How often does this harness call two things different that are the same?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/same.toml")),
        ("quick", "blocks = 102\n"),
        ("calm", include_str!("../../plans/same.calm.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena", "pairs"];
    const NAMES_PAGES: bool = false;
    const NOT_COUNTED: Option<&'static str> = Some("counts repeat, and nothing in them is chance");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        keys.first_rung().map(|rung| Spec::Timed(keys.timed(rung.transport(call)))).into_iter().collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        match keys.pairs.map(|pairs| pairs as usize).filter(|pairs| *pairs < blocks_needed(1)) {
            Some(pairs) => bad("pairs", pairs, "fewer than six show no difference at all"),
            None => one_rung(keys),
        }
    }
}
