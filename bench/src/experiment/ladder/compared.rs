//! Every comparison that the ladder makes: what is said of it, what it could have seen, and the quantiles beside the median.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{CellSummary, find, paired, step_from};
use super::waterfall::ENDS;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling, holm, holm_against_least, pairs};
use crate::figure::power::Said;
use crate::figure::quantiles::{Quantile, Quantiles};
use crate::trial::kind::Timed;
use crate::trial::timed::choices::Choices;
use crate::trial::timed::phases::Phase;

/// Which rung another is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// One end of the argument against the other: what the run is about.
    OtherEnd,
    /// The rung before.
    Before,
    /// The rung with the lowest median that names pages.
    Cheapest,
}

/// One comparison, paired by block.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// Which rung it is held against.
    pub against: Against,
    /// That rung.
    pub from: Named<Rung>,
    /// The rung.
    pub to: Named<Rung>,
    /// Median cost a range more, corrected for the comparisons of its kind with this discard.
    pub per_range: Interval,
    /// What is said of it, and what could have been.
    #[serde(flatten)]
    pub said: Said,
    /// Quantiles of the cost a range: how much more, block by block; each corrected as the median is. One is left out if
    /// some block has too few reports for it.
    pub quantiles: Vec<QuantileChange>,
    /// Reports in the block that has the fewest.
    pub reports_a_block: u64,
}

/// How much more of a quantile.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QuantileChange {
    /// Which.
    pub quantile: Quantile,
    /// Cost a range more.
    pub per_range: Interval,
}

impl Compared {
    /// What is taken off, for tables.
    #[must_use]
    pub fn less(&self) -> String {
        let which = match self.against {
            Against::OtherEnd => " (the other end)",
            Against::Before => "",
            Against::Cheapest => " (the cheapest)",
        };
        self.from.to_string() + which
    }

    /// How much more of a quantile, if every block has reports enough for it.
    #[must_use]
    pub fn quantile(&self, quantile: Quantile) -> Option<&Interval> {
        self.quantiles.iter().find(|change| change.quantile == quantile).map(|change| &change.per_range)
    }
}

/// What the reports of every block cost, by cell.
pub struct Tails(BTreeMap<Choices, BTreeMap<u32, Quantiles>>);

impl Tails {
    /// Of the cells of a run.
    #[must_use]
    pub fn of(groups: &[Group<'_, Timed>]) -> Self {
        let of = |group: &Group<'_, Timed>| {
            let block = |trial: &&crate::trial::record::TrialRecord| {
                Some((trial.block, trial.measured::<Timed>()?.phase(Phase::Total)))
            };
            (group.choices, group.trials.iter().filter_map(block).collect())
        };
        Self(groups.iter().map(of).collect())
    }

    fn reports_a_block(&self, cell: &CellSummary) -> u64 {
        self.0
            .get(&cell.choices)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|q| q.n)
            .min()
            .unwrap_or_default()
    }

    /// How much more of a quantile a range costs, block by block; `None` if some block has too few reports.
    fn more(&self, quantile: Quantile, from: &CellSummary, to: &CellSummary) -> Option<Vec<f64>> {
        let are_net = from.net.is_some() && to.net.is_some();
        let a_range = |cell: &CellSummary, block: u32, cost: &Quantiles| {
            // What was weighed in a block comes off every report of it alike.
            let weighed = match (are_net, cell.blocks.get(&block), cell.total(block)) {
                (true, Some(with), Some(without)) => with.total - without,
                _ => 0.0,
            };
            Some((cost.at(quantile)? - weighed) / f64::from(cell.choices.ranges_a_report()))
        };
        let theirs = self.0.get(&from.choices)?;
        let both =
            self.0.get(&to.choices)?.iter().filter_map(|(block, to)| Some((*block, theirs.get(block)?, to)));
        both.map(|(block, less, more)| Some(a_range(to, block, more)? - a_range(from, block, less)?))
            .collect()
    }
}

/// All of them, by discard.
#[must_use]
pub fn compared(cells: &[CellSummary], tails: &Tails, how: Sampling) -> Vec<Compared> {
    let of = |discard: &Discard| {
        let [ends, before, cheapest] =
            [ends(cells, *discard), before(cells, *discard), cheapest(cells, *discard)];
        let tables = [(Against::OtherEnd, ends), (Against::Before, before), (Against::Cheapest, cheapest)];
        tables.into_iter().flat_map(|(against, two)| table(against, &two, tails, how)).collect::<Vec<_>>()
    };
    Discard::ALL.iter().flat_map(of).collect()
}

/// What a run is about: the two ends of the argument, or each rung and the one before if an end did not run.
pub fn cruxes(compared: &[Compared]) -> impl Iterator<Item = &Compared> {
    let has_ends = compared.iter().any(|compared| compared.against == Against::OtherEnd);
    let against = if has_ends { Against::OtherEnd } else { Against::Before };
    compared.iter().filter(move |compared| compared.against == against)
}

/// A rung and another one.
type Two<'a> = (&'a CellSummary, &'a CellSummary);

fn ends(cells: &[CellSummary], discard: Discard) -> Vec<Two<'_>> {
    let [from, to] = ENDS.map(|rung| find(cells, rung, discard));
    from.zip(to).into_iter().collect()
}

fn before(cells: &[CellSummary], discard: Discard) -> Vec<Two<'_>> {
    let of_discard = cells.iter().filter(|cell| cell.discard() == discard);
    of_discard.filter_map(|cell| Some((step_from(cells, cell)?, cell))).collect()
}

fn cheapest(cells: &[CellSummary], discard: Discard) -> Vec<Two<'_>> {
    let is_one = |cell: &&CellSummary| cell.discard() == discard && cell.rung.is_some() && cell.names_pages();
    let mut rungs: Vec<&CellSummary> = cells.iter().filter(is_one).collect();
    rungs.sort_by(|a, b| a.a_range().p50.total_cmp(&b.a_range().p50));
    rungs
        .split_first()
        .map_or_else(Vec::new, |(best, others)| others.iter().map(|other| (*best, *other)).collect())
}

/// The comparisons of one kind, corrected for their number.
fn table(against: Against, two: &[Two<'_>], tails: &Tails, how: Sampling) -> Vec<Compared> {
    let (cells, is_least) = (two.len() + 1, against == Against::Cheapest);
    let correct = |table: Vec<&mut Interval>| {
        if is_least { holm_against_least(cells, table) } else { holm(table) }
    };
    let comparisons = if is_least { pairs(cells) } else { two.len() };
    let medians = two.iter().map(|(from, to)| paired(from, to));
    let mut rows: Vec<(&Two<'_>, Vec<f64>, Interval)> = two
        .iter()
        .zip(medians)
        .filter_map(|(two, more)| Some((two, Interval::of(&more, how)?, more)))
        .map(|(two, interval, more)| (two, more, interval))
        .collect();
    correct(rows.iter_mut().map(|(_, _, interval)| interval).collect());
    let row = |((from, to), more, per_range): (&Two<'_>, Vec<f64>, Interval)| {
        let quantiles = Quantile::ALL.into_iter().filter_map(|quantile| {
            let per_range = Interval::of(&tails.more(quantile, from, to)?, how)?;
            Some(QuantileChange { quantile, per_range })
        });
        Some(Compared {
            discard: Named(to.discard()),
            against,
            from: from.rung?,
            to: to.rung?,
            per_range,
            said: Said::of(&more, &per_range, how, comparisons, from.a_range().p50),
            quantiles: quantiles.collect(),
            reports_a_block: tails.reports_a_block(from).min(tails.reports_a_block(to)),
        })
    };
    let mut all: Vec<Compared> = rows.into_iter().filter_map(row).collect();
    for quantile in Quantile::ALL {
        let changes = all.iter_mut().flat_map(|compared| &mut compared.quantiles);
        let of_it = changes.filter(|change| change.quantile == quantile);
        correct(of_it.map(|change| &mut change.per_range).collect());
    }
    all
}
