//! Whether any page is ever lost, over every transport and with every strategy.

use host::engine::{GuestCounter, Load, Walk};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{float, total};
use crate::trial::kind::Engine;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// For each strategy, load and transport.
    pub cells: Vec<Soaked>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Soaked {
    /// The strategy.
    pub walk: Named<Walk>,
    /// The load.
    pub load: Named<Load>,
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// Virtual processors.
    pub vcpus: u32,
    /// Trials.
    pub trials: usize,
    /// Pages reported.
    pub reported: u64,
    /// Pages of which the guest checked a word.
    pub checked: u64,
    /// Times that the guest found anything wrong.
    pub violations: u64,
    /// Pages that the host looked at itself when the guest had come to rest.
    pub looked: u64,
    /// Of these, such as were there and were read from end to end.
    pub read: u64,
    /// Of these, wrong.
    pub wrong: u64,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let soaked = |group: &Group<'_, Engine>| Soaked {
            walk: group.choices.walk,
            load: group.choices.load,
            rung: group.choices.rung().map(Named),
            vcpus: group.choices.vcpus,
            trials: group.trials.len(),
            reported: group.sum(GuestCounter::ReportedPages),
            checked: group.sum(GuestCounter::Checked),
            violations: total(
                group.measured().flat_map(|measured| measured.counts.violations.values().copied()),
            ),
            looked: total(group.measured().map(|measured| measured.looked.pages)),
            read: total(group.measured().map(|measured| measured.looked.read)),
            wrong: total(group.measured().map(|measured| measured.looked.wrong)),
        };
        let mut cells: Vec<Soaked> = archive.groups::<Engine>().iter().map(soaked).collect();
        cells.sort_by_key(|cell| (cell.walk, cell.load, cell.rung));
        Self { cells }
    }

    fn tables(&self) -> Vec<Grid> {
        let vcpus = self.cells.iter().map(|cell| cell.vcpus).max().unwrap_or_default();
        let pages = |pages| number::number(float(pages));
        vec![Grid::of(
            format!("pages that guest and host looked at, {vcpus} vCPUs"),
            &self.cells,
            &[
                ("walk", &|cell| cell.walk.to_string()),
                ("load", &|cell| cell.load.to_string()),
                ("transport", &|cell| label(cell.rung)),
                ("reported", &|cell| pages(cell.reported)),
                ("checked by the guest", &|cell| pages(cell.checked)),
                ("violations", &|cell| cell.violations.to_string()),
                ("looked at by the host", &|cell| pages(cell.looked)),
                ("read", &|cell| pages(cell.read)),
                ("wrong", &|cell| cell.wrong.to_string()),
                ("trials", &|cell| cell.trials.to_string()),
            ],
        )]
    }

    fn sentences(&self) -> Vec<String> {
        let sum = |of: fn(&Soaked) -> u64| total(self.cells.iter().map(of));
        vec![format!(
            "{} trials, {} pages reported; the guest checked a word of {} pages and found {} violations; the host looked at {} pages of guests at rest, read the {} that were there from end to end, and found {} wrong.",
            self.cells.iter().map(|cell| cell.trials).sum::<usize>(),
            sum(|cell| cell.reported),
            sum(|cell| cell.checked),
            sum(|cell| cell.violations),
            sum(|cell| cell.looked),
            sum(|cell| cell.read),
            sum(|cell| cell.wrong)
        )]
    }
}
