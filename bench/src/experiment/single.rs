//! One trial of a kind, every choice a flag.

pub mod engine;
pub mod timed;

use super::contract::Asks;
use crate::axes::rung::{CallBy, Rung};
use crate::plan::keys::Keys;
use crate::trial::spec::Spec;

/// One timed trial.
pub struct OneTimed;

/// One trial of the engine.
pub struct OneEngine;

fn preset(keys: &Keys) -> Rung {
    keys.preset.map_or(Rung::Virtio, |preset| preset.0)
}

impl Asks for OneTimed {
    const NAME: &'static str = "run";
    const QUESTION: &'static str = "What does one timed trial show, every axis a flag?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/run.toml")),
        ("quick", "reports = 100\nwarmup = 20\n"),
        ("lab", "reports = 32\nwarmup = 8\narena = 4194304\n"),
    ];
    const BESIDE: &'static [&'static str] = &[
        "carrier",
        "ring-features",
        "doorbell",
        "servicer",
        "completion",
        "halt-poll",
        "in-flight",
        "idle-us",
        "arena",
        "blocks",
        "vcpus",
        "reporters",
    ];
    const NAMES_PAGES: bool = false;

    type Found = timed::Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        vec![Spec::Timed(keys.timed(preset(keys).transport(call)))]
    }
}

impl Asks for OneEngine {
    const NAME: &'static str = "engine";
    const QUESTION: &'static str =
        "What does one trial of the guest's reporting engine show, every parameter a flag?";
    const PLANS: &'static [(&'static str, &'static str)] =
        &[("default", include_str!("../../plans/engine.toml")), ("quick", "memory = 134217728\n")];
    const BESIDE: &'static [&'static str] = &[
        "vcpus",
        "high-water",
        "footprint",
        "queue-size",
        "poison",
        "offer-poison",
        "carrier",
        "ring-features",
        "doorbell",
        "servicer",
        "completion",
        "halt-poll",
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
    ];

    type Found = engine::Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        // What is chosen for a single trial and would change nothing is refused, not passed over.
        vec![Spec::Engine(keys.engine(preset(keys), call))]
    }
}
