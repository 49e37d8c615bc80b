//! The ladder as tables: one to compare rungs, one with the share of each phase, for every discard.

use abi::axes::Axis;
use host::axes::Discard;

use super::apart::Apart;
use super::cell::CellSummary;
use super::found::Found;
use super::gate::Change;
use crate::axes::named::Named;
use crate::figure::number;
use crate::figure::table::{Grid, NOTHING_BACK, strings};
use crate::figure::unit::{Unit, float, percent, ratio, signed_percent};
use crate::trial::timed::measured::ProofCounts;
use crate::trial::timed::phases::Phase;

/// Differences below this share of the rung before do not matter.
const SAME: f64 = 0.05;

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
        "polls",
        "wake-ups",
        "to the rung before [95 %]",
        "n",
    ]);
    if reached {
        header.extend(strings(["unmapped", "back", "refault"]));
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
    let step = cell.step.as_ref().map_or_else(String::new, |step| {
        let before = found.cell(step.from.0, cell.discard()).map_or(0.0, |before| before.per_range.p50);
        number::difference_within(unit, &step.per_range, SAME * before)
    });
    let mut row = vec![
        cell.label().to_owned(),
        unit.show(cell.a_range().p50),
        unit.show(cell.a_range().p99),
        unit.show(cell.a_report().p50),
        unit.show(cell.a_report().p99),
        cell.net.as_ref().map_or_else(|| UNKNOWN.to_owned(), |net| unit.show(net.taken_off.mean)),
        format!("{:.0}", cell.exits_per_1000_ranges),
        cell.halts.map_or_else(String::new, |halts| format!("{:.2}", halts.polls)),
        cell.halts.map_or_else(String::new, |halts| format!("{:.2}", halts.wake_ups)),
        step,
        cell.reports.to_string(),
    ];
    if reached {
        row.extend([
            unmapped(&cell.proof),
            back(&cell.proof),
            if cell.names_pages() { unit.show(cell.refault_per_page) } else { String::new() },
        ]);
    }
    row
}

/// Of the pages reported for this purpose, such as are in no page table.
fn unmapped(proof: &ProofCounts) -> String {
    share(proof.reported, proof.unmapped)
}

/// Of the same pages, such as the host has back.
fn back(proof: &ProofCounts) -> String {
    if proof.unknown > 0 { "unknown".to_owned() } else { share(proof.reported, proof.back) }
}

fn share(reported: u64, pages: u64) -> String {
    match (reported, pages) {
        (0, _) => String::new(),
        (_, 0) => NOTHING_BACK.to_owned(),
        (reported, pages) => percent(ratio(float(pages), float(reported))),
    }
}

/// What of each report is transport, for one discard; nothing where nothing is discarded.
#[must_use]
pub fn apart(found: &Found, discard: Discard) -> Option<Grid> {
    let unit = found.unit;
    let rows: Vec<&Apart> = found.apart.iter().filter(|apart| apart.discard.0 == discard).collect();
    let cheapest = rows.first()?.cheapest;
    let header = strings([
        "",
        "transport",
        "= its path",
        "+ dearer discard [95 %]",
        "more flushes",
        "share of report and refault [95 %]",
    ]);
    let rows = rows.into_iter().map(|apart| {
        let [share, low, high] = [apart.share.mean, apart.share.low, apart.share.high].map(percent);
        vec![
            apart.rung.to_string(),
            unit.show(apart.transport.mean),
            unit.show(apart.path.mean),
            number::difference(unit, &apart.dearer_discard),
            apart.more_flushes.map_or_else(|| "?".to_owned(), |flushes| format!("{flushes:+.1}")),
            format!("{share} [{low}, {high}]"),
        ]
    });
    let what = format!(
        "a report over the cheapest discard of its pages, which is {cheapest}'s; means of medians of blocks"
    );
    Some(Grid::new(title(found, discard, &what), header, rows.collect()))
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
