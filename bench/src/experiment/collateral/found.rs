//! What reports did to memory that they did not name.

use abi::addr::Order;
use host::axes::{Backing, Discard};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, Sampling};
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::Grid;
use crate::figure::unit::{float, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::measured::{CollateralCounts, TimedMeasured};

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Every discard, with every memory it goes with, of every order.
    pub cells: Vec<Cell>,
}

/// One of them; a report, in the mean over those that were looked at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// What is done with a range.
    pub discard: Named<Discard>,
    /// What memory is made of.
    pub backing: Named<Backing>,
    /// The order of a range.
    pub order: u8,
    /// Ranges in a report.
    pub ranges: u16,
    /// Reports that were looked at.
    pub reports: u64,
    /// Pages that were looked at after them.
    pub neighbours: u64,
    /// Faults that the guest took on these, with the interval over blocks; absent where KVM does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub faults: Option<Interval>,
    /// Huge pages less: those that were reported as a whole among them.
    pub huge: f64,
    /// Mappings more.
    pub mappings: f64,
    /// Huge pages of the whole machine whose split was put off; absent where nobody counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_deferred: Option<f64>,
    /// Huge pages of the whole machine that were split; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_done: Option<f64>,
    /// Times KVM had all processors flush; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote_flushes: Option<f64>,
    /// Flushes of the guest's processor; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flushes: Option<f64>,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let groups = archive.groups::<Timed>();
        let mut cells: Vec<Cell> = groups.iter().map(|group| cell(group, archive.sampling())).collect();
        cells.sort_by_key(|cell| (cell.order, cell.backing, cell.discard));
        Self { cells }
    }

    fn tables(&self) -> Vec<Grid> {
        self.cells.chunk_by(|one, other| one.order == other.order).map(table).collect()
    }

    fn sentences(&self) -> Vec<String> {
        self.cells.iter().filter_map(|cell| self.sentence(cell)).collect()
    }

    fn checks(&self) -> Vec<Check> {
        let blind = self.cells.iter().filter(|cell| cell.neighbours == 0);
        let faults: Vec<String> = blind.map(Cell::title).collect();
        let pages = total(self.cells.iter().map(|cell| cell.neighbours));
        let what = "every guest looked at every other page, before a report and after it";
        vec![none_of(what, Standing::Fails, &faults, pages, format!("{pages} pages"))]
    }

    fn how_to_read(&self) -> String {
        "- A report in a guest that has just looked at all of its pages; then it looks at all that were not reported. *faults*: those that KVM served meanwhile \
         (pf_fixed), the middle over blocks with its 95 % interval; what *none* has is no discard's.\n\
         - *huge pages less*: by smaps, whole ones that were reported included. *put off*, *split*: of the whole machine, by /proc/vmstat. *mappings more*: lines \
         of /proc/self/maps. *remote flushes*: of all processors (KVM's remote_tlb_flush); *flushes*: of the guest's one (tlb_flush).\n"
            .to_owned()
    }
}

impl Found {
    /// What is beside it where nothing is discarded.
    fn of_nothing(&self, cell: &Cell) -> Option<&Cell> {
        let place = |cell: &Cell| (cell.order, cell.backing, cell.ranges);
        self.cells.iter().find(|other| other.discard.0 == Discard::None && place(other) == place(cell))
    }

    /// Only of what goes beyond the ranges themselves.
    fn sentence(&self, cell: &Cell) -> Option<String> {
        let in_whole = if cell.order < Order::HUGE.get() { 0.0 } else { f64::from(cell.ranges) };
        let faults = |cell: &Cell| cell.faults.as_ref().map_or(0.0, |faults| faults.middle);
        let of_nothing = self.of_nothing(cell).filter(|other| other.discard != cell.discard)?;
        let parts: Vec<String> = [
            (faults(cell) - faults(of_nothing), "faults of the guest on other pages"),
            (cell.huge - in_whole, "huge pages broken up"),
            (cell.mappings, "mappings more"),
        ]
        .into_iter()
        // Less than one a report is somebody else's.
        .filter(|(count, _)| *count >= 1.0)
        .map(|(count, what)| format!("{} {what}", number::number(count)))
        .collect();
        (!parts.is_empty()).then(|| {
            format!("{}: a report of {} ranges comes with {}.", cell.title(), cell.ranges, parts.join(", "))
        })
    }
}

impl Cell {
    fn title(&self) -> String {
        format!("{} of {} in blocks of {}", self.discard, self.backing, block(self.order))
    }
}

fn cell(group: &Group<'_, Timed>, how: Sampling) -> Cell {
    let choices = group.choices;
    let seen = || group.measured().filter_map(|measured| measured.collateral);
    let reports = total(seen().map(|seen| seen.reports));
    let a_report = |count: u64| ratio(float(count), float(reports));
    let of = |what: fn(&CollateralCounts) -> Option<u64>| {
        let counts: Option<Vec<u64>> = seen().map(|seen| what(&seen)).collect();
        counts.map(|counts| a_report(total(counts)))
    };
    let faults = |measured: &TimedMeasured| {
        let seen = measured.collateral?;
        Some(ratio(float(seen.faults?), float(seen.reports)))
    };
    // A difference of what was summed up; khugepaged may make it negative.
    let change = |of: fn(&CollateralCounts) -> [u64; 2]| {
        let [less, more] = [0, 1].map(|at| total(seen().map(|seen| of(&seen)[at])));
        a_report(more) - a_report(less)
    };
    Cell {
        discard: choices.way.discard,
        backing: choices.way.backing,
        order: choices.order,
        ranges: choices.batch,
        reports,
        neighbours: total(seen().map(|seen| seen.neighbours)),
        faults: group.interval_if_known(how, faults),
        huge: -change(|seen| seen.huge) / float(Order::HUGE.bytes()),
        mappings: change(|seen| seen.mappings),
        splits_deferred: of(|seen| seen.splits_deferred),
        splits_done: of(|seen| seen.splits_done),
        remote_flushes: of(|seen| seen.remote_flushes),
        flushes: of(|seen| seen.flushes),
    }
}

fn table(cells: &[Cell]) -> Grid {
    let (order, ranges) = cells.first().map_or((0, 0), |cell| (cell.order, cell.ranges));
    let known = |count: Option<f64>| count.map_or_else(String::new, number::number);
    Grid::of(
        format!("blocks of {}; {ranges} a report, and everything beside them", block(order)),
        cells,
        &[
            ("memory", &|cell| cell.backing.to_string()),
            ("discard", &|cell| cell.discard.to_string()),
            ("faults [95 %]", &|cell| {
                cell.faults
                    .as_ref()
                    .map_or_else(String::new, |faults| number::around(faults, "", number::number))
            }),
            ("huge pages less", &|cell| number::number(cell.huge)),
            ("put off", &|cell| known(cell.splits_deferred)),
            ("split", &|cell| known(cell.splits_done)),
            ("mappings more", &|cell| number::number(cell.mappings)),
            ("remote flushes", &|cell| known(cell.remote_flushes)),
            ("flushes", &|cell| known(cell.flushes)),
            ("reports", &|cell| cell.reports.to_string()),
        ],
    )
}
