//! Fits and predictions as tables and sentences.

use abi::axes::Axis;

use super::even::{Contest, Even};
use super::fit::{Fit, Predicted};
use super::floors::Transfer;
use super::predict::{Estimate, names};
use super::profile::Profile;
use super::scale::Scale;
use super::term::Term;
use super::worth::Worth;
use crate::axes::named::Named;
use crate::figure::table::Grid;
use crate::figure::unit::{percent, signed_percent};

/// How many cells that are off the most are shown.
const WORST: usize = 12;

/// The terms of a fit, and the cells that are off the most.
#[must_use]
pub fn of_fit(fit: &Fit, is_counted: bool) -> Vec<Grid> {
    let ends = if is_counted { "term [least, largest block]" } else { "term [95 %]" };
    let row = |term: &Term| {
        let term = Named(*term);
        if let Some(interval) = fit.terms.get(&term) {
            let figure = if interval.is_known() {
                within(fit.unit, interval.middle, interval.low, interval.high)
            } else {
                fit.unit.show(interval.middle)
            };
            return vec![term.to_string(), figure, term.0.meaning().to_owned()];
        }
        let said = match fit.inside.get(&term) {
            Some(parts) => {
                let parts: Vec<String> = parts.iter().map(|(holder, part)| part_of(*holder, *part)).collect();
                format!("not told apart: in {}", parts.join(" and "))
            }
            None => "unknown: the run does not have it".to_owned(),
        };
        vec![term.to_string(), said, term.0.meaning().to_owned()]
    };
    let terms = Grid::new(
        format!("terms of a report in {}, n = {}", fit.unit.name(), fit.blocks),
        ["term", ends, "what it is"].map(str::to_owned).to_vec(),
        Term::ALL.iter().map(row).collect(),
    );
    let mut worst: Vec<&Predicted> = fit.cells.iter().collect();
    worst.sort_by(|a, b| b.off().abs().total_cmp(&a.off().abs()));
    worst.truncate(WORST);
    let residuals = Grid::of(
        format!("residuals: the {} cells of {} that are off the most", worst.len(), fit.cells.len()),
        worst,
        &[
            ("rung", &|cell| cell.report.rung.to_string()),
            ("ranges", &|cell| cell.report.batch.to_string()),
            ("blocks", &|cell| cell.report.blocks.title()),
            ("measured", &|cell| fit.unit.show(cell.measured)),
            ("predicted", &|cell| fit.unit.show(cell.predicted)),
            ("off", &|cell| signed_percent(cell.off())),
            ("", &|cell| if cell.held_out { "held out".to_owned() } else { String::new() }),
        ],
    );
    vec![terms, residuals]
}

fn part_of(holder: Named<Term>, part: f64) -> String {
    if (part - 1.0).abs() < 1e-6 { holder.to_string() } else { format!("{part:.3} {holder}") }
}

/// A figure with its ends, where it has some.
fn within(unit: Scale, value: f64, low: f64, high: f64) -> String {
    if high - low <= 1e-9 * value.abs() {
        return unit.show(value);
    }
    format!("{} [{}, {}]", unit.show(value), unit.show(low), unit.show(high))
}

/// How well the model does.
#[must_use]
pub fn sentences(fit: &Fit) -> Vec<String> {
    let mut said = Vec::new();
    match &fit.held_out {
        Some(held) => said.push(format!(
            "Of {} cells that were held out of the fit the middle one was off by {}; the band of ±{} held {} of them.",
            held.cells,
            percent(held.median),
            percent(held.band),
            percent(held.covered)
        )),
        None => said.push("Too few cells to hold some out of the fit: how well it predicts others is not known; pagehint batch has enough.".to_owned()),
    }
    if let Some(error) = fit.error {
        said.push(format!(
            "The band of predictions is ±{}: 95 % of cells are within it of a fit without them.",
            percent(error)
        ));
    }
    said
}

/// The ladder of a host for one contest.
#[must_use]
pub fn of_contest(profile: &Profile, contest: &Contest) -> Grid {
    let title = format!(
        "MODEL of {}: a report of {} ranges, {}; refault {}",
        profile.name,
        contest.batch,
        contest.blocks.title(),
        cost(profile.unit, &contest.refault)
    );
    Grid::of(
        title,
        &contest.reports,
        &[
            ("rung", &|(rung, _)| rung.to_string()),
            ("a report [band]", &|(_, report)| cost(profile.unit, report)),
            ("a range", &|(rung, report)| {
                let ranges = f64::from(rung.0.ranges_a_report(contest.batch));
                if report.is_whole() { profile.unit.show(report.value / ranges) } else { String::new() }
            }),
            ("not known", &|(_, report)| names(&report.unknown)),
        ],
    )
}

/// A predicted cost; where something of it is not known, that it is more.
fn cost(unit: Scale, estimate: &Estimate) -> String {
    if estimate.is_whole() {
        within(unit, estimate.value, estimate.low, estimate.high)
    } else if estimate.value > 0.0 {
        format!("{} and what is not known", unit.show(estimate.value))
    } else {
        "unknown".to_owned()
    }
}

/// Break-even batches.
#[must_use]
pub fn of_evens(profile: &Profile, evens: &[Even]) -> Grid {
    Grid::of(
        format!("MODEL of {}: from how many ranges on virtio is no dearer [band]", profile.name),
        evens,
        &[
            ("blocks", &|even| even.blocks.title()),
            ("than", &|even| even.against.to_string()),
            ("ranges", &|even| even.show()),
            ("not known", &|even| names(&even.unknown)),
        ],
    )
}

/// How long blocks must stay free.
#[must_use]
pub fn of_worth(profile: &Profile, worth: &[Worth], gib_per_cpu: f64) -> Grid {
    Grid::of(
        format!(
            "MODEL of {}: a block is worth its report if it stays free longer than T, at {gib_per_cpu} GiB a processor",
            profile.name
        ),
        worth,
        &[
            ("blocks", &|worth| worth.blocks.title()),
            ("reported by", &|worth| format!("{}, {} ranges", worth.rung, worth.batch)),
            ("report and refault", &|worth| cost(profile.unit, &worth.cost)),
            ("T", &|worth| cost(profile.unit, &worth.longer_than)),
            ("not known", &|worth| names(&worth.cost.unknown)),
        ],
    )
}

/// What a profile knows.
#[must_use]
pub fn of_profile(profile: &Profile) -> Grid {
    let known = Term::ALL
        .iter()
        .copied()
        .filter(|term| profile.figure(*term).is_some() || profile.inside(*term).is_some());
    Grid::of(
        format!("{}: what its profile knows", profile.name),
        known,
        &[
            ("term", &|term| term.name().to_owned()),
            ("figure", &|term| match (profile.figure(*term), profile.inside(*term)) {
                (Some(figure), _) => within(profile.unit, figure.value, figure.low, figure.high),
                (None, Some(parts)) => {
                    let parts: Vec<String> =
                        parts.iter().map(|(holder, part)| part_of(*holder, *part)).collect();
                    format!("in {}", parts.join(" and "))
                }
                (None, None) => String::new(),
            }),
            ("what it is", &|term| term.meaning().to_owned()),
        ],
    )
}

/// A host predicted by its floors.
#[must_use]
pub fn of_transfer(transfer: &Transfer, unit: Scale) -> Grid {
    Grid::of(
        format!("MODEL of {} by its floors and the other terms of {}", transfer.to, transfer.from),
        &transfer.cells,
        &[
            ("rung", &|cell| cell.rung.to_string()),
            ("pages", &|cell| if cell.discarded { "discarded" } else { "kept" }.to_owned()),
            ("measured", &|cell| unit.show(cell.measured)),
            ("predicted", &|cell| unit.show(cell.predicted)),
            ("off", &|cell| signed_percent(cell.share())),
            ("missing term", &|cell| cell.missing.map(|term| term.to_string()).unwrap_or_default()),
        ],
    )
}

/// How well that went, and what a floor would be needed for.
#[must_use]
pub fn transferred(transfer: &Transfer) -> String {
    let off = transfer.cells.iter().filter(|cell| cell.missing.is_some()).count();
    let mut missing: Vec<Named<Term>> = transfer.cells.iter().filter_map(|cell| cell.missing).collect();
    missing.sort_unstable();
    missing.dedup();
    let which = if missing.is_empty() {
        String::new()
    } else {
        format!("; the terms that floors lack there: {}", names(&missing))
    };
    format!(
        "{} from the floors of {} alone: the middle of {} cells is off by {}, {off} by more than 30 %{which}.",
        transfer.to,
        transfer.to,
        transfer.cells.len(),
        percent(transfer.median)
    )
}
