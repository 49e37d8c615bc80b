//! What it costs to give memory back, by the order reported and the blocks a report holds.

use std::collections::BTreeSet;

use abi::addr::Order;
use host::axes::Completion;
use host::engine::{GuestCounter, Load, Reporting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::contract::{Findings, json};
use crate::experiment::engine::HOW_TO_READ;
use crate::figure::interval::Interval;
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::engine::measured::{EngineMeasured, Round};
use crate::trial::kind::Engine;

/// Exits do not matter where the transport has less than this share of the cost.
const SHARE: f64 = 0.05;
/// Less than this share of unmapped memory back is memory that is not given back.
const BACK: f64 = 0.95;
/// The capacities for which it is said: a call a block, and what Linux has.
const CAPACITIES: [u16; 2] = [1, 32];

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// For each transport, order and capacity.
    pub cells: Vec<Point>,
    /// For each transport, with a block and with 32 blocks a report: from which order on exits stop mattering.
    pub thresholds: Vec<Threshold>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// The least order reported, and that of the workload's blocks.
    pub order: u8,
    /// Blocks a report holds.
    pub capacity: u16,
    /// Nanoseconds of guest and host for every MiB given back.
    pub cost: Interval,
    /// The share of the unmapped pages of its combs that the host has back; absent where the witness cannot tell. Below 1
    /// the cost is one of unmapping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back: Option<f64>,
    /// Of this, what the transport has: neither walk, put-back nor discard.
    pub transport: f64,
    /// Nanoseconds by which touching a MiB that had been given back takes longer; absent if the workload did not run, or
    /// touched none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refault: Option<f64>,
    /// What the transport has of giving a MiB back and touching it again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport_of_all: Option<f64>,
    /// Change of the workload's operations a second against a guest without reporting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Interval>,
}

/// From which order on exits stop mattering.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// Blocks a report holds.
    pub capacity: u16,
    /// The order; absent if they matter at the largest that ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<u8>,
}

/// The rule, for the report.
#[must_use]
pub fn rule() -> String {
    format!(
        "exits stop mattering from the order on at which the transport has less than {} of what it costs to give a MiB back and to touch it again, there and at all larger orders",
        percent(SHARE)
    )
}

impl Found {
    /// Of a run.
    #[must_use]
    pub fn of(archive: &Archive) -> Self {
        let (groups, seed) = (&archive.groups::<Engine>(), archive.plan.seed());
        let combs = groups.iter().filter(|group| group.choices.load.0 == Load::Comb);
        let mut cells: Vec<Point> = combs.map(|comb| point(comb, groups, seed)).collect();
        cells.sort_by_key(|cell| (cell.rung, cell.order, cell.capacity));
        let rungs: BTreeSet<_> = cells.iter().map(|cell| cell.rung).collect();
        let of = |rung| {
            let cells = &cells;
            CAPACITIES.map(|capacity| Threshold { rung, capacity, order: threshold(cells, rung, capacity) })
        };
        Self { unit: archive.unit(), thresholds: rungs.into_iter().flat_map(of).collect(), cells }
    }

    fn costs(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| Some(cell.cost));
        let title = format!(
            "{}: µs for each MiB given back, guest and host, by order and blocks a report; ± half the 95 % interval, n = {n}",
            label(rung)
        );
        self.across(rung, title, |cell| {
            let half = (cell.cost.high - cell.cost.low) / 2.0;
            format!("{} ±{}", number::number(cell.cost.mean / 1e3), number::number(half / 1e3))
        })
    }

    fn backs(&self, rung: Option<Named<Rung>>) -> Grid {
        let title = format!("{}: the share of unmapped memory that the host has back", label(rung));
        self.across(rung, title, |cell| cell.back.map_or_else(|| "unknown".to_owned(), percent))
    }

    fn transports(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| Some(cell.cost));
        let title =
            format!("{}: the transport's share of that, neither walk nor discard; n = {n}", label(rung));
        self.across(rung, title, |cell| percent(cell.transport))
    }

    fn transports_of_all(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| cell.change);
        let title = format!(
            "{}: the transport's share of giving a MiB back and touching it again; n = {n}",
            label(rung)
        );
        self.across(rung, title, |cell| cell.transport_of_all.map_or_else(String::new, percent))
    }

    fn changes(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| cell.change);
        let title = format!(
            "{}: change of the workload's operations a second, in per cent; ± half the 95 % interval, n = {n}, ~ no difference shown",
            label(rung)
        );
        self.across(rung, title, |cell| cell.change.as_ref().map_or_else(String::new, number::short_share))
    }

    fn least_blocks(&self, of: impl Fn(&Point) -> Option<Interval>) -> usize {
        self.cells.iter().filter_map(of).map(|interval| interval.blocks).min().unwrap_or_default()
    }

    fn across(&self, rung: Option<Named<Rung>>, title: String, show: impl Fn(&Point) -> String) -> Grid {
        let here = || self.cells.iter().filter(move |cell| cell.rung == rung);
        let capacities: BTreeSet<u16> = here().map(|cell| cell.capacity).collect();
        let orders: BTreeSet<u8> = here().map(|cell| cell.order).collect();
        let mut header = vec!["order".to_owned()];
        header.extend(capacities.iter().map(ToString::to_string));
        let row = |order: &u8| {
            let mut row = vec![format!("{order} ({})", block(*order))];
            row.extend(capacities.iter().map(|capacity| {
                let cell = here().find(|cell| cell.order == *order && cell.capacity == *capacity);
                cell.map_or_else(String::new, &show)
            }));
            row
        };
        Grid::new(title, header, orders.iter().map(row).collect())
    }
}

impl Findings for Found {
    fn tables(&self) -> Vec<Grid> {
        let rungs: BTreeSet<_> = self.cells.iter().map(|cell| cell.rung).collect();
        let of = |rung| {
            [
                self.costs(rung),
                self.backs(rung),
                self.transports(rung),
                self.transports_of_all(rung),
                self.changes(rung),
            ]
        };
        rungs.into_iter().flat_map(of).collect()
    }

    fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self
            .thresholds
            .iter()
            .map(|threshold| {
                let blocks = match threshold.capacity {
                    1 => "a block".to_owned(),
                    capacity => format!("{capacity} blocks"),
                };
                let over = format!("Over {} with {blocks} a report, exits", label(threshold.rung));
                match threshold.order {
                    Some(order) => format!("{over} stop mattering from order {order} ({}) on.", block(order)),
                    None => {
                        format!("{over} are not shown to stop mattering up to the largest order that ran.")
                    }
                }
            })
            .collect();
        if !sentences.is_empty() {
            sentences.push(format!("The rule: {}.", rule()));
        }
        sentences
    }

    fn how_to_read(&self) -> String {
        HOW_TO_READ.to_owned()
    }

    fn json(&self) -> Value {
        json(self)
    }
}

fn label(rung: Option<Named<Rung>>) -> String {
    rung.map_or_else(|| "custom".to_owned(), |rung| rung.to_string())
}

/// Nanoseconds of guest and host for every MiB given back. While the guest goes on with its work, the host's are its
/// own; else the guest waits for them.
fn cost(measured: &EngineMeasured, completion: Completion) -> f64 {
    let spent = &measured.spent;
    let host = match completion {
        Completion::Interrupt => spent.fetch + spent.discard + spent.complete,
        Completion::Return | Completion::Poll => 0,
    };
    a_mib(measured, measured.sum(GuestCounter::ReportTicks) + host)
}

/// Of this, what is neither walk, put-back nor discard.
fn transport(measured: &EngineMeasured, completion: Completion) -> f64 {
    let spent = &measured.spent;
    let waited = measured.sum(GuestCounter::TransportTicks);
    a_mib(
        measured,
        match completion {
            Completion::Interrupt => waited + spent.fetch + spent.complete,
            Completion::Return | Completion::Poll => waited.saturating_sub(spent.discard),
        },
    )
}

fn a_mib(measured: &EngineMeasured, ticks: u64) -> f64 {
    let mib = float(measured.sum(GuestCounter::ReportedPages)) / 256.0;
    ratio(measured.counts.clock.figure(float(ticks)), mib)
}

fn point(comb: &Group<'_, Engine>, groups: &[Group<'_, Engine>], seed: u64) -> Point {
    let choices = &comb.choices;
    let completion = choices.way.completion.0;
    let cost = |measured: &EngineMeasured| cost(measured, completion);
    let same = |group: &&Group<'_, Engine>| {
        group.choices.min_order == choices.min_order && group.choices.rung() == choices.rung()
    };
    let load = groups
        .iter()
        .filter(same)
        .find(|group| group.choices.load.0 != Load::Comb && group.choices.capacity == choices.capacity);
    let absent = groups.iter().find(|group| {
        group.choices.reporting.0 == Reporting::Absent && group.choices.min_order == choices.min_order
    });
    let whole = comb.interval(seed, cost);
    let part = comb.interval(seed, |measured| transport(measured, completion));
    let refault = load.and_then(refault);
    Point {
        rung: choices.rung().map(Named),
        order: choices.min_order,
        capacity: choices.capacity,
        transport: ratio(part.mean, whole.mean),
        cost: whole,
        refault,
        transport_of_all: refault.map(|refault| ratio(part.mean, whole.mean + refault)),
        back: back(comb),
        change: load.zip(absent).and_then(|(load, absent)| load.change_of_rate(absent, seed)),
    }
}

/// The share of the unmapped pages of settled rounds that the host has back.
fn back(comb: &Group<'_, Engine>) -> Option<f64> {
    let rounds: Vec<_> = comb.measured().flat_map(|measured| &measured.settled).collect();
    let sum = |of: fn(&Round) -> u64| float(total(rounds.iter().map(|round| of(round))));
    let known = rounds.iter().all(|round| round.unknown == 0) && sum(|round| round.unmapped) > 0.0;
    known.then(|| ratio(sum(|round| round.back), sum(|round| round.unmapped)))
}

/// Nanoseconds by which the workload took longer to touch a MiB that had been given back.
fn refault(load: &Group<'_, Engine>) -> Option<f64> {
    let sum = |counter| float(load.sum(counter));
    let unit = float(4096 << load.choices.unit.min(Order::MAX.get())) / float(1 << 20);
    let (units, slow) = (sum(GuestCounter::RefaultOperations), sum(GuestCounter::RefaultTicks));
    let resident = ratio(sum(GuestCounter::TouchTicks) - slow, sum(GuestCounter::Operations) - units);
    let ticks = slow - units * resident;
    (units > 0.0 && ticks > 0.0).then(|| ratio(load.clock().figure(ticks), units * unit))
}

/// The least order such that it and all larger ones meet the rule.
fn threshold(cells: &[Point], rung: Option<Named<Rung>>, capacity: u16) -> Option<u8> {
    let mut at: Vec<&Point> =
        cells.iter().filter(|cell| cell.rung == rung && cell.capacity == capacity).collect();
    at.sort_by_key(|cell| std::cmp::Reverse(cell.order));
    let meets = |cell: &&&Point| {
        // What is not back has not been given back at any cost.
        cell.back.is_some_and(|back| back >= BACK) && cell.transport_of_all.is_some_and(|share| share < SHARE)
    };
    at.iter().take_while(meets).map(|cell| cell.order).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(order: u8, transport_of_all: impl Into<Option<f64>>) -> Point {
        Point {
            rung: None,
            order,
            capacity: 32,
            cost: Interval::default(),
            back: Some(1.0),
            transport: 0.5,
            refault: None,
            transport_of_all: transport_of_all.into(),
            change: None,
        }
    }

    #[test]
    fn exits_stop_mattering_where_they_do_not_matter_at_any_larger_order() {
        let found = |cells: &[Point]| threshold(cells, None, 32);
        assert_eq!(found(&[point(0, 0.5), point(5, 0.04), point(9, 0.01)]), Some(5));
        assert_eq!(found(&[point(0, 0.04), point(5, 0.5), point(9, 0.04)]), Some(9));
        assert_eq!(found(&[point(0, 0.04), point(5, 0.04), point(9, 0.5)]), None);
        let unmapped = Point { back: Some(0.5), ..point(5, 0.04) };
        assert_eq!(found(&[unmapped, point(9, 0.01)]), Some(9), "half of it was not given back");
        let unknown = Point { back: None, ..point(9, 0.01) };
        assert_eq!(found(&[unknown]), None, "nothing is known of what is back");
        assert_eq!(found(&[point(9, None)]), None, "nothing is known of touching it again");
        assert_eq!(threshold(&[point(9, 0.01)], None, 1), None, "another capacity");
    }
}
