//! From how many ranges on one call is cheaper, and by how much.

use abi::wire::page::BATCH_CAPACITY;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::measured::TimedMeasured;
use crate::trial::timed::phases::Phase;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// Every order, by how many ranges a report has.
    pub rows: Vec<Row>,
}

/// Reports of so many ranges.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The order of a range.
    pub order: u8,
    /// Ranges in a report.
    pub batch: u16,
    /// Calls that a report takes where each range has one, and where all have one.
    pub calls: [f64; 2],
    /// What discarding a range takes with a call of its own.
    pub single: Interval,
    /// What it takes with one call for all.
    pub vectored: Interval,
    /// By what share the latter takes longer, paired by block.
    pub change: Interval,
    /// The same of a whole report.
    pub of_report: Interval,
}

impl Row {
    fn is_cheaper(&self) -> bool {
        self.change.shows_difference() && self.change.middle < 0.0
    }

    /// Whether each way made the calls that it is made of.
    fn fault(&self) -> Option<String> {
        let expected = [f64::from(self.batch), 1.0];
        let [single, all] = self.calls;
        (self.calls != expected).then(|| format!("{} ranges: {single} and {all} calls a report", self.batch))
    }
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let groups = archive.groups::<Timed>();
        let unit = groups.first().map_or(Unit::Nanoseconds, |group| group.clock().unit());
        let of = |discard| groups.iter().filter(move |group| group.choices.way.discard.0 == discard);
        let pairs = of(Discard::DontNeed).filter_map(|single| {
            let place = |group: &Group<'_, Timed>| (group.choices.order, group.choices.batch);
            let vectored = of(Discard::Vectored).find(|group| place(group) == place(single))?;
            row(single, vectored, archive.sampling())
        });
        let mut rows: Vec<Row> = pairs.collect();
        rows.sort_by_key(|row| (row.order, row.batch));
        for rows in rows.chunk_by_mut(|one, other| one.order == other.order) {
            holm(rows.iter_mut().map(|row| &mut row.change));
            holm(rows.iter_mut().map(|row| &mut row.of_report));
        }
        Self { unit, rows }
    }

    fn tables(&self) -> Vec<Grid> {
        self.by_order().map(|rows| table(self.unit, rows)).collect()
    }

    fn comparisons(&self) -> usize {
        self.by_order().map(<[Row]>::len).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        self.by_order().flat_map(|rows| [threshold(rows)].into_iter().chain(gains(rows))).collect()
    }

    fn checks(&self) -> Vec<Check> {
        let what = "a report took a call for each range, and one where one takes all";
        let faults: Vec<String> = self.rows.iter().filter_map(Row::fault).collect();
        let looked_at = self.rows.len() as u64;
        vec![none_of(what, Standing::Fails, &faults, looked_at, format!("{looked_at} sizes of report"))]
    }

    fn how_to_read(&self) -> String {
        "- *single*, *vectored*: the discard phase of a report over its ranges, with a madvise for each and with one process_madvise; medians of trials, \
         their middle over blocks with its 95 % interval.\n\
         - *change*: by how much the second takes longer than the first in the same block; `~` marks one that cannot be told from none, corrected for the \
         sizes of the table. *of a report*: the same of everything from the guest's first step to its acknowledgement.\n"
            .to_owned()
    }
}

impl Found {
    /// The rows of each order.
    pub(super) fn by_order(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, other| one.order == other.order)
    }
}

fn row(single: &Group<'_, Timed>, vectored: &Group<'_, Timed>, how: Sampling) -> Option<Row> {
    let batch = single.choices.batch;
    let a_range = |group: &Group<'_, Timed>| {
        group.interval(how, |measured| ratio(measured.phase(Phase::Discard).p50, f64::from(batch)))
    };
    let change = |phase| {
        let figure = move |measured: &TimedMeasured| measured.phase(phase).p50;
        vectored.against(single, how, figure, |ours, theirs| ratio(ours, theirs) - 1.0)
    };
    Some(Row {
        order: single.choices.order,
        batch,
        calls: [single, vectored].map(calls_a_report),
        single: a_range(single),
        vectored: a_range(vectored),
        change: change(Phase::Discard)?,
        of_report: change(Phase::Total)?,
    })
}

fn calls_a_report(group: &Group<'_, Timed>) -> f64 {
    let calls = total(group.measured().map(|measured| measured.counts.madvise_calls));
    ratio(float(calls), float(total(group.measured().map(|measured| measured.reports))))
}

fn table(unit: Unit, rows: &[Row]) -> Grid {
    let blocks = rows.iter().map(|row| row.change.blocks).min().unwrap_or_default();
    let order = rows.first().map_or(0, |row| row.order);
    Grid::of(
        format!("blocks of {}, by how many a report has; a range, n = {blocks}", block(order)),
        rows,
        &[
            ("ranges", &|row| row.batch.to_string()),
            ("single [95 %]", &|row| number::amount(unit, &row.single)),
            ("vectored [95 %]", &|row| number::amount(unit, &row.vectored)),
            ("change [95 %]", &|row| number::share(&row.change)),
            ("of a report [95 %]", &|row| number::share(&row.of_report)),
        ],
    )
}

/// From which size on every larger one is cheaper in one call.
pub(super) fn threshold(rows: &[Row]) -> String {
    let order = rows.first().map_or(0, |row| row.order);
    let from = rows.len() - rows.iter().rev().take_while(|row| row.is_cheaper()).count();
    match rows.get(from) {
        Some(row) => format!(
            "With blocks of {} one process_madvise is cheaper than single calls from {} ranges on, of the sizes that were tried.",
            block(order),
            row.batch
        ),
        None => format!("With blocks of {} one process_madvise is not shown to be cheaper.", block(order)),
    }
}

/// By how much, at the size of Linux's reports and at the largest.
pub(super) fn gains(rows: &[Row]) -> impl Iterator<Item = String> {
    let largest = rows.last().map(|row| row.batch);
    let asked = rows.iter().filter(move |row| row.batch == 32 || Some(row.batch) == largest);
    asked.map(|row| {
        let saved = -row.change.middle;
        let (much, less) = (percent(saved.abs()), if saved < 0.0 { "more" } else { "less" });
        let doubt = if row.change.shows_difference() { "" } else { ", which cannot be told from none" };
        let most =
            if u64::from(row.batch) == BATCH_CAPACITY { ", the most that a call carries," } else { "" };
        format!("At {} ranges{most} its discard takes {much} {less}{doubt}.", row.batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(batch: u16, change: f64, p: f64) -> Row {
        let interval = |mean| Interval { middle: mean, low: mean, high: mean, blocks: 10, p: Some(p) };
        let calls = [f64::from(batch), 1.0];
        let (single, vectored) = (interval(1.0), interval(1.0 + change));
        Row {
            order: 0,
            batch,
            calls,
            single,
            vectored,
            change: interval(change),
            of_report: interval(change),
        }
    }

    #[test]
    fn a_threshold_is_where_every_larger_report_is_cheaper() {
        let rows = [
            row(1, 0.2, 0.01),
            row(2, -0.1, 0.01),
            row(4, -0.1, 0.3),
            row(8, -0.2, 0.01),
            row(16, -0.3, 0.01),
        ];
        assert!(threshold(&rows).contains("from 8 ranges on"), "{}", threshold(&rows));
        assert!(threshold(&rows[..3]).contains("not shown"));
        assert_eq!(gains(&rows).collect::<Vec<_>>(), ["At 16 ranges its discard takes 30.0 % less."]);
    }

    #[test]
    fn calls_that_were_not_made_so_are_a_fault() {
        assert_eq!(row(32, 0.0, 1.0).fault(), None);
        assert!(Row { calls: [32.0, 32.0], ..row(32, 0.0, 1.0) }.fault().is_some());
    }
}
