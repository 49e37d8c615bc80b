//! The lab, as a run that took place in it tells of it.

use abi::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;

/// What time is in the lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabClock {
    /// The instructions executed so far: figures repeat exactly.
    Instructions,
    /// The clock on the wall: quicker, and figures of an emulator.
    Wall,
}

impl Axis for LabClock {
    const AXIS: &'static str = "clock";
    const ALL: &'static [Self] = &[Self::Instructions, Self::Wall];

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Wall => "wall",
        }
    }
}

/// What `environment.json` says of the lab a run took place in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// What time is in it.
    pub clock: Named<LabClock>,
    /// What the emulator says it is.
    pub emulator: String,
    /// The package its kernel and modules came in.
    pub kernel_package: String,
    /// That package's version.
    pub kernel_version: String,
    /// What it took, boot included, in seconds by the clock on the wall of the machine that emulated it.
    pub took_s: f64,
}
