//! What the ladder shows.

use abi::axes::Axis;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::apart::{Apart, take_apart};
use super::cell::{self, CellSummary};
use super::compared::{Against, Compared, Tails, compared};
use super::stopwatch::{StopwatchSummary, Weights};
use super::undisturbed::{Undisturbed, undisturbed};
use super::waterfall::{Waterfall, waterfalls};
use super::worth::{Worth, worth};
use crate::archive::Archive;
use crate::axes::rung::Rung;
use crate::figure::interval::Sampling;
use crate::figure::unit::Unit;
use crate::trial::kind::Timed;
use crate::trial::quiet;

/// What the ladder shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What all figures are in that count neither trials, blocks, reports, exits nor pages.
    pub unit: Unit,
    /// From which what is drawn at random follows.
    pub how: Sampling,
    /// What the stopwatch costs; empty if no trial weighed it, and then every figure has it in.
    #[serde(default)]
    pub stopwatch: Vec<StopwatchSummary>,
    /// Every rung with every discard, by discard.
    pub cells: Vec<CellSummary>,
    /// Every comparison that is made: what it says, what it could have seen, and quantiles beside medians.
    #[serde(default)]
    pub compared: Vec<Compared>,
    /// What a run is about, without the blocks in which the machine was disturbed; empty if there are none, and if there
    /// are no others.
    #[serde(default)]
    pub undisturbed: Vec<Undisturbed>,
    /// Every report that discards, taken apart.
    pub apart: Vec<Apart>,
    /// How long blocks must stay free for their reports to pay; empty where figures are no time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worth: Vec<Worth>,
    /// From one side of the argument to the other, for every discard.
    pub waterfalls: Vec<Waterfall>,
}

impl Found {
    /// Of a run.
    #[must_use]
    pub fn new(archive: &Archive) -> Self {
        let how = archive.sampling();
        let groups = archive.groups::<Timed>();
        let (timed, weighed): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.choices.times_reports());
        let weights = Weights::of(&weighed);
        let mut cells: Vec<CellSummary> = timed.iter().map(cell::cell).collect();
        for cell in &mut cells {
            cell.net = weights.taken_off(cell, how);
        }
        cells.sort_by_key(|cell| (cell.discard(), cell.rung));
        cell::add_steps(&mut cells, how);
        let compared = compared(&cells, &Tails::of(&timed), how);
        Self {
            unit: archive.unit(),
            how,
            undisturbed: undisturbed(&cells, &compared, &quiet::disturbed(&archive.trials), how),
            stopwatch: weights.summaries(how),
            waterfalls: waterfalls(&cells, how),
            compared,
            apart: take_apart(&cells, how),
            worth: worth(&cells, archive.unit(), how),
            cells,
        }
    }

    /// A cell of the ladder.
    #[must_use]
    pub fn cell(&self, rung: Rung, discard: Discard) -> Option<&CellSummary> {
        cell::find(&self.cells, rung, discard)
    }

    /// A comparison of a rung.
    #[must_use]
    pub fn comparison(&self, against: Against, to: Rung, discard: Discard) -> Option<&Compared> {
        self.compared
            .iter()
            .find(|compared| (compared.against, compared.to.0, compared.discard.0) == (against, to, discard))
    }

    /// The discards that ran, in their own order.
    #[must_use]
    pub fn discards(&self) -> Vec<Discard> {
        Discard::ALL.iter().copied().filter(|d| self.cells.iter().any(|cell| cell.discard() == *d)).collect()
    }
}
