//! One trial: every counter and every tally.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::engine::{GuestCounter, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::experiment::told::Told;
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure, Scale};
use crate::figure::curve::Series;
use crate::figure::number;
use crate::figure::quantiles::Quantiles;
use crate::figure::quantity::Quantity;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, percent};
use crate::trial::engine::measured::{EngineMeasured, Round};
use crate::trial::kind::Engine;

/// What a trial showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
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

impl Told for Found {
    /// How long what is timed in the guest takes.
    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let timed =
            |name: &str| Tally::ALL.iter().any(|tally| tally.name() == name && *tally != Tally::Examined);
        let bars =
            self.tallies.iter().filter(|(name, shown)| timed(name) && shown.n > 0).map(|(name, shown)| {
                let figures = format!(
                    "{} (p99 {}, n = {})",
                    self.unit.show(shown.p50),
                    self.unit.show(shown.p99),
                    shown.n
                );
                Bar::plain(name.clone(), shown.p50, figures)
            });
        vec![Chart {
            id: "tallies".to_owned(),
            title: "How long each thing takes in the guest".to_owned(),
            reading: "Medians of all vCPUs together, by powers of ten; p99 beside them.".to_owned(),
            caveats: vec!["One trial: no difference to anything else is shown by this.".to_owned()],
            body: Body::Bars(Bars {
                along: Measure {
                    label: "median".to_owned(),
                    quantity: Quantity::Cost(self.unit),
                    scale: Scale::Log,
                },
                bars: bars.collect(),
            }),
        }]
    }
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let unit = archive.unit();
        let groups = archive.groups::<Engine>();
        let Some(group) = groups.first() else {
            let (counters, tallies) = (BTreeMap::new(), BTreeMap::new());
            return Self { unit, rate: 0.0, counters, tallies, rounds: Vec::new(), curve: Vec::new() };
        };
        let named = |counter: &GuestCounter| (counter.name().to_owned(), group.sum(*counter));
        Self {
            unit,
            rate: group.interval(archive.sampling(), EngineMeasured::operations_a_second).middle,
            counters: GuestCounter::ALL.iter().map(named).collect(),
            tallies: group.tallies().map(|(tally, shown)| (tally.name().to_owned(), shown)).collect(),
            rounds: group.measured().flat_map(|m| m.settled.iter().copied()).collect(),
            curve: group.measured().next().map(|m| m.curve.clone()).unwrap_or_default(),
        }
    }

    fn tables(&self) -> Vec<Grid> {
        let count = |counter: &GuestCounter| self.counters.get(counter.name()).copied().unwrap_or_default();
        let counters = Grid::of(
            format!("counters, all vCPUs; {} operations a second", number::number(self.rate)),
            GuestCounter::ALL,
            &[
                ("counter", &|counter| counter.name().to_owned()),
                ("count", &|counter| count(counter).to_string()),
            ],
        );
        let rounds = Grid::of(
            "rounds, by the kernel's view",
            &self.rounds,
            &[
                ("round", &|round| round.round.to_string()),
                ("free pages", &|round| round.free.to_string()),
                ("unmapped", &|round| percent(round.unmapped())),
                ("back", &|round| round.back().map_or_else(|| "unknown".to_owned(), percent)),
                ("still resident", &|round| round.resident.to_string()),
                ("reported", &|round| round.reported.to_string()),
                ("lost", &|round| round.lost.to_string()),
            ],
        );
        let mut tables = vec![counters, tallies(self.unit, &self.tallies)];
        tables.extend((!self.rounds.is_empty()).then_some(rounds));
        tables
    }

    fn curves(&self) -> Vec<Series> {
        Series::of_memory("trial", &self.curve).into()
    }
}

fn tallies(unit: Unit, tallies: &BTreeMap<String, Quantiles>) -> Grid {
    let header = [&["tally"], &Quantiles::HEADER[..], &["n"]].concat();
    let rows = Tally::ALL.iter().filter_map(|tally| {
        let quantiles = tallies.get(tally.name())?;
        let show = |value| match tally {
            Tally::Examined => number::number(value),
            _ => unit.show(value),
        };
        let mut row = vec![tally.name().to_owned()];
        row.extend(quantiles.figures(show));
        row.push(quantiles.n.to_string());
        Some(row)
    });
    let header = header.into_iter().map(str::to_owned).collect();
    Grid::new("tallies, all vCPUs".to_owned(), header, rows.collect())
}
