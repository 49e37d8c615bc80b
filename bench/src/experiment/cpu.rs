//! What processor time it takes to give memory back, by who serves.

pub mod found;
mod told;

use super::contract::Asks;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Cpu;

impl Asks for Cpu {
    const NAME: &'static str = "cpu";
    const QUESTION: &'static str =
        "What processor time, of the vCPU's thread and of the device's, does a GiB take that is given back?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/cpu.toml")),
        ("quick", include_str!("../../plans/cpu.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena"];
    const NOT_COUNTED: Option<&'static str> =
        Some("processor time is time, and nothing tells it where instructions are counted");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let of_order = |order: &u8| {
            let keys = Keys { order: Some(*order), ..keys.clone() };
            let cells = keys.rungs().map(|rung| Spec::Timed(keys.timed(rung.transport(call))));
            cells.collect::<Vec<_>>()
        };
        keys.orders.iter().flatten().flat_map(of_order).collect()
    }
}
