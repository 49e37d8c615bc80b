//! The ladder as tables: one to compare rungs, one with the share of each phase, for every discard.

use abi::axes::Axis;
use host::axes::Discard;

use super::cell::CellSummary;
use super::found::Found;
use super::gate::Change;
use crate::axes::named::Named;
use crate::figure::number;
use crate::figure::table::{FREED_NOTHING, Grid, strings};
use crate::figure::unit::{Unit, float, percent, ratio, signed_percent};
use crate::trial::timed::phases::Phase;

/// The rungs side by side, for one discard.
#[must_use]
pub fn ladder(found: &Found, discard: Discard) -> Grid {
    let reached = discard != Discard::None;
    let mut header = strings([
        "",
        "a range",
        "p99",
        "a report",
        "p99",
        "stopwatch",
        "exits/1000",
        "to the rung before [95 %]",
        "n",
    ]);
    if reached {
        header.extend(strings(["freed", "refault"]));
    }
    let rows =
        found.cells.iter().filter(|cell| cell.discard() == discard).map(|cell| row(found, cell, reached));
    let what = format!("median and 99th percentile{}", counted(found.unit));
    Grid::new(title(found, discard, &what), header, rows.collect())
}

/// What the stopwatch costs a call; none if it was not weighed.
#[must_use]
pub fn stopwatch(found: &Found) -> Option<Grid> {
    let unit = found.unit;
    let header = strings([
        "",
        "a bare call",
        "a report of one call [95 %]",
        "each of many [95 %]",
        "registers [95 %]",
    ]);
    let rows: Vec<_> = found
        .stopwatch
        .iter()
        .map(|weight| {
            let registers =
                weight.registers.as_ref().map_or_else(String::new, |cost| number::amount(unit, cost));
            vec![
                weight.rung.to_string(),
                unit.show(weight.bare),
                number::amount(unit, &weight.once),
                number::amount(unit, &weight.each),
                registers,
            ]
        })
        .collect();
    let title = "what the stopwatch costs a call; taken off below";
    (!rows.is_empty()).then(|| Grid::new(title.to_owned(), header, rows))
}

/// What stands where a figure is not known.
const UNKNOWN: &str = "?";

/// What a title says about figures that are no time.
fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "",
        Unit::Instructions => " in executed instructions",
    }
}

fn title(found: &Found, discard: Discard, what: &str) -> String {
    let choices = found.cells.iter().find(|cell| cell.discard() == discard).map(|cell| cell.choices);
    let reports = choices.map_or_else(String::new, |choices| {
        format!("; {} ranges of order {} a report", choices.batch, choices.order)
    });
    format!("discard {}: {what}{reports}", Named(discard))
}

fn row(found: &Found, cell: &CellSummary, reached: bool) -> Vec<String> {
    let unit = found.unit;
    let step = cell.step.as_ref().map_or_else(String::new, |step| number::difference(unit, &step.per_range));
    let mut row = vec![
        cell.label().to_owned(),
        unit.show(cell.a_range().p50),
        unit.show(cell.a_range().p99),
        unit.show(cell.a_report().p50),
        unit.show(cell.a_report().p99),
        cell.net.as_ref().map_or_else(|| UNKNOWN.to_owned(), |net| unit.show(net.taken_off.mean)),
        format!("{:.0}", cell.exits_per_1000_ranges),
        step,
        cell.reports.to_string(),
    ];
    if reached {
        row.extend([
            freed(cell),
            if cell.names_pages() { unit.show(cell.refault_per_page) } else { String::new() },
        ]);
    }
    row
}

fn freed(cell: &CellSummary) -> String {
    let proof = &cell.proof;
    match (proof.reported, proof.freed) {
        (0, _) => String::new(),
        (_, 0) => FREED_NOTHING.to_owned(),
        (reported, freed) => percent(ratio(float(freed), float(reported))),
    }
}

/// The share of each phase in a report, for one discard.
#[must_use]
pub fn phases(found: &Found, discard: Discard) -> Grid {
    let mut header = vec![String::new()];
    header.extend(Phase::PARTS.iter().map(|phase| phase.name().to_owned()));
    let rows = found.cells.iter().filter(|cell| cell.discard() == discard).map(|cell| {
        let mut row = vec![cell.label().to_owned()];
        row.extend(Phase::PARTS.iter().map(|phase| percent(cell.phase(*phase).share)));
        row
    });
    Grid::new(title(found, discard, "share of each phase in the cost of a report"), header, rows.collect())
}

/// Rungs then and now, in instructions.
#[must_use]
pub fn growth(changes: &[Change]) -> Grid {
    let unit = Unit::Instructions;
    let header = strings(["", "discard", "reference", "now", "change", "", "mostly in"]);
    let rows = changes.iter().map(|change| {
        let (phase, by) = change.mostly;
        vec![
            change.rung.to_string(),
            change.discard.to_string(),
            unit.show(change.before),
            unit.show(change.after),
            signed_percent(change.share()),
            change.word().to_owned(),
            if by == 0.0 { String::new() } else { format!("{phase} {}", unit.show_change(by)) },
        ]
    });
    Grid::new("instructions a report, median, against the reference".to_owned(), header, rows.collect())
}

/// Every phase of one cell.
#[must_use]
pub fn one_cell(unit: Unit, cell: &CellSummary) -> Grid {
    let header = strings(["", "median", "p90", "p99", "p99.9", "max", "mean", "share", "n"]);
    let rows = Phase::ALL.iter().map(|phase| {
        let figures = cell.phase(*phase);
        let cost = figures.cost;
        let share = if Phase::PARTS.contains(phase) { percent(figures.share) } else { String::new() };
        let mut row = vec![phase.name().to_owned()];
        row.extend(
            [cost.p50, cost.p90, cost.p99, cost.p999, cost.max, cost.mean].map(|cost| unit.show(cost)),
        );
        row.extend([share, cost.n.to_string()]);
        row
    });
    let title = format!("{}, a report{}", cell.title(), counted(unit));
    Grid::new(title, header, rows.collect())
}
