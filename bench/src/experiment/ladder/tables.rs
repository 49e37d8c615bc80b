//! The ladder as tables: one to compare rungs, one with the share of each phase, for every discard.

use abi::axes::Axis;
use host::axes::Discard;

use super::apart::Apart;
use super::cell::{CellSummary, PhaseSummary};
use super::compared::Compared;
use super::found::Found;
use super::gate::Change;
use crate::axes::named::Named;
use crate::figure::interval::Verdict;
use crate::figure::number;
use crate::figure::power::Said;
use crate::figure::quantiles::{Quantile, Quantiles};
use crate::figure::table::{Column, Grid, NOTHING_BACK};
use crate::figure::unit::{Unit, float, percent, ratio, signed_percent};
use crate::model::worth::GIB_PER_CPU;
use crate::trial::timed::measured::ProofCounts;
use crate::trial::timed::phases::Phase;

/// The rungs side by side, for one discard.
#[must_use]
pub fn ladder(found: &Found, discard: Discard) -> Grid {
    let unit = found.unit;
    let columns: [Column<'_, &CellSummary>; 16] = [
        ("", &|cell| cell.label().to_owned()),
        ("a range", &|cell| unit.show(cell.a_range().p50)),
        ("p99", &|cell| unit.show(cell.a_range().p99)),
        ("a report", &|cell| unit.show(cell.a_report().p50)),
        ("p99", &|cell| unit.show(cell.a_report().p99)),
        ("stopwatch", &|cell| {
            cell.net.as_ref().map_or_else(|| UNKNOWN.to_owned(), |net| unit.show(net.taken_off.middle))
        }),
        ("exits/1000", &|cell| format!("{:.0}", cell.exits_per_1000_ranges)),
        ("processor time", &|cell| cell.processor_time.map_or_else(String::new, |ns| unit.show(ns))),
        ("polls", &|cell| cell.halts.map_or_else(String::new, |halts| format!("{:.2}", halts.polls))),
        ("wake-ups", &|cell| cell.halts.map_or_else(String::new, |halts| format!("{:.2}", halts.wake_ups))),
        ("to the rung before [95 %]", &|cell| {
            cell.step.map_or_else(String::new, |step| {
                let before = found.cell(step.from.0, discard).map_or(0.0, |before| before.a_range().p50);
                number::difference_within(unit, &step.per_range, before)
            })
        }),
        ("n", &|cell| cell.reports.to_string()),
        ("unmapped", &|cell| share(cell.proof.reported, cell.proof.unmapped)),
        ("lazily", &|cell| match discard {
            Discard::Free => share(cell.proof.reported, cell.proof.lazy),
            _ => String::new(),
        }),
        ("back", &|cell| match cell.proof {
            ProofCounts { unknown: 0, reported, back, .. } => share(reported, back),
            _ => "unknown".to_owned(),
        }),
        ("refault", &|cell| {
            if cell.names_pages() { unit.show(cell.refault_per_page) } else { String::new() }
        }),
    ];
    // Where nothing is discarded there is nothing to say of where the pages are.
    let columns = if discard == Discard::None { &columns[..12] } else { &columns };
    let what = format!("median and 99th percentile{}", counted(unit));
    let cells = found.cells.iter().filter(|cell| cell.discard() == discard);
    Grid::of(title(found, discard, &what), cells, columns)
}

/// What the stopwatch costs a call; none if it was not weighed.
#[must_use]
pub fn stopwatch(found: &Found) -> Option<Grid> {
    let unit = found.unit;
    let table = Grid::of(
        "what the stopwatch costs a call; taken off below",
        &found.stopwatch,
        &[
            ("", &|weight| weight.rung.to_string()),
            ("a bare call", &|weight| unit.show(weight.bare)),
            ("a report of one call [95 %]", &|weight| number::amount(unit, &weight.once)),
            ("each of many [95 %]", &|weight| number::amount(unit, &weight.each)),
            ("registers [95 %]", &|weight| {
                weight.registers.as_ref().map_or_else(String::new, |cost| number::amount(unit, cost))
            }),
        ],
    );
    (!found.stopwatch.is_empty()).then_some(table)
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

/// Of the pages reported to look at them afterwards.
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
    let what = format!(
        "a report over the cheapest discard of its pages, which is {cheapest}'s; means of medians of blocks"
    );
    let flushes =
        |apart: &Apart| apart.more_flushes.map_or_else(|| UNKNOWN.to_owned(), |n| format!("{n:+.1}"));
    Some(Grid::of(
        title(found, discard, &what),
        rows,
        &[
            ("", &|apart| apart.rung.to_string()),
            ("transport", &|apart| unit.show(apart.transport.middle)),
            ("= its path", &|apart| unit.show(apart.path.middle)),
            ("+ dearer discard [95 %]", &|apart| {
                apart.dearer_discard.map_or_else(String::new, |dearer| number::difference(unit, &dearer))
            }),
            ("more flushes", &|apart| apart.dearer_discard.map_or_else(String::new, |_| flushes(apart))),
            ("share of report and refault [95 %]", &|apart| number::part(&apart.share)),
        ],
    ))
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
    Grid::of(
        "instructions a report, median, against the reference",
        changes,
        &[
            ("", &|change| change.rung.to_string()),
            ("discard", &|change| change.discard.to_string()),
            ("reference", &|change| unit.show(change.before)),
            ("now", &|change| unit.show(change.after)),
            ("change", &|change| signed_percent(change.share())),
            ("", &|change| change.word().to_owned()),
            ("mostly in", &|change| {
                let (phase, by) = change.mostly;
                if by == 0.0 { String::new() } else { format!("{phase} {}", unit.show_change(by)) }
            }),
        ],
    )
}

/// What every comparison with one discard says, and what it could have seen; nothing if there is none.
#[must_use]
pub fn compared(found: &Found, discard: Discard) -> Option<Grid> {
    let unit = found.unit;
    let rows = rows(found, discard)?;
    let what = "what is said of each difference a range, and what could have been seen of it";
    Some(Grid::of(
        title(found, discard, what),
        rows,
        &[
            ("", &|row| row.to.to_string()),
            ("less", &|row| row.less()),
            ("difference [95 %]", &|row| number::plain(unit, &row.per_range)),
            ("verdict", &|row| row.said.verdict.words().to_owned()),
            ("margin", &|row| unit.show(row.said.margin)),
            ("could have seen", &|row| {
                row.said.least_effect.map_or_else(String::new, |least| unit.show(least))
            }),
            ("as a share", &|row| row.said.least_share.map_or_else(String::new, percent)),
            ("blocks needed", &|row| match row.said {
                Said { blocks_needed: Some(blocks), .. } => blocks.to_string(),
                Said { verdict: Verdict::CannotSay, least_effect: Some(_), .. } => "over 10000".to_owned(),
                _ => String::new(),
            }),
        ],
    ))
}

/// How quantiles differ, with one discard; nothing if nothing is compared.
#[must_use]
pub fn quantiles(found: &Found, discard: Discard) -> Option<Grid> {
    let unit = found.unit;
    let rows = rows(found, discard)?;
    let more = |row: &Compared, quantile: Quantile| match row.quantile(quantile) {
        Some(more) => number::difference(unit, more),
        None => format!("too few: {} a block, takes {}", row.reports_a_block, quantile.takes()),
    };
    let header =
        ["", "less"].into_iter().chain(Quantile::ALL.map(Quantile::name)).map(str::to_owned).collect();
    let rows = rows.into_iter().map(|row| {
        let of = Quantile::ALL.map(|quantile| more(row, quantile));
        [row.to.to_string(), row.less()].into_iter().chain(of).collect()
    });
    let what = "by how much quantiles of a range differ [95 %], block by block";
    Some(Grid::new(title(found, discard, what), header, rows.collect()))
}

/// How long ranges must stay free for their reports to pay; nothing where that is not known.
#[must_use]
pub fn worth(found: &Found) -> Option<Grid> {
    let unit = found.unit;
    let title =
        format!("worth it: a range pays if it stays free longer than T, at {GIB_PER_CPU} GiB a processor");
    (!found.worth.is_empty()).then(|| {
        Grid::of(
            title,
            &found.worth,
            &[
                ("reported by", &|worth| worth.rung.to_string()),
                ("discard", &|worth| worth.discard.to_string()),
                ("report and refault of a range [95 %]", &|worth| number::amount(unit, &worth.cost)),
                ("T [95 %]", &|worth| number::amount(unit, &worth.longer_than)),
            ],
        )
    })
}

fn rows(found: &Found, discard: Discard) -> Option<Vec<&Compared>> {
    let rows: Vec<_> = found.compared.iter().filter(|compared| compared.discard.0 == discard).collect();
    (!rows.is_empty()).then_some(rows)
}

/// Every phase of one cell.
#[must_use]
pub fn one_cell(unit: Unit, cell: &CellSummary) -> Grid {
    let header = [&[""], &Quantiles::HEADER[..], &["share", "n"]].concat();
    let rows = Phase::ALL.iter().map(|phase| {
        let PhaseSummary { cost, share } = cell.phase(*phase);
        let share = if Phase::PARTS.contains(phase) { percent(share) } else { String::new() };
        let mut row = vec![phase.name().to_owned()];
        row.extend(cost.figures(|cost| unit.show(cost)));
        row.extend([share, cost.n.to_string()]);
        row
    });
    let title = format!("{}, a report{}", cell.title(), counted(unit));
    Grid::new(title, header.into_iter().map(str::to_owned).collect(), rows.collect())
}
