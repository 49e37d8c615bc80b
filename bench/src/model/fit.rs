//! From the cells of a run to terms, each with its interval, and how far the model is off.
//!
//! A cell's figure is the median over blocks of its medians. Every block has every cell once, and terms are a linear function of
//! what cells measured: so terms are solved for in each block too, and a term's interval is that of its figures over
//! blocks, as of any other figure. Residuals count as shares of
//! what was measured, so that a report of an exit weighs as much as one of a thousand pages. Every fourth cell, drawn by the
//! seed, is held out of a first fit, which has to predict it; the fit that is kept is of all cells. The band of a prediction is by what
//! share cells are off from a fit without them (each left out in turn, by its leverage): the share that 95 % of them keep
//! within, counted as conformal prediction counts.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::{Counts, Report};
use super::observed::{Cell, typical};
use super::profile::{Entry, Figure, Inside, Profile};
use super::scale::Scale;
use super::solve::Design;
use super::term::Term;
use crate::axes::named::Named;
use crate::figure::interval::{Interval, Sampling, median};
use crate::figure::unit::{float, ratio};

/// One cell of so many is held out.
const HELD_OUT: usize = 4;
/// What a band has to hold.
const HOLDS: f64 = 0.95;
/// The fewest cells of which that share can be told from all.
const FEWEST: usize = 20;

/// Terms of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Fit {
    /// What they are in.
    pub unit: Scale,
    /// Blocks that have every cell.
    pub blocks: usize,
    /// The terms that could be told apart.
    pub terms: BTreeMap<Named<Term>, Interval>,
    /// Those that could not, and the ones they are in.
    pub inside: BTreeMap<Named<Term>, BTreeMap<Named<Term>, f64>>,
    /// By what share 95 % of cells are off that the fit had not seen; absent where there are too few of them to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<f64>,
    /// Every cell, measured and predicted.
    pub cells: Vec<Predicted>,
    /// What cells were predicted that were held out; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_out: Option<HeldOut>,
}

/// A cell and what the model says of it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    /// What its reports are.
    #[serde(flatten)]
    pub report: Report,
    /// What a report cost: the median over blocks of medians.
    pub measured: f64,
    /// What the model says: if it was held out, by the fit without it.
    pub predicted: f64,
    /// Whether it was held out.
    pub held_out: bool,
}

impl Predicted {
    /// By what share it is off.
    #[must_use]
    pub fn off(&self) -> f64 {
        ratio(self.measured - self.predicted, self.predicted)
    }
}

/// How well cells were predicted that a fit had not seen.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldOut {
    /// How many.
    pub cells: usize,
    /// By what share the middle one was off.
    pub median: f64,
    /// The band of that fit, as a share.
    pub band: f64,
    /// The share of cells within it.
    pub covered: f64,
}

/// A row to fit to: what it is made of and what it measured in each block.
struct Row<'a> {
    counts: Counts,
    values: &'a BTreeMap<u32, f64>,
}

/// Terms and their band, without validation.
struct Solved {
    terms: BTreeMap<Term, Interval>,
    inside: BTreeMap<Term, BTreeMap<Term, f64>>,
    error: Option<f64>,
    blocks: usize,
}

impl Fit {
    /// To cells and floors: terms that `doctor` found alone. `None` without cells.
    #[must_use]
    pub fn of(
        cells: &[Cell],
        floors: &BTreeMap<Term, f64>,
        unit: Scale,
        seed: u64,
        how: Sampling,
    ) -> Option<Self> {
        let all: Vec<&Cell> = cells.iter().collect();
        let solved = solve(&of_reports(&all), floors, how)?;
        // Of few cells no band can be told, and holding some out would say little.
        let (held, first) =
            if solved.error.is_some() { hold_out(&all, floors, seed, how) } else { (Vec::new(), None) };
        let whole = solved.profile(unit);
        let first = first.map(|first| (first.profile(unit), first.error));
        let predicted = |cell: &&Cell| {
            let held_out = held.contains(&cell.report);
            let by = first.as_ref().filter(|_| held_out).map_or(&whole, |(profile, _)| profile);
            let predicted = by.cost(&cell.counts).value;
            Predicted { report: cell.report, measured: cell.typical(), predicted, held_out }
        };
        let cells: Vec<Predicted> = all.iter().map(predicted).collect();
        let held_out = first.and_then(|(_, error)| HeldOut::of(&cells, error?));
        let refaults = solve(&of_refaults(&all), &BTreeMap::new(), how);
        let (mut terms, mut inside) = (solved.terms, solved.inside);
        if let Some(refaults) = refaults {
            terms.extend(refaults.terms);
            inside.extend(refaults.inside);
        }
        let named = |parts: BTreeMap<Term, f64>| {
            parts.into_iter().map(|(term, part)| (Named(term), (part * 1e6).round() / 1e6)).collect()
        };
        Some(Self {
            unit,
            blocks: solved.blocks,
            terms: terms.into_iter().map(|(term, interval)| (Named(term), interval)).collect(),
            inside: inside.into_iter().map(|(term, parts)| (Named(term), named(parts))).collect(),
            error: solved.error,
            cells,
            held_out,
        })
    }

    /// The terms as entries of a profile.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<Named<Term>, Entry> {
        let own = self.terms.iter().map(|(term, interval)| (*term, figure(interval).into()));
        let inside =
            self.inside.iter().map(|(term, parts)| (*term, Entry::In(Inside { terms: parts.clone() })));
        own.chain(inside).collect()
    }

    /// The same as a profile that has nothing else.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile { error: self.error, ..bare(self.unit, self.entries()) }
    }
}

fn bare(unit: Scale, terms: BTreeMap<Named<Term>, Entry>) -> Profile {
    let empty = String::new;
    Profile {
        name: empty(),
        host: empty(),
        source: empty(),
        unit,
        frequency_mhz: None,
        error: None,
        notes: Vec::new(),
        terms,
    }
}

/// Rounded to a thousandth: files are read by people.
fn figure(interval: &Interval) -> Figure {
    let round = |value: f64| (value * 1e3).round() / 1e3;
    let value = round(interval.middle);
    Figure { value, low: round(interval.low).min(value), high: round(interval.high).max(value) }
}

impl Solved {
    fn profile(&self, unit: Scale) -> Profile {
        let own = self.terms.iter().map(|(term, interval)| {
            let Interval { middle: value, low, high, .. } = *interval;
            (Named(*term), Figure { value, low: low.min(value), high: high.max(value) }.into())
        });
        let inside = self.inside.iter().map(|(term, parts)| {
            let terms = parts.iter().map(|(term, part)| (Named(*term), *part)).collect();
            (Named(*term), Entry::In(Inside { terms }))
        });
        bare(unit, own.chain(inside).collect())
    }
}

impl HeldOut {
    fn of(cells: &[Predicted], band: f64) -> Option<Self> {
        let off: Vec<f64> = cells.iter().filter(|cell| cell.held_out).map(|cell| cell.off().abs()).collect();
        let within = off.iter().filter(|off| **off <= band).count();
        (!off.is_empty()).then(|| Self {
            cells: off.len(),
            median: median(&off),
            band,
            covered: ratio(float(within as u64), float(off.len() as u64)),
        })
    }
}

fn of_reports<'a>(cells: &[&'a Cell]) -> Vec<Row<'a>> {
    cells.iter().map(|cell| Row { counts: cell.counts.clone(), values: &cell.totals }).collect()
}

fn of_refaults<'a>(cells: &[&'a Cell]) -> Vec<Row<'a>> {
    let row = |cell: &&'a Cell| Row { counts: cell.refault_counts(), values: &cell.refaults };
    cells.iter().map(row).filter(|row| !row.counts.is_empty() && typical(row.values) > 0.0).collect()
}

/// The floors that are asked: those whose term the cells do not tell apart by themselves.
fn asked<'a>(rows: &[Row<'_>], floors: &'a BTreeMap<Term, f64>) -> Vec<(Counts, &'a f64)> {
    let counts: Vec<&Counts> = rows.iter().map(|row| &row.counts).collect();
    let alone = Design::of(&counts, vec![1.0; counts.len()]);
    let is_known = |term: &Term| {
        alone.terms.contains(term) && !alone.inside.values().any(|parts| parts.contains_key(term))
    };
    let asked = floors.iter().filter(|(term, floor)| !is_known(term) && **floor > 0.0);
    asked.map(|(term, floor)| (Counts::from([(*term, 1.0)]), floor)).collect()
}

fn solve(rows: &[Row<'_>], floors: &BTreeMap<Term, f64>, how: Sampling) -> Option<Solved> {
    let first = rows.first()?;
    let blocks: Vec<u32> = first
        .values
        .keys()
        .copied()
        .filter(|block| rows.iter().all(|row| row.values.contains_key(block)))
        .collect();
    if blocks.is_empty() {
        return None;
    }
    let floors = if rows.iter().any(|row| row.counts.keys().any(|term| term.is_of_report())) {
        asked(rows, floors)
    } else {
        Vec::new()
    };
    let means = rows.iter().map(|row| typical(row.values)).chain(floors.iter().map(|(_, floor)| **floor));
    let weights: Vec<f64> = means.clone().map(|mean| 1.0 / mean.max(1.0)).collect();
    let counts: Vec<&Counts> =
        rows.iter().map(|row| &row.counts).chain(floors.iter().map(|(counts, _)| counts)).collect();
    let design = Design::of(&counts, weights);
    let in_block = |block: &u32| {
        let cells = rows.iter().map(|row| row.values[block]);
        design.solve(&cells.chain(floors.iter().map(|(_, floor)| **floor)).collect::<Vec<_>>())
    };
    let by_block: Vec<Vec<f64>> = blocks.iter().map(in_block).collect();
    let figures = design.solve(&means.collect::<Vec<_>>());
    let of = |(index, term): (usize, &Term)| {
        let values: Vec<f64> = by_block.iter().map(|terms| terms[index]).collect();
        let Interval { low, high, blocks, p, .. } = Interval::of(&values, how)?;
        let middle = figures[index];
        Some((*term, Interval { middle, low: low.min(middle), high: high.max(middle), blocks, p }))
    };
    let terms: BTreeMap<Term, Interval> = design.terms.iter().enumerate().filter_map(of).collect();
    let error = error(rows, &design, &terms);
    Some(Solved { terms, inside: design.inside, error, blocks: blocks.len() })
}

/// By what share cells are off from fits without them: what 95 % keep within; `None` of too few.
fn error(rows: &[Row<'_>], design: &Design, terms: &BTreeMap<Term, Interval>) -> Option<f64> {
    let off = |(index, row): (usize, &Row<'_>)| {
        let predicted: f64 =
            row.counts.iter().filter_map(|(term, count)| Some(count * terms.get(term)?.middle)).sum();
        let measured = typical(row.values);
        let left_out = design.left_out(index, measured - predicted)?;
        Some(ratio(left_out, measured - left_out).abs())
    };
    let mut off: Vec<f64> = rows.iter().enumerate().filter_map(off).collect();
    off.sort_by(f64::total_cmp);
    if off.len() < FEWEST {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let place = (HOLDS * float(off.len() as u64 + 1)).ceil() as usize;
    off.get(place.min(off.len()) - 1).copied()
}

/// Which cells are held out, and the fit without them. A cell without which a term would not be known is not.
fn hold_out(
    cells: &[&Cell],
    floors: &BTreeMap<Term, f64>,
    seed: u64,
    how: Sampling,
) -> (Vec<Report>, Option<Solved>) {
    let mut order: Vec<&Cell> = cells.to_vec();
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    order.sort_by_cached_key(|_| rng.next_u64());
    let mut held: Vec<Report> = order.iter().step_by(HELD_OUT).map(|cell| cell.report).collect();
    loop {
        let seen: Vec<&Cell> = cells.iter().copied().filter(|cell| !held.contains(&cell.report)).collect();
        let Some(solved) = solve(&of_reports(&seen), floors, how) else { return (Vec::new(), None) };
        let profile = solved.profile(Scale::Ns);
        let is_told =
            |report: &Report| report.counts().is_some_and(|counts| profile.cost(&counts).is_whole());
        let before = held.len();
        held.retain(is_told);
        if held.len() == before {
            return (held, Some(solved));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::rung::Rung;
    use crate::model::cost::Blocks;

    const DRAWN: Sampling = Sampling::Drawn { seed: 1 };

    /// What a term is planted as.
    fn planted(term: Term) -> f64 {
        match term {
            Term::Exit | Term::Notify => 2000.0,
            Term::Kick => 900.0,
            Term::WakeUp => 4000.0,
            Term::Interrupt | Term::Sleep => 1500.0,
            Term::DiscardPage => 60.0,
            Term::DiscardHuge => 9000.0,
            Term::RefaultPage => 700.0,
            Term::RefaultHuge => 120_000.0,
            Term::Madvise => 400.0,
            _ => 50.0,
        }
    }

    /// Cells of a machine that is as planted, but for noise and for what `bend` makes of a cost.
    fn cells(bend: impl Fn(f64) -> f64) -> Vec<Cell> {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let mut noise = || 1.0 + 0.02 * (float(rng.next_u64() >> 12) / 2_f64.powi(51) - 1.0);
        let mut cells = Vec::new();
        for rung in [Rung::Floor, Rung::HypercallEach, Rung::HypercallBatch, Rung::RingSync, Rung::Virtio] {
            for batch in [1, 8, 64, 511] {
                for (order, discarded, huge) in
                    [(0, false, false), (0, true, false), (4, true, false), (9, true, true)]
                {
                    let report =
                        Report { rung: Named(rung), batch, blocks: Blocks { order, discarded, huge } };
                    if rung == Rung::Floor && (batch, discarded) != (1, false) {
                        continue;
                    }
                    let counts = report.counts().unwrap();
                    let cost = |counts: &Counts| {
                        counts.iter().map(|(term, count)| count * planted(*term)).sum::<f64>()
                    };
                    let mut cell =
                        Cell { report, counts, totals: BTreeMap::new(), refaults: BTreeMap::new() };
                    let refault = cost(&cell.refault_counts());
                    let total = bend(cost(&cell.counts));
                    for block in 0..8 {
                        cell.totals.insert(block, total * noise());
                        cell.refaults.insert(block, refault * noise());
                    }
                    cells.push(cell);
                }
            }
        }
        cells
    }

    fn fit(cells: &[Cell]) -> Fit {
        let floors = BTreeMap::from([(Term::Kick, planted(Term::Kick)), (Term::Exit, 1.0)]);
        Fit::of(cells, &floors, Scale::Ns, 1, DRAWN).unwrap()
    }

    #[test]
    fn planted_terms_are_found_and_cells_that_were_held_out_are_predicted() {
        let fit = fit(&cells(|cost| cost));
        for term in [
            Term::Exit,
            Term::Madvise,
            Term::DiscardPage,
            Term::DiscardHuge,
            Term::RefaultPage,
            Term::RefaultHuge,
            Term::Kick,
        ] {
            let found = fit.terms[&Named(term)].middle;
            assert!((found / planted(term) - 1.0).abs() < 0.05, "{term:?}: {found}");
        }
        // A wake-up, an interrupt and a sleep are in the same reports: what is known of them is their sum.
        let rest = fit.terms[&Named(Term::WakeUp)].middle;
        assert!((rest / 7000.0 - 1.0).abs() < 0.05, "{rest}");
        assert!(fit.inside[&Named(Term::Sleep)].contains_key(&Named(Term::WakeUp)));
        let held = fit.held_out.unwrap();
        assert!(held.cells >= 12 && held.median < 0.03 && held.covered >= 0.9, "{held:?}");
        assert!(fit.error.unwrap() < 0.06, "{:?}", fit.error);
    }

    #[test]
    fn a_machine_that_is_no_sum_of_terms_shows_in_the_band() {
        let fit = fit(&cells(|cost| cost * (cost / 1e4).powf(0.3)));
        assert!(fit.error.unwrap() > 0.3, "{:?}", fit.error);
        assert!(fit.held_out.unwrap().median > 0.1, "{:?}", fit.held_out);
    }

    #[test]
    fn a_block_that_was_disturbed_bends_no_term() {
        let mut cells = cells(|cost| cost);
        for (index, cell) in cells.iter_mut().enumerate() {
            *cell.totals.get_mut(&3).unwrap() *= if index % 3 == 0 { 200.0 } else { 1.0 };
        }
        let exit = fit(&cells).terms[&Named(Term::Exit)];
        assert!((exit.middle / 2000.0 - 1.0).abs() < 0.05, "{exit:?}");
    }

    #[test]
    fn of_few_cells_no_band_is_told() {
        let few: Vec<Cell> = cells(|cost| cost).into_iter().filter(|cell| cell.report.batch == 64).collect();
        let fit = fit(&few);
        assert_eq!((fit.error, fit.held_out), (None, None));
        assert!(fit.cells.iter().all(|cell| !cell.held_out));
        assert!(Fit::of(&[], &BTreeMap::new(), Scale::Ns, 1, DRAWN).is_none());
    }
}
