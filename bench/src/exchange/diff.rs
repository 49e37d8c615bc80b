//! Two runs held against each other: two builds, two kernels, two hosts.
//!
//! Their blocks are no pairs. What is compared are the logarithms of a figure a trial, so that a change is a ratio of
//! geometric means, by the test of [`crate::figure::unpaired`], corrected for the cells (Holm). Counted runs are compared
//! as they are: what is not the same has changed.

use schemars::JsonSchema;
use serde::Serialize;

use super::apart::{Difference, Part, differences};
use super::cell::{self, Cell, Measure};
use crate::SCHEMA_VERSION;
use crate::archive::Archive;
use crate::experiment::ladder::gate::TOLERANCE;
use crate::figure::interval::{Interval, MARGIN, Sampling, holm};
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, ratio, signed_percent};
use crate::figure::unpaired::{are_enough, shift};

/// What two runs differ by.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Diff {
    /// Version of this format.
    pub schema_version: u32,
    /// The host of either run, in one line; the old one's first.
    pub hosts: [String; 2],
    /// What figures are in that are a cost.
    pub unit: Unit,
    /// What differs beside the figures.
    pub apart: Vec<Difference>,
    /// The share of change beyond which a cell that is shown to be worse counts.
    pub threshold: f64,
    /// Every cell that both have.
    pub cells: Vec<Row>,
    /// All of a measure together.
    pub geometric_means: Vec<GeometricMean>,
    /// What is missing, was left out, or is not the same.
    pub remarks: Vec<String>,
}

/// A cell in both runs.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Row {
    /// What it is called.
    pub cell: String,
    /// What its figures are.
    pub measure: Measure,
    /// Geometric mean over blocks in the old run.
    pub old: f64,
    /// In the new one.
    pub new: f64,
    /// Blocks of either.
    pub blocks: [usize; 2],
    /// By what share it changed.
    pub change: f64,
    /// Ends of the 95 % interval of that; of a counted figure the least and the largest change from block to block. Absent
    /// where there are too few blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How likely a change as large is if there is none, corrected for the cells of the table; absent of a counted figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Whether a change is shown, and not by chance.
    pub is_shown: bool,
    /// Whether it is shown, for the worse and beyond the threshold.
    pub counts: bool,
}

/// The geometric mean of all cells of a measure.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct GeometricMean {
    /// What its figures are.
    pub measure: Measure,
    /// In the old run.
    pub old: f64,
    /// In the new one.
    pub new: f64,
    /// By what share it changed.
    pub change: f64,
}

/// Why two runs are not compared. The message says what to do.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DiffError {
    /// They are in different units.
    #[error("the old run is in {}, the new one in {}: time is no instructions, and nothing allows it to be compared with them", old.name(), new.name())]
    Unit {
        /// Of the old run.
        old: Unit,
        /// Of the new one.
        new: Unit,
    },
    /// They differ in more than was allowed.
    #[error(
        "the runs differ in {}. What their figures differ by is of all that together; if that is what is asked: --allow {}",
        listed(apart),
        parts(apart)
    )]
    Apart {
        /// What was not allowed.
        apart: Vec<Difference>,
    },
    /// They have nothing in common.
    #[error("the runs have no cell in common: the old one has {}, the new one {}", names(old), names(new))]
    Nothing {
        /// Cells of the old run.
        old: Vec<String>,
        /// Of the new one.
        new: Vec<String>,
    },
}

fn listed(apart: &[Difference]) -> String {
    let told = |Difference { part, what, old, new }: &Difference| {
        format!("{} ({what}: {old} in the old one, {new} in the new)", part.name())
    };
    let more = if apart.len() > 4 { format!(", and {} more", apart.len() - 4) } else { String::new() };
    apart.iter().take(4).map(told).collect::<Vec<_>>().join(", ") + &more
}

fn parts(apart: &[Difference]) -> String {
    let mut parts: Vec<&str> = apart.iter().map(|difference| difference.part.name()).collect();
    parts.dedup();
    parts.join(",")
}

fn names(cells: &[String]) -> String {
    match cells {
        [] => "none".to_owned(),
        [first] => first.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

/// The threshold if none is given: that of the gate on path length where instructions are counted, and what does not
/// matter to a verdict either where time is measured.
#[must_use]
pub const fn default_threshold(unit: Unit) -> f64 {
    match unit {
        Unit::Instructions => TOLERANCE,
        Unit::Nanoseconds => MARGIN,
    }
}

impl Diff {
    /// Of two runs that may differ in their build and in what is allowed.
    ///
    /// # Errors
    /// [`DiffError`] if they cannot be compared.
    pub fn of(
        old: &Archive,
        new: &Archive,
        allowed: &[Part],
        threshold: Option<f64>,
    ) -> Result<Self, DiffError> {
        let unit = old.unit();
        if unit != new.unit() {
            return Err(DiffError::Unit { old: unit, new: new.unit() });
        }
        let apart = differences(old, new);
        let is_refused =
            |difference: &&Difference| difference.part != Part::Build && !allowed.contains(&difference.part);
        let refused: Vec<Difference> = apart.iter().filter(is_refused).cloned().collect();
        if !refused.is_empty() {
            return Err(DiffError::Apart { apart: refused });
        }
        let threshold = threshold.unwrap_or(default_threshold(unit));
        let mut remarks = said_of("old", old);
        remarks.extend(said_of("new", new));
        let cells = rows(&cell::cells(old), &cell::cells(new), old.sampling(), threshold, &mut remarks)?;
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            hosts: [old, new].map(|archive| archive.environment.host.clone()),
            unit,
            apart,
            threshold,
            geometric_means: geometric_means(&cells),
            cells,
            remarks,
        })
    }

    /// Cells that are worse by more than the threshold, and shown to be.
    #[must_use]
    pub fn beyond(&self) -> usize {
        self.cells.iter().filter(|row| row.counts).count()
    }

    /// As a table, the geometric mean at its bottom.
    #[must_use]
    pub fn table(&self) -> Grid {
        let header = ["cell", "old", "new", "change [95 %]", "p", "n"].map(str::to_owned).to_vec();
        let mut rows: Vec<_> = self.cells.iter().map(|row| row.shown(self.unit)).collect();
        for GeometricMean { measure, old, new, change } in &self.geometric_means {
            let [old, new] = [old, new].map(|figure| measure.show(self.unit, *figure));
            let change = signed_percent(*change);
            rows.push(vec!["geometric mean".to_owned(), old, new, change, String::new(), String::new()]);
        }
        let measures: Vec<&str> = self.geometric_means.iter().map(|mean| mean.measure.name()).collect();
        let title = format!("{}: old against new, geometric means over blocks", measures.join(", "));
        Grid::new(title, header, rows)
    }
}

impl Row {
    fn shown(&self, unit: Unit) -> Vec<String> {
        let mark = if self.is_shown || self.is_same() { "" } else { "~ " };
        let ends = self.interval.filter(|[low, high]| low < high);
        let ends = ends.map(|[low, high]| format!(" [{:+.2}, {:+.2}]", low * 100.0, high * 100.0));
        let change = if self.is_same() { "=".to_owned() } else { signed_percent(self.change) };
        let [old, new] = [self.old, self.new].map(|figure| self.measure.show(unit, figure));
        vec![
            self.cell.clone(),
            old,
            new,
            format!("{mark}{change}{}", ends.unwrap_or_default()),
            self.p.map_or_else(String::new, |p| format!("{p:.3}")),
            format!("{}+{}", self.blocks[0], self.blocks[1]),
        ]
    }

    /// Whether a counted figure is the same in every block.
    fn is_same(&self) -> bool {
        self.p.is_none() && !self.is_shown
    }
}

/// What a reader has to know of one of them.
fn said_of(which: &str, archive: &Archive) -> Vec<String> {
    let failed = archive.trials.iter().filter(|trial| trial.error().is_some()).count();
    let failed = (failed > 0).then(|| format!("{failed} of {} trials failed", archive.trials.len()));
    archive.remarks.iter().cloned().chain(failed).map(|said| format!("the {which} run: {said}")).collect()
}

/// Every cell that both have; what only one has is remarked on.
fn rows(
    old: &[Cell],
    new: &[Cell],
    how: Sampling,
    threshold: f64,
    remarks: &mut Vec<String>,
) -> Result<Vec<Row>, DiffError> {
    let mut compared = Vec::new();
    for cell in old {
        match new.iter().find(|other| (&other.name, other.measure) == (&cell.name, cell.measure)) {
            None => remarks.push(format!("{} is in the old run only", cell.name)),
            Some(other) => match compare(cell, other, how) {
                None => remarks.push(format!("{} has a figure of 0 or less: it has no ratio", cell.name)),
                Some(row) => {
                    let not_same = cell::differences(&cell.choices, &other.choices);
                    let told = not_same.into_iter().map(|what| format!("{}: {what}", cell.name));
                    remarks.extend(told);
                    compared.push(row);
                }
            },
        }
    }
    let alone = new.iter().filter(|cell| old.iter().all(|other| other.name != cell.name));
    remarks.extend(alone.map(|cell| format!("{} is in the new run only", cell.name)));
    if compared.is_empty() {
        let [old, new] = [old, new].map(|cells| cells.iter().map(|cell| cell.name.clone()).collect());
        return Err(DiffError::Nothing { old, new });
    }
    holm(compared.iter_mut().map(|(_, change)| change));
    Ok(compared.into_iter().map(|(row, change)| row.judged(&change, threshold)).collect())
}

/// Two cells of a name, and their change in logarithms; both without the stopwatch, or both with it.
fn compare(old: &Cell, new: &Cell, how: Sampling) -> Option<(Row, Interval)> {
    let (then, now) = match (&old.net, &new.net) {
        (Some(then), Some(now)) => (then, now),
        _ => (&old.blocks, &new.blocks),
    };
    let logs = |figures: &std::collections::BTreeMap<u32, f64>| -> Option<Vec<f64>> {
        figures.values().map(|figure| (*figure > 0.0).then(|| figure.ln())).collect()
    };
    let (mut change, then_logs, now_logs) = {
        let (then, now) = (logs(then)?, logs(now)?);
        (shift(&then, &now, how)?, then, now)
    };
    if how == Sampling::Counted {
        // The same blocks have the same pages in both runs: there they are pairs.
        let paired: Vec<f64> =
            now.iter().filter_map(|(block, now)| Some((now / then.get(block)?).ln())).collect();
        change = Interval::of(&paired, how)
            .filter(|all| all.blocks == then.len().max(now.len()))
            .unwrap_or(change);
    }
    let blocks = [then.len(), now.len()];
    let row = Row {
        cell: old.name.clone(),
        measure: old.measure,
        old: geometric(&then_logs),
        new: geometric(&now_logs),
        blocks,
        change: change.middle.exp_m1(),
        interval: (how == Sampling::Counted || are_enough(blocks[0], blocks[1]))
            .then(|| [change.low, change.high].map(f64::exp_m1)),
        p: None,
        is_shown: false,
        counts: false,
    };
    Some((row, change))
}

impl Row {
    /// The same with what can be said of its change, corrected for the table.
    fn judged(self, change: &Interval, threshold: f64) -> Self {
        let is_shown = if change.is_counted() {
            change.low != 0.0 || change.high != 0.0
        } else {
            change.shows_difference()
        };
        let counts = is_shown && self.measure.is_worse(self.change) && self.change.abs() > threshold;
        Self { p: change.p, is_shown, counts, ..self }
    }
}

fn geometric_means(rows: &[Row]) -> Vec<GeometricMean> {
    let of = |measure: Measure| {
        let those: Vec<&Row> = rows.iter().filter(|row| row.measure == measure).collect();
        let mean = |figure: fn(&Row) -> f64| {
            geometric(&those.iter().map(|row| figure(row).ln()).collect::<Vec<_>>())
        };
        let (old, new) = (mean(|row| row.old), mean(|row| row.new));
        (!those.is_empty()).then(|| GeometricMean { measure, old, new, change: ratio(new, old) - 1.0 })
    };
    [Measure::ARange, Measure::Rate].into_iter().filter_map(of).collect()
}

/// The geometric mean of numbers whose logarithms these are.
fn geometric(logs: &[f64]) -> f64 {
    ratio(logs.iter().sum(), float(logs.len() as u64)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::timed::counted;

    fn of(old: &Archive, new: &Archive, allowed: &[Part]) -> Result<Diff, DiffError> {
        Diff::of(old, new, allowed, None)
    }

    #[test]
    fn counted_runs_are_compared_exactly_and_worse_ones_count_beyond_the_threshold() {
        for (total, is_shown, counts) in
            [(10_000, false, false), (10_050, true, false), (10_200, true, true), (9_800, true, false)]
        {
            let diff = of(&counted(10_000), &counted(total), &[]).unwrap();
            let [row] = diff.cells.as_slice() else { panic!("{diff:?}") };
            assert_eq!((row.is_shown, row.counts, diff.beyond() > 0), (is_shown, counts, counts), "{row:?}");
            assert_eq!(row.shown(diff.unit)[3] == "=", !is_shown);
            assert!((diff.geometric_means[0].change - row.change).abs() < 1e-9);
        }
        let lenient = Diff::of(&counted(10_000), &counted(10_200), &[], Some(0.05)).unwrap();
        assert!(lenient.cells[0].is_shown && lenient.beyond() == 0);
    }

    #[test]
    fn what_differs_in_more_than_was_allowed_is_refused_with_the_flag_that_allows_it() {
        let (old, mut new) = (counted(1000), counted(1000));
        new.environment.rustc = "another".to_owned();
        of(&old, &new, &[]).unwrap();
        new.environment.machine.kernel = "7.0".to_owned();
        new.plan.choices.seed = Some(9);
        new.plan.choices.blocks = Some(99);
        let said = of(&old, &new, &[]).unwrap_err().to_string();
        assert!(
            said.contains("release") && said.contains("7.0") && said.contains("--allow kernel,plan"),
            "{said}"
        );
        assert!(!said.contains("blocks"), "{said}");
        let said = of(&old, &new, &[Part::Plan]).unwrap_err().to_string();
        assert!(said.ends_with("--allow kernel"), "{said}");
        of(&old, &new, &[Part::Plan, Part::Kernel]).unwrap();
        let mut timed = counted(1000);
        timed.environment = crate::testing::timed::environment();
        assert!(matches!(of(&old, &timed, &[Part::Host]), Err(DiffError::Unit { .. })));
    }

    #[test]
    fn cells_of_one_run_only_are_remarked_on_and_none_in_common_is_an_error() {
        let (old, mut new) = (counted(1000), counted(1000));
        new.trials.clear();
        assert!(matches!(of(&old, &new, &[]), Err(DiffError::Nothing { .. })));
        let mut both = counted(1000);
        let mut other = both.trials[0].clone();
        other.trial += 1;
        if let crate::trial::record::Body::Timed { choices, .. } = &mut other.body {
            choices.batch += 1;
        }
        both.trials.push(other);
        let diff = of(&both, &old, &[]).unwrap();
        assert!(diff.remarks.iter().any(|remark| remark.ends_with("is in the old run only")), "{diff:?}");
    }

    fn cell(name: &str, blocks: &[f64]) -> Cell {
        let choices = counted(1000).trials[0].choices();
        let blocks = (0..).zip(blocks.iter().copied()).collect();
        Cell { name: name.to_owned(), choices, measure: Measure::ARange, blocks, net: None }
    }

    #[test]
    fn a_change_that_is_large_and_one_that_chance_makes_are_told_apart() {
        let steady = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.1];
        let dearer: Vec<f64> = steady.iter().rev().map(|figure| figure * 1.1).collect();
        let noisy = [70.0, 140.0, 99.0, 130.0, 75.0, 100.0, 160.0, 60.0];
        let [old, new] = [&steady, &noisy].map(|other| [cell("a", &steady), cell("b", other)]);
        let new = [cell("a", &dearer), new[1].clone()];
        let how = Sampling::Drawn { seed: 1 };
        let rows = rows(&old, &new, how, 0.05, &mut Vec::new()).unwrap();
        let [worse, unclear] = rows.as_slice() else { panic!("{rows:?}") };
        assert!(worse.counts && (worse.change - 0.1).abs() < 1e-6, "{worse:?}");
        let [low, high] = worse.interval.unwrap();
        assert!(low < 0.1 && 0.1 < high && high - low < 0.05, "{worse:?}");
        assert!(!unclear.is_shown && unclear.shown(Unit::Nanoseconds)[3].starts_with('~'), "{unclear:?}");
        let mut remarks = Vec::new();
        let negative = [cell("a", &[-1.0, 1.0])];
        super::rows(&negative, &negative, how, 0.05, &mut remarks).unwrap_err();
        assert_eq!(remarks.len(), 1);
    }
}
