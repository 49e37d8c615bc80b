//! What the cells of a batch run show: the terms they are made of, and from how many ranges on virtio is no dearer than a call, by
//! the model and as it was measured.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measured::{self, Against};
use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, check};
use crate::figure::interval::{Interval, Sampling};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, percent};
use crate::model::cost::{Blocks, Report};
use crate::model::even::{CALLS, Contest, Even};
use crate::model::fit::Fit;
use crate::model::floors::doorbells_of;
use crate::model::observed::{Cell, Observed};
use crate::model::profile::Profile;
use crate::model::scale::Scale;
use crate::model::tables;

/// Ranges in a report of Linux.
pub(super) const LINUX: u16 = 32;
/// The middle cell that was held out must not be further off, and the band must hold so many.
const HELD_OUT: [f64; 2] = [0.15, 0.90];

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The terms, and how far off they are; absent if too little ran.
    pub fit: Option<Fit>,
    /// What a range costs over every transport that names pages, as it was measured.
    pub prices: Vec<Priced>,
    /// What costs are in.
    pub unit: Option<Unit>,
    /// Whether figures were counted, and repeat.
    pub is_counted: bool,
    /// By the model: from how many ranges on virtio is no dearer.
    pub even: Vec<Even>,
    /// As measured: virtio against each call, for every batch with which both ran.
    pub measured: Vec<Against>,
    /// By the model: reports as large as Linux's.
    pub contests: Vec<Contest>,
}

/// A cell as it was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Priced {
    /// What its reports are.
    #[serde(flatten)]
    pub report: Report,
    /// What a range costs.
    pub a_range: Interval,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let observed = Observed::of(archive);
        let how = archive.sampling();
        let floors = doorbells_of(archive);
        let fit = Fit::of(&observed.cells, &floors, Scale::from(archive.unit()), archive.plan.seed(), how);
        let blocks: BTreeSet<Blocks> = observed.cells.iter().map(|cell| cell.report.blocks).collect();
        let profile = fit.as_ref().map(|fit| named(fit, archive));
        let even = |profile: &Profile| {
            blocks.iter().flat_map(|blocks| CALLS.map(|call| Even::of(profile, call, *blocks))).collect()
        };
        let contests =
            |profile: &Profile| blocks.iter().map(|blocks| Contest::of(profile, LINUX, *blocks)).collect();
        Self {
            is_counted: how == Sampling::Counted,
            even: profile.as_ref().map(even).unwrap_or_default(),
            contests: profile.as_ref().map(contests).unwrap_or_default(),
            measured: Against::all(&observed, how),
            prices: prices(&observed, how),
            unit: Some(archive.unit()),
            fit,
        }
    }

    fn tables(&self) -> Vec<Grid> {
        let Some(fit) = &self.fit else { return Vec::new() };
        let mut tables = tables::of_fit(fit, self.is_counted);
        let even = tables::of_evens(&fit.profile().called("this host"), &self.even);
        tables.splice(0..0, [even, measured::sides(&self.measured)]);
        tables
    }

    fn details(&self) -> Vec<Grid> {
        let Some(fit) = &self.fit else { return Vec::new() };
        let measured = Grid::of(
            format!("measured: virtio against a call with the same batch, n = {}", fit.blocks),
            &self.measured,
            &[
                ("blocks", &|row| row.blocks.title()),
                ("than", &|row| row.against.to_string()),
                ("ranges", &|row| row.batch.to_string()),
                ("change [95 %]", &|row| number::share(&row.change)),
            ],
        );
        let profile = fit.profile().called("this host");
        [measured]
            .into_iter()
            .chain(self.contests.iter().map(|contest| tables::of_contest(&profile, contest)))
            .collect()
    }

    fn comparisons(&self) -> usize {
        self.measured.len()
    }

    fn sentences(&self) -> Vec<String> {
        let Some(fit) = &self.fit else {
            return vec!["No block has a report of every transport: nothing can be fitted.".to_owned()];
        };
        self.contests.iter().map(|contest| self.said_of(contest)).chain(tables::sentences(fit)).collect()
    }

    fn checks(&self) -> Vec<Check> {
        vec![self.predicts(), measured::bears_out(&self.even, &self.measured)]
    }

    fn how_to_read(&self) -> String {
        "- A report's cost is the sum of its terms (docs/model.md): an exit or a kick, a wake-up, so much a range, a discard. Terms are solved for in every \
         block, and a term's interval is that of its figures over blocks. *measured* and *predicted* are of a report; *off* is by how much the former is \
         above the latter.\n\
         - Tables that say MODEL are sums of terms; the band is by how much cells are off that a fit has not seen. Those that say *measured* are not.\n"
            .to_owned()
    }
}

impl Found {
    /// Who wins by the model, and what was measured that is otherwise.
    pub(super) fn said_of(&self, contest: &Contest) -> String {
        let said = contest.sentence();
        match measured::contradiction(&self.even, &self.measured, contest.blocks) {
            Some(what) => format!("{} ({what}).", said.trim_end_matches('.')),
            None => said,
        }
    }

    /// Whether cells that were held out are where the model has them.
    fn predicts(&self) -> Check {
        let what = "the model predicts cells that it was not fitted to";
        let Some(held) = self.fit.as_ref().and_then(|fit| fit.held_out) else {
            return check(what, Standing::Unknown, "too few cells to hold some out".to_owned());
        };
        let [most, least] = HELD_OUT;
        let holds = held.median <= most && held.covered >= least;
        let detail = format!(
            "{} cells, the middle one off by {} (at most {}), {} of them in the band of ±{} (at least {})",
            held.cells,
            percent(held.median),
            percent(most),
            percent(held.covered),
            percent(held.band),
            percent(least)
        );
        check(what, if holds { Standing::Holds } else { Standing::Doubtful }, detail)
    }
}

fn named(fit: &Fit, archive: &Archive) -> Profile {
    fit.profile().called(&archive.environment.host)
}

/// Every cell that names pages, by what its ranges are, its transport and their number.
fn prices(observed: &Observed, how: Sampling) -> Vec<Priced> {
    let priced = |cell: &Cell| {
        let ranges = f64::from(cell.report.batch);
        let costs: Vec<f64> = cell.totals.values().map(|cost| cost / ranges).collect();
        Some(Priced { report: cell.report, a_range: Interval::of(&costs, how)? })
    };
    let named = observed.cells.iter().filter(|cell| cell.report.rung.0.names_pages());
    let mut prices: Vec<Priced> = named.filter_map(priced).collect();
    prices.sort_by_key(|cell| (cell.report.blocks, cell.report.rung, cell.report.batch));
    prices
}
