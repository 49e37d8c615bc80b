//! A part of a report that was measured by itself, as it is written.

use host::axes::GuestRing;
use host::probe::{Floor, FloorFact};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::figure::unit::Clock;

/// A part of a report that was measured by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FloorRecord {
    /// Which part.
    pub floor: Named<Floor>,
    /// The mode of the guest.
    pub guest_ring: Named<GuestRing>,
    /// What it costs in `unit` of the environment, if it could be measured: the middle of some.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost: Option<f64>,
    /// A quarter of them below, and a quarter above.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ends: Option<[f64; 2]>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl FloorRecord {
    /// In the unit of a clock, to a thousandth.
    #[must_use]
    pub fn of(fact: &FloorFact, clock: Clock) -> Self {
        let figure = |ticks: f64| (clock.figure(ticks) * 1e3).round() / 1e3;
        let ticks = fact.ticks.as_ref();
        Self {
            floor: Named(fact.floor),
            guest_ring: Named(fact.guest_ring),
            cost: ticks.ok().map(|ticks| figure(ticks.middle)),
            ends: ticks.ok().map(|ticks| [ticks.low, ticks.high].map(figure)),
            reason: ticks.err().cloned(),
        }
    }
}
