//! What the ladder shows.

use abi::axes::Axis;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cell::{self, CellSummary};
use super::stopwatch::{StopwatchSummary, Weights};
use super::waterfall::{Waterfall, waterfalls};
use super::{checks, sentences, stopwatch, tables};
use crate::archive::Archive;
use crate::axes::rung::Rung;
use crate::experiment::contract::{Findings, json};
use crate::figure::check::Check;
use crate::figure::table::Grid;
use crate::figure::unit::Unit;
use crate::trial::kind::Timed;
use crate::trial::timed::phases::Phase;

/// What the ladder shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What all figures are in that count neither trials, blocks, reports, exits nor pages.
    pub unit: Unit,
    /// From which what is drawn at random follows.
    pub seed: u64,
    /// What the stopwatch costs; empty if no trial weighed it, and then every figure has it in.
    #[serde(default)]
    pub stopwatch: Vec<StopwatchSummary>,
    /// Every rung with every discard, by discard.
    pub cells: Vec<CellSummary>,
    /// From one side of the argument to the other, for every discard.
    pub waterfalls: Vec<Waterfall>,
}

impl Found {
    /// Of a run.
    #[must_use]
    pub fn of(archive: &Archive) -> Self {
        let seed = archive.plan.seed();
        let groups = archive.groups::<Timed>();
        let (timed, weighed): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.choices.times_reports());
        let weights = Weights::of(&weighed);
        let mut cells: Vec<CellSummary> = timed.iter().map(|group| cell::cell(group, seed)).collect();
        for cell in &mut cells {
            cell.net = weights.taken_off(cell, seed);
        }
        cells.sort_by_key(|cell| (cell.discard(), cell.rung));
        cell::add_steps(&mut cells, seed);
        let stopwatch = weights.summaries(seed);
        Self { unit: archive.unit(), seed, stopwatch, waterfalls: waterfalls(&cells, seed), cells }
    }

    /// A cell of the ladder.
    #[must_use]
    pub fn cell(&self, rung: Rung, discard: Discard) -> Option<&CellSummary> {
        cell::find(&self.cells, rung, discard)
    }

    /// The discards that ran, in their own order.
    #[must_use]
    pub fn discards(&self) -> Vec<Discard> {
        Discard::ALL.iter().copied().filter(|d| self.cells.iter().any(|cell| cell.discard() == *d)).collect()
    }
}

const HOW_TO_READ: &str = "\
- *a report* is a batch of ranges told to the host and acknowledged; *a range* is what it costs over the number of ranges.
- *to the rung before* is how much more a range costs than on that rung: the mean over blocks of the difference of the two medians in that block, with a 95 % bootstrap \
interval over blocks. `~` marks an interval that holds 0, or rests on fewer than six blocks: no difference shown.
- *stopwatch* is what our own stamps, and the registers that are fetched where a port write stands in for a hypercall, \
cost a report on this host. It is weighed on empty calls in every block and taken off all other figures of the table, block by block; the table of \
phases has it in.
- *exits/1000* are exits to user space for every thousand ranges, by our count.
- *freed* is the share of reported pages that the kernel no longer held afterwards, looked at in reports made for this.
- *refault* is what touching a reported page again cost over touching a resident one.
- Phases follow one another and add up to the report. Shares are of summed cost, so rare dear reports weigh as much as \
they cost.
";

/// How the tables of timed trials are to be read.
#[must_use]
pub fn how_to_read() -> String {
    let line = |phase: &Phase| format!("  - *{}*: {}\n", phase.name(), phase.meaning());
    HOW_TO_READ.to_owned() + &Phase::ALL.iter().map(line).collect::<String>()
}

impl Findings for Found {
    fn tables(&self) -> Vec<Grid> {
        let of = |discard| [tables::ladder(self, discard), tables::phases(self, discard)];
        let stopwatch = tables::stopwatch(self).into_iter();
        stopwatch.chain(self.discards().into_iter().flat_map(of)).collect()
    }

    fn details(&self) -> Vec<Grid> {
        self.cells.iter().map(|cell| tables::one_cell(self.unit, cell)).collect()
    }

    fn sentences(&self) -> Vec<String> {
        sentences::all(self)
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![stopwatch::check_of(&self.stopwatch, &self.cells, self.unit)];
        checks.extend(checks::all(&self.cells, self.unit));
        checks
    }

    fn how_to_read(&self) -> String {
        how_to_read()
    }

    fn json(&self) -> Value {
        json(self)
    }
}
