//! One trial: every counter and every tally.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::engine::{GuestCounter, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures;
use super::group::Group;
use super::plot::{self, Series};
use super::record::{EngineMeasured, Round};
use crate::quantiles::Quantiles;
use crate::table::{Grid, strings};
use crate::unit::{Unit, percent};

/// What a trial showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct One {
    /// Operations a second.
    pub rate: f64,
    /// Counters, all processors together.
    pub counters: BTreeMap<String, u64>,
    /// Tallies: nanoseconds, or a number for `examined`.
    pub tallies: BTreeMap<String, Quantiles>,
    /// Settled rounds.
    pub rounds: Vec<Round>,
    /// Resident and free bytes over nanoseconds.
    pub curve: Vec<[u64; 3]>,
}

impl One {
    /// Of the groups of a run, the first of which has the trial.
    #[must_use]
    pub fn of(groups: &[Group<'_>]) -> Self {
        let Some(group) = groups.first() else {
            let (counters, tallies) = (BTreeMap::new(), BTreeMap::new());
            return Self { rate: 0.0, counters, tallies, rounds: Vec::new(), curve: Vec::new() };
        };
        let named = |counter: &GuestCounter| (counter.name().to_owned(), group.sum(*counter));
        Self {
            rate: group.interval(1, EngineMeasured::operations_a_second).mean,
            counters: GuestCounter::ALL.iter().map(named).collect(),
            tallies: group.tallies().map(|(tally, shown)| (tally.name().to_owned(), shown)).collect(),
            rounds: group.measured().flat_map(|m| m.settled.iter().copied()).collect(),
            curve: group.measured().next().map(|m| m.curve.clone()).unwrap_or_default(),
        }
    }

    /// Counters, tallies and rounds.
    #[must_use]
    pub fn tables(&self) -> Vec<Grid> {
        let counters = GuestCounter::ALL.iter().map(|counter| {
            let count = self.counters.get(counter.name()).copied().unwrap_or_default();
            vec![counter.name().to_owned(), count.to_string()]
        });
        let title = format!("counters, all vCPUs; {} operations a second", figures::number(self.rate));
        let mut tables = vec![Grid::new(title, strings(["counter", "count"]), counters.collect())];
        tables.push(tallies(&self.tallies));
        if !self.rounds.is_empty() {
            let header = strings(["round", "free pages", "returned", "still resident", "reported", "lost"]);
            let rows = self.rounds.iter().map(|round| {
                let Round { round: number, free, resident, reported, lost, .. } = round;
                let mut row = vec![number.to_string(), free.to_string(), percent(round.returned())];
                row.extend([resident, reported, lost].map(u64::to_string));
                row
            });
            tables.push(Grid::new("rounds, by the kernel's view".to_owned(), header, rows.collect()));
        }
        tables
    }

    /// Resident and free memory over time, if they were watched.
    #[must_use]
    pub fn curves(&self) -> Vec<Series> {
        let of = |(index, what): (usize, &'static str)| Series {
            name: "trial".to_owned(),
            what,
            points: self.curve.iter().map(|point| (point[0], point[index + 1])).collect(),
        };
        ["resident", "free"].into_iter().enumerate().map(of).collect()
    }

    /// The curves in characters.
    #[must_use]
    pub fn plot(&self) -> Vec<String> {
        plot::lines(&self.curves())
    }
}

fn tallies(tallies: &BTreeMap<String, Quantiles>) -> Grid {
    let header = strings(["tally", "median", "p90", "p99", "p99.9", "max", "mean", "n"]);
    let rows = Tally::ALL.iter().filter_map(|tally| {
        let Quantiles { n, mean, p50, p90, p99, p999, max } = *tallies.get(tally.name())?;
        let show = |value| match tally {
            Tally::Examined => figures::number(value),
            _ => Unit::Nanoseconds.show(value),
        };
        let mut row = vec![tally.name().to_owned()];
        row.extend([p50, p90, p99, p999, max, mean].map(show));
        row.push(n.to_string());
        Some(row)
    });
    Grid::new("tallies, all vCPUs".to_owned(), header, rows.collect())
}
