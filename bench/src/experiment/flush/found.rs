//! How long it takes until everything is reported, and at which rate.

use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::experiment::least::{AgainstLeast, Blocks, in_tables};
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, Sampling, pairs};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::engine::measured::{EngineMeasured, Flush, Round};
use crate::trial::kind::Engine;

/// The least share of what is free that must have been reported when a flush is over.
const REPORTED: f64 = 0.95;
/// Bytes of a page over those of a GiB.
const GIB: f64 = 4096.0 / (1 << 30) as f64;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// Every transport, with each discard.
    pub cells: Vec<Cell>,
}

/// One of them. Figures are means over the rounds of a trial, their middles over blocks with their intervals.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// What is done with the pages.
    pub discard: Named<Discard>,
    /// Pages of a flush.
    pub pages: f64,
    /// Reports of a flush.
    pub reports: f64,
    /// From when the host asked to the last acknowledgement.
    pub took: Interval,
    /// How much longer than the quickest of those that discard; absent of that one, and of those that do not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against_least: Option<AgainstLeast>,
    /// GiB a billion units of that: a second, where they are nanoseconds.
    pub rate: Interval,
    /// Of what was free when a flush was over, the least share that had been reported by then.
    pub least: f64,
    /// Flushes.
    pub rounds: u64,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Engine>(), archive.sampling());
        let mut cells: Vec<(Cell, Blocks)> = groups.iter().map(|group| cell(group, how)).collect();
        let table = |cell: &Cell| cell.discards().then_some(());
        in_tables(&mut cells, table, |cell, against| cell.against_least = against, how);
        cells.sort_by_key(|(cell, _)| (cell.discard, cell.rung));
        Self { unit: archive.unit(), cells: cells.into_iter().map(|(cell, _)| cell).collect() }
    }

    fn tables(&self) -> Vec<Grid> {
        let rate = format!("GiB a {} [95 %]", self.unit.billion());
        let columns: [crate::figure::table::Column<'_, &Cell>; 8] = [
            ("transport", &|cell| label(cell.rung)),
            ("discard", &|cell| cell.discard.to_string()),
            ("reported", &|cell| number::mib(cell.pages * 4096.0)),
            ("reports", &|cell| number::number(cell.reports)),
            ("took [95 %]", &|cell| number::amount(self.unit, &cell.took)),
            ("more than the least", &|cell| {
                cell.against_least.as_ref().map_or_else(String::new, |against| against.show(self.unit))
            }),
            (&rate, &|cell| number::around(&cell.rate, "", number::number)),
            ("n", &|cell| cell.took.blocks.to_string()),
        ];
        vec![Grid::of(
            "everything that is free and not reported, from the host's question to the last acknowledgement",
            &self.cells,
            &columns,
        )]
    }

    fn comparisons(&self) -> usize {
        pairs(self.cells.iter().filter(|cell| cell.discards()).count())
    }

    fn sentences(&self) -> Vec<String> {
        let discarding = self.cells.iter().filter(|cell| cell.discards());
        let sentence = |cell: &Cell| {
            format!(
                "Over {}, {} were reported and discarded by {} in {} ({} GiB a {}).",
                label(cell.rung),
                number::mib(cell.pages * 4096.0),
                cell.discard,
                self.unit.show(cell.took.middle),
                number::number(cell.rate.middle),
                self.unit.billion()
            )
        };
        discarding.map(sentence).collect()
    }

    fn checks(&self) -> Vec<Check> {
        let what =
            format!("after every flush at least {} of what is free had been reported", percent(REPORTED));
        let short = self.cells.iter().filter(|cell| cell.least < REPORTED);
        let faults: Vec<String> = short
            .map(|cell| {
                format!("{} with discard {}: {}", label(cell.rung), cell.discard, percent(cell.least))
            })
            .collect();
        let rounds = total(self.cells.iter().map(|cell| cell.rounds));
        vec![none_of(&what, Standing::Fails, &faults, rounds, format!("{rounds} flushes"))]
    }

    fn how_to_read(&self) -> String {
        "- A round frees most of the guest, which reports nothing of it before the delay is over. Then the host asks, by answering a call of the guest's: how a \
         guest hears of it otherwise (a configuration interrupt) is in no figure.\n\
         - *took*: from the host's answer to the last acknowledgement, over the rounds of a trial; the middle over blocks with its 95 % interval.\n\
         - *more than the least*: than the quickest of those that discard, block by block; `=` equal within the margin, `~` cannot be told apart, by an exact \
         signed-rank test corrected for all their pairs.\n"
            .to_owned()
    }
}

impl Cell {
    pub(super) fn discards(&self) -> bool {
        self.discard.0 != Discard::None
    }
}

fn cell(group: &Group<'_, Engine>, how: Sampling) -> (Cell, Blocks) {
    let clock = group.clock();
    let rounds = || group.measured().flat_map(|measured| &measured.settled);
    let flushes = || rounds().filter_map(|round| round.flushed);
    let count = flushes().count() as u64;
    let mean = |of: fn(&Flush) -> u64| ratio(float(total(flushes().map(|flush| of(&flush)))), float(count));
    let took = |measured: &EngineMeasured| clock.figure(of_a_flush(measured, |flush| flush.ticks));
    let rate = |measured: &EngineMeasured| {
        ratio(of_a_flush(measured, |flush| flush.pages) * GIB * 1e9, took(measured))
    };
    let cell = Cell {
        rung: group.choices.rung().map(Named),
        discard: group.choices.way.discard,
        pages: mean(|flush| flush.pages),
        reports: mean(|flush| flush.reports),
        took: group.interval(how, took),
        against_least: None,
        rate: group.interval(how, rate),
        least: rounds().map(reported).fold(1.0, f64::min),
        rounds: count,
    };
    (cell, group.by_block(took))
}

/// The mean over the rounds of a trial.
fn of_a_flush(measured: &EngineMeasured, what: fn(&Flush) -> u64) -> f64 {
    let flushes = || measured.settled.iter().filter_map(|round| round.flushed);
    ratio(float(total(flushes().map(|flush| what(&flush)))), float(flushes().count() as u64))
}

/// Of what is free, the share that is reported.
fn reported(round: &Round) -> f64 {
    ratio(float(round.reported), float(round.free))
}
