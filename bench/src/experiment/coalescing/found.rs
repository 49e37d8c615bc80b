//! What a range costs over every carrier, by the ranges of a report.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::measured::TimedMeasured;
use crate::trial::timed::phases::Phase;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What costs are in.
    pub unit: Unit,
    /// The transport that the others are held against: the first of the plan that ran.
    pub against: Option<Named<Rung>>,
    /// Every transport with every batch that it takes.
    pub cells: Vec<Cell>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// Ranges in a report.
    pub batch: u16,
    /// Exits to user space for every thousand ranges.
    pub exits_per_1000_ranges: f64,
    /// A range, by the mean of all reports: where many share a call, most of them know nothing of it.
    pub a_range: Interval,
    /// Change against the transport that is held against, with the same batch; absent for that one, and where it does
    /// not take the batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Interval>,
}

/// A range, by the mean of all reports.
fn a_range(measured: &TimedMeasured) -> f64 {
    ratio(measured.phase(Phase::Total).mean * float(measured.reports), float(measured.ranges))
}

fn cell(group: &Group<'_, Timed>, against: Option<&Group<'_, Timed>>, how: Sampling) -> Cell {
    let exits = total(group.measured().map(|measured| measured.counts.exits.transport()));
    let ranges = total(group.measured().map(|measured| measured.ranges));
    Cell {
        rung: group.choices.rung().map(Named),
        batch: group.choices.batch,
        exits_per_1000_ranges: 1e3 * ratio(float(exits), float(ranges)),
        a_range: group.interval(how, a_range),
        change: against
            .and_then(|other| group.against(other, how, a_range, |ours, theirs| ratio(ours, theirs) - 1.0)),
    }
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Timed>(), archive.sampling());
        let has = |rung: Rung| groups.iter().any(|group| group.choices.rung() == Some(rung));
        let against = archive.plan.choices.rungs().find(|rung| has(*rung));
        let base = |group: &Group<'_, Timed>| {
            let is_base = |other: &&Group<'_, Timed>| {
                other.choices.rung() == against && other.choices.batch == group.choices.batch
            };
            groups.iter().find(is_base).filter(|_| group.choices.rung() != against)
        };
        let mut cells: Vec<Cell> = groups.iter().map(|group| cell(group, base(group), how)).collect();
        cells.sort_by_key(|cell| (cell.rung, cell.batch));
        let rungs: BTreeSet<_> = cells.iter().map(|cell| cell.rung).collect();
        for rung in rungs {
            // A curve, and a sentence, a rung.
            holm(cells.iter_mut().filter(|cell| cell.rung == rung).filter_map(|cell| cell.change.as_mut()));
        }
        Self { unit: archive.unit(), against: against.map(Named), cells }
    }

    fn tables(&self) -> Vec<Grid> {
        let blocks = self.cells.iter().map(|cell| cell.a_range.blocks).min().unwrap_or_default();
        let base = label(self.against);
        vec![
            self.across(format!("a range, by the ranges of a report; middles over {blocks} blocks"), |cell| {
                self.unit.show(cell.a_range.middle)
            }),
            self.across(
                format!("change of that against {base}, in per cent; ± half the 95 % interval, n = {blocks}, ~ no difference shown; corrected row by row"),
                |cell| cell.change.as_ref().map_or_else(String::new, number::short_share),
            ),
            self.across("exits to user space for every thousand ranges".to_owned(), |cell| {
                number::number(cell.exits_per_1000_ranges)
            }),
        ]
    }

    fn details(&self) -> Vec<Grid> {
        let title = "a range, by the ranges of a report, with the 95 % interval of its mean".to_owned();
        vec![self.across(title, |cell| number::amount(self.unit, &cell.a_range))]
    }

    fn comparisons(&self) -> usize {
        let of = |rung| self.cells.iter().filter(|cell| cell.rung == rung && cell.change.is_some()).count();
        self.rungs().into_iter().map(of).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        let others = self.rungs().into_iter().filter(|rung| *rung != self.against);
        others.filter_map(|rung| self.crossing(rung)).collect()
    }

    fn how_to_read(&self) -> String {
        "- *a range*: the mean of all reports over their ranges, so that a call that many reports share is in it; the mean of that over blocks, with its \
         95 % interval. The stopwatch is in it, and weighs most where a report is one range.\n\
         - A cell is empty where the carrier takes no such report: a log holds 255 ranges that may all be taken back, and KVM queues 169 writes.\n\
         - Of a log one range in eight is taken back, which takes an entry more and no discard.\n"
            .to_owned()
    }
}

impl Found {
    fn rungs(&self) -> BTreeSet<Option<Named<Rung>>> {
        self.cells.iter().map(|cell| cell.rung).collect()
    }

    fn across(&self, title: String, show: impl Fn(&Cell) -> String) -> Grid {
        let batches: BTreeSet<u16> = self.cells.iter().map(|cell| cell.batch).collect();
        let header =
            std::iter::once("ranges a report".to_owned()).chain(batches.iter().map(ToString::to_string));
        let row = |rung: &Option<Named<Rung>>| {
            let here =
                |batch: &u16| self.cells.iter().find(|cell| cell.rung == *rung && cell.batch == *batch);
            let cells = batches.iter().map(|batch| here(batch).map_or_else(String::new, &show));
            std::iter::once(label(*rung)).chain(cells).collect()
        };
        Grid::new(title, header.collect(), self.rungs().iter().map(row).collect())
    }

    /// Where the curve of a transport crosses the one that is held against.
    fn crossing(&self, rung: Option<Named<Rung>>) -> Option<String> {
        let changes = || {
            let cells = self.cells.iter().filter(move |cell| cell.rung == rung);
            cells.filter_map(|cell| Some((cell.batch, cell.change.as_ref()?)))
        };
        changes().next()?;
        let of = |shown: fn(&Interval) -> bool| {
            changes()
                .filter(|(_, change)| shown(change))
                .map(|(batch, _)| batch.to_string())
                .collect::<Vec<_>>()
        };
        let parts = [
            ("cheaper", of(|change| change.shows_difference() && change.middle < 0.0)),
            ("dearer", of(|change| change.shows_difference() && change.middle > 0.0)),
            ("not told apart", of(|change| !change.shows_difference())),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(_, batches)| !batches.is_empty())
            .map(|(what, batches)| format!("{what} at {}", batches.join(", ")))
            .collect();
        Some(format!("A range over {} against {}: {}.", label(rung), label(self.against), said.join("; ")))
    }
}
