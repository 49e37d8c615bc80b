//! Whether memory is reported at the rate that delay, budget and capacity say.

pub mod found;
pub mod predict;
mod told;

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use host::engine::{EngineSpec, Load, Walk};

use super::contract::Asks;
use super::engine;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::{comb, order};
use crate::plan::{PlanError, bad, one_rung};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Rates;

impl Asks for Rates {
    const NAME: &'static str = "rate";
    const QUESTION: &'static str = "Is memory reported at the rate that delay, budget and capacity say?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/rate.toml")),
        ("quick", include_str!("../../plans/rate.quick.toml")),
        ("lab", include_str!("../../plans/rate.lab.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["vcpus", "footprint", "queue-size"];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        let Some(rung) = keys.first_rung() else { return cells };
        for reported in keys.orders.iter().flatten().map(|number| order(*number)) {
            for capacity in keys.capacities.iter().flatten() {
                for delay in keys.delays_ms.iter().flatten() {
                    let delay = Duration::from_millis(*delay);
                    let spec = EngineSpec { capacity: *capacity, delay, ..keys.engine(rung, call) };
                    cells.push(engine::cell(freed_at_once(keys, spec, reported)));
                }
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        one_rung(keys)?;
        if keys.walk == Some(Named(Walk::Hold)) {
            return bad(
                "walk",
                "hold",
                "what it leaves alone follows no budget; use rewalk, boundary or rotation",
            );
        }
        engine::gives_back(keys, "a rate is one of memory given back")
    }
}

/// The largest blocks lie on their lists after a burst; smaller ones only in a comb, as they would merge.
fn freed_at_once(keys: &Keys, spec: EngineSpec, reported: Order) -> EngineSpec {
    if reported == Order::MAX {
        let footprint = keys.share(4);
        return EngineSpec {
            load: Load::IdleAfterBurst,
            unit: reported,
            min_order: reported,
            footprint,
            ..spec
        };
    }
    let bytes = engine::comb_bytes(keys, 4);
    comb(spec, reported, bytes / (2 * reported.pages() * PAGE_SIZE))
}
