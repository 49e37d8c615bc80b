//! One timed trial: every phase.

use abi::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::experiment::ladder::cell::{self, CellSummary};
use crate::experiment::ladder::findings::how_to_read;
use crate::experiment::ladder::{checks, tables};
use crate::experiment::told::Told;
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure, Scale};
use crate::figure::check::Check;
use crate::figure::interval::Sampling;
use crate::figure::quantity::Quantity;
use crate::figure::table::Grid;
use crate::figure::unit::Unit;
use crate::trial::kind::Timed;
use crate::trial::timed::phases::Phase;

/// What the trial shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What all figures are in that count neither trials, blocks, reports, exits nor pages.
    pub unit: Unit,
    /// Where the figures come from.
    pub how: Sampling,
    /// The trial as a cell of its own; none if it failed.
    pub cells: Vec<CellSummary>,
}

impl Told for Found {
    /// The phases of each trial's reports.
    fn charts(&self, _: &Archive) -> Vec<Chart> {
        self.cells.iter().enumerate().map(|(number, cell)| phases(self.unit, number, cell)).collect()
    }
}

fn phases(unit: Unit, number: usize, cell: &CellSummary) -> Chart {
    let bars = Phase::ALL.iter().map(|phase| {
        let cost = cell.phase(*phase).cost;
        Bar::plain(phase.name(), cost.p50, format!("{} (p99 {})", unit.show(cost.p50), unit.show(cost.p99)))
    });
    Chart {
        id: format!("phases-{number}"),
        title: format!("{}: what a report costs, phase by phase", cell.title()),
        reading: "Median of each phase over all reports, p99 beside it; medians of phases do not add up to that of the report.".to_owned(),
        caveats: vec![format!("{} trials: no difference to anything else is shown by this.", cell.trials)],
        body: Body::Bars(Bars {
            along: Measure { label: "cost of a report".to_owned(), quantity: Quantity::Cost(unit), scale: Scale::Linear },
            bars: bars.collect(),
        }),
    }
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let how = archive.sampling();
        let cells = archive.groups::<Timed>().iter().map(|group| cell::cell(group)).collect();
        Self { unit: archive.unit(), how, cells }
    }

    fn tables(&self) -> Vec<Grid> {
        self.cells.iter().map(|cell| tables::one_cell(self.unit, cell)).collect()
    }

    fn sentences(&self) -> Vec<String> {
        let sentence = |cell: &CellSummary| {
            // The call of one report in hundreds is in no median.
            let mean = match cell.choices.gathers() {
                true => format!("mean {}, ", self.unit.show(cell.per_range.mean)),
                false => String::new(),
            };
            format!(
                "A range: {mean}median {}, p99 {}; {:.0} exits for 1000 ranges; n = {} reports.",
                self.unit.show(cell.per_range.p50),
                self.unit.show(cell.per_range.p99),
                cell.exits_per_1000_ranges,
                cell.reports
            )
        };
        self.cells.iter().map(sentence).collect()
    }

    fn checks(&self) -> Vec<Check> {
        checks::all(&self.cells, self.unit, self.how)
    }

    fn how_to_read(&self) -> String {
        how_to_read()
    }
}
