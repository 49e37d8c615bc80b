//! What it costs to find the blocks that are not reported yet, by strategy.

use std::collections::BTreeSet;

use abi::addr::{Order, PAGE_SIZE};
use host::engine::{GuestCounter, Load, Reporting, Shuffle, Tally, Walk};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::experiment::contract::Findings;
use crate::experiment::least::{AgainstLeast, Blocks, in_tables};
use crate::figure::interval::{Interval, Sampling, holm, pairs};
use crate::figure::number;
use crate::figure::quantiles::Quantiles;
use crate::figure::scaling::{self, Growth};
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio};
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::kind::Engine;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// Lists of a known length, gone through once.
    pub combs: Vec<CombRow>,
    /// How what a strategy does grows with the length of the list.
    pub growth: Vec<GrowthRow>,
    /// Under a workload.
    pub loads: Vec<LoadRow>,
}

/// A strategy on a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CombRow {
    /// The strategy.
    pub walk: Named<Walk>,
    /// Whether compaction moved the list.
    pub shuffle: Named<Shuffle>,
    /// Blocks of the list.
    pub length: u64,
    /// Blocks looked at for every block reported, over blocks.
    pub examined: Interval,
    /// Blocks looked at for a batch.
    pub examined_a_batch: Quantiles,
    /// Unreported blocks that request a pass.
    pub high_water: u64,
    /// Nanoseconds that the lock was held to put the last batch back and find the next.
    pub hold: Quantiles,
    /// Nanoseconds from taking a batch off the list to having it back.
    pub invisible: Quantiles,
    /// Nanoseconds of walking altogether, a trial.
    pub walking_ns: Interval,
    /// How much longer it walked than the one that walked the shortest through as long a list; absent of that one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against_least: Option<AgainstLeast>,
    /// Boundary pointers reset, a trial.
    pub resets: f64,
}

/// How a strategy's cost grows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GrowthRow {
    /// The strategy.
    pub walk: Named<Walk>,
    /// Whether compaction moved the list.
    pub shuffle: Named<Shuffle>,
    /// Of the blocks looked at for a block reported.
    pub examined: Growth,
    /// Of the median time that the lock is held for a batch.
    pub hold: Growth,
    /// Of its 99.9th percentile; absent where a list has too few batches for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold_p999: Option<Growth>,
    /// Of the longest that it was held.
    pub hold_max: Growth,
    /// The longest that it was held at the longest list, in nanoseconds.
    pub longest: f64,
}

/// A strategy under a workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LoadRow {
    /// The strategy.
    pub walk: Named<Walk>,
    /// Blocks looked at for every block reported.
    pub examined: f64,
    /// Of the blocks looked for, those that were not there any more.
    pub missed: f64,
    /// Reports.
    pub reports: u64,
    /// Nanoseconds from taking a batch off the list to having it back.
    pub invisible: Quantiles,
    /// Nanoseconds of an allocation while nothing was reported.
    pub quiet: Quantiles,
    /// Nanoseconds of an allocation meanwhile.
    pub reporting: Quantiles,
    /// Operations a second against absent, switched on.
    pub on: Option<Interval>,
    /// Operations a second against absent, switched off.
    pub off: Option<Interval>,
}

impl Found {
    fn combs_table(&self) -> Grid {
        let title = "one free list, gone through in batches: free blocks looked at for each that is reported, and how long the zone lock was held to put a batch back and find the next, as Linux does in one hold";
        let show = |ns| self.unit.show(ns);
        Grid::of(
            title,
            &self.combs,
            &[
                ("walk", &|row| row.walk.to_string()),
                ("shuffle", &|row| row.shuffle.to_string()),
                ("list", &|row| row.length.to_string()),
                ("looked at a block [95 %]", &|row| {
                    number::around(&row.examined, "", |blocks| format!("{blocks:.2}"))
                }),
                ("a batch, median", &|row| number::number(row.examined_a_batch.p50)),
                ("lock held, median", &|row| show(row.hold.p50)),
                ("p99", &|row| show(row.hold.p99)),
                ("p99.9", &|row| row.hold.tail().map_or_else(String::new, show)),
                ("max", &|row| show(row.hold.max)),
                ("walking, a list", &|row| show(row.walking_ns.middle)),
                ("more than the least", &|row| {
                    row.against_least.as_ref().map_or_else(String::new, |against| against.show(self.unit))
                }),
                ("resets", &|row| number::number(row.resets)),
                ("batches", &|row| row.hold.n.to_string()),
                ("n", &|row| row.examined.blocks.to_string()),
            ],
        )
    }

    fn growth_table(&self) -> Grid {
        Grid::of(
            scaling::rule(),
            &self.growth,
            &[
                ("walk", &|row| row.walk.to_string()),
                ("shuffle", &|row| row.shuffle.to_string()),
                ("blocks looked at for a block reported", &|row| row.examined.name()),
                ("lock held for a batch, median", &|row| row.hold.name()),
                ("99.9th percentile", &|row| row.hold_p999.map_or_else(String::new, |tail| tail.name())),
                ("longest", &|row| row.hold_max.name()),
                ("longest at the longest list", &|row| self.unit.show(row.longest)),
            ],
        )
    }

    fn loads_table(&self) -> Grid {
        let change =
            |change: Option<Interval>| change.map_or_else(String::new, |change| number::share(&change));
        Grid::of(
            "under a workload: change of operations a second against a guest without reporting",
            &self.loads,
            &[
                ("walk", &|row| row.walk.to_string()),
                ("looked at a block", &|row| number::number(row.examined)),
                ("missed", &|row| percent(row.missed)),
                ("reports", &|row| row.reports.to_string()),
                ("on, change [95 %]", &|row| change(row.on)),
                ("off, change [95 %]", &|row| change(row.off)),
                ("n", &|row| row.on.map_or(0, |change| change.blocks).to_string()),
            ],
        )
    }

    fn latency_table(&self) -> Grid {
        let show = |ns| self.unit.show(ns);
        Grid::of(
            "under a workload: how long reported blocks are out of the allocator's sight, and how long an allocation takes",
            &self.loads,
            &[
                ("walk", &|row| row.walk.to_string()),
                ("invisible, median", &|row| show(row.invisible.p50)),
                ("p99", &|row| show(row.invisible.p99)),
                ("n", &|row| row.invisible.n.to_string()),
                ("allocation quiet, median", &|row| show(row.quiet.p50)),
                ("p99", &|row| show(row.quiet.p99)),
                ("max", &|row| show(row.quiet.max)),
                ("n", &|row| row.quiet.n.to_string()),
                ("while reporting, median", &|row| show(row.reporting.p50)),
                ("p99", &|row| show(row.reporting.p99)),
                ("max", &|row| show(row.reporting.max)),
                ("n", &|row| row.reporting.n.to_string()),
            ],
        )
    }
}

fn sentence(unit: Unit, row: &GrowthRow) -> String {
    let compaction = match row.shuffle.0 {
        Shuffle::None => "",
        Shuffle::Compaction => ", with compaction moving the list",
    };
    let tail = row.hold_p999.map_or_else(String::new, |tail| format!(", 99.9th percentile {}", tail.name()));
    format!(
        "{}{compaction}: blocks looked at for a block reported: {}; the lock held for a batch: median {}{tail}, longest {}: {} with {} blocks.",
        row.walk,
        row.examined.name(),
        row.hold.name(),
        row.hold_max.name(),
        unit.show(row.longest),
        row.hold_max.to,
    )
}

fn comb(group: &Group<'_, Engine>, how: Sampling) -> (CombRow, Blocks) {
    let unit = Order::new(u64::from(group.choices.unit)).unwrap_or_default();
    let a_trial = |counter| ratio(float(group.sum(counter)), float(group.trials.len() as u64));
    let walking = |measured: &EngineMeasured| {
        measured.counts.clock.figure(float(measured.sum(GuestCounter::WalkTicks)))
    };
    let row = CombRow {
        walk: group.choices.walk,
        shuffle: group.choices.shuffle,
        length: group.choices.footprint / (2 * unit.pages() * PAGE_SIZE),
        examined: group.interval(how, |measured| {
            let sum = |counter| float(measured.sum(counter));
            ratio(sum(GuestCounter::Examined), sum(GuestCounter::Reported))
        }),
        examined_a_batch: group.tally(Tally::Examined),
        high_water: group.choices.high_water,
        hold: group.tally(Tally::HoldWalk),
        invisible: group.tally(Tally::Invisible),
        walking_ns: group.interval(how, walking),
        against_least: None,
        resets: a_trial(GuestCounter::Resets),
    };
    (row, group.by_block(walking))
}

fn growths(combs: &[CombRow]) -> Vec<GrowthRow> {
    let mut cells: Vec<_> = combs.iter().map(|row| (row.shuffle, row.walk)).collect();
    cells.dedup();
    let growth = |(shuffle, walk)| {
        let rows: Vec<&CombRow> =
            combs.iter().filter(|row| row.shuffle == shuffle && row.walk == walk).collect();
        let of = |figure: &dyn Fn(&CombRow) -> Option<f64>| {
            let figures: Option<Vec<_>> = rows.iter().map(|row| Some((row.length, figure(row)?))).collect();
            Growth::of(&figures?)
        };
        Some(GrowthRow {
            walk,
            shuffle,
            examined: of(&|row| Some(row.examined.middle))?,
            hold: of(&|row| Some(row.hold.p50))?,
            hold_p999: of(&|row| row.hold.tail()),
            hold_max: of(&|row| Some(row.hold.max))?,
            longest: rows.iter().max_by_key(|row| row.length)?.hold.max,
        })
    };
    cells.into_iter().filter_map(growth).collect()
}

fn load_rows(groups: &[&Group<'_, Engine>], how: Sampling) -> Vec<LoadRow> {
    let find = |reporting, walk: Option<Walk>| {
        groups.iter().copied().find(|group| {
            group.choices.reporting.0 == reporting && walk.is_none_or(|walk| group.choices.walk.0 == walk)
        })
    };
    let absent = find(Reporting::Absent, None);
    let mut rows: Vec<LoadRow> = groups
        .iter()
        .filter(|group| group.choices.reporting.0 == Reporting::On)
        .map(|on| {
            let against = |group: &Group<'_, Engine>| group.change_of_rate(absent?, how);
            let sum = |counter| float(on.sum(counter));
            LoadRow {
                walk: on.choices.walk,
                examined: on.per(GuestCounter::Examined, GuestCounter::Reported),
                missed: ratio(
                    sum(GuestCounter::Missed),
                    sum(GuestCounter::Missed) + sum(GuestCounter::Isolated),
                ),
                reports: on.sum(GuestCounter::Reports),
                invisible: on.tally(Tally::Invisible),
                quiet: on.tally(Tally::AllocQuiet),
                reporting: on.tally(Tally::AllocReporting),
                on: against(on),
                off: find(Reporting::Off, Some(on.choices.walk.0)).and_then(against),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.walk);
    holm(rows.iter_mut().flat_map(|row| [row.on.as_mut(), row.off.as_mut()]).flatten());
    rows
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (&archive.groups::<Engine>(), archive.sampling());
        let is_comb = |group: &&Group<'_, Engine>| group.choices.load.0 == Load::Comb;
        let mut combs: Vec<(CombRow, Blocks)> =
            groups.iter().filter(is_comb).map(|group| comb(group, how)).collect();
        let table = |row: &CombRow| Some((row.shuffle, row.length));
        in_tables(&mut combs, table, |row, against| row.against_least = against, how);
        combs.sort_by_key(|(row, _)| (row.shuffle, row.walk, row.length));
        let combs: Vec<CombRow> = combs.into_iter().map(|(row, _)| row).collect();
        let loads: Vec<&Group<'_, Engine>> = groups.iter().filter(|group| !is_comb(group)).collect();
        Self { unit: archive.unit(), growth: growths(&combs), combs, loads: load_rows(&loads, how) }
    }

    fn tables(&self) -> Vec<Grid> {
        vec![self.combs_table(), self.growth_table(), self.loads_table(), self.latency_table()]
    }

    fn comparisons(&self) -> usize {
        let of_loads = self.loads.iter().flat_map(|row| [row.on, row.off]).flatten().count();
        let walks: BTreeSet<_> = self.combs.iter().map(|row| row.walk).collect();
        of_loads.max(pairs(walks.len()))
    }

    fn sentences(&self) -> Vec<String> {
        self.growth.iter().map(|row| sentence(self.unit, row)).collect()
    }
}
