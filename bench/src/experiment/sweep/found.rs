//! What it costs to report memory, by the order reported and the blocks a report holds.

use std::collections::{BTreeMap, BTreeSet};

use abi::addr::Order;
use host::axes::Completion;
use host::engine::{GuestCounter, Load, Reporting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::engine::measured::{EngineMeasured, Round};
use crate::trial::kind::Engine;

/// Exits do not matter where the transport has less than this share of the cost.
pub(super) const SHARE: f64 = 0.05;
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
    /// Nanoseconds of guest and host for every MiB reported.
    pub cost: Interval,
    /// The share of the unmapped pages of its combs that the host has back; absent where the witness cannot tell. Below 1
    /// the cost is one of unmapping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back: Option<f64>,
    /// Of this, what the transport has: neither walk, put-back nor discard.
    pub transport: f64,
    /// By how much touching a MiB of runs with something reported in them takes longer, block by block; absent if the
    /// workload ran in no block, or touched none. An estimate that is not positive is one all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refault: Option<Interval>,
    /// What the transport has of reporting a MiB and touching it again; unknown where the refault is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport_of_all: Option<Interval>,
    /// Change of the workload's operations a second against a guest without reporting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Interval>,
}

/// From which order on exits are shown to stop mattering, and what is known of the next smaller one that ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// Blocks a report holds.
    pub capacity: u16,
    /// The least order such that it and all larger ones are shown to be below the share; absent if the largest is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<u8>,
    /// The order at which that ends, and what the transport has there; absent if all that ran are below.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ends_at: Option<End>,
}

/// Where the orders that are shown to be below the share end.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// The order.
    pub order: u8,
    /// What the transport has there; unknown if the refault is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<Interval>,
    /// The share of its unmapped pages that the host has back there; absent where the witness cannot tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back: Option<f64>,
}

/// The rule, for the report.
#[must_use]
pub fn rule() -> String {
    format!(
        "exits are shown to stop mattering from the order on at which the whole interval of what the transport has of reporting a MiB and touching it again lies below {}, there and at all larger orders",
        percent(SHARE)
    )
}

impl Found {
    fn costs(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| Some(cell.cost));
        let title = format!(
            "{}: µs for each MiB reported, guest and host, by order and blocks a report; ± half the 95 % interval, n = {n}",
            label(rung)
        );
        self.across(rung, title, |cell| number::give_or_take(&cell.cost, |ns| number::number(ns / 1e3)))
    }

    fn backs(&self, rung: Option<Named<Rung>>) -> Grid {
        let title = format!("{}: the share of unmapped memory that the host has back", label(rung));
        self.across(rung, title, |cell| cell.back.map_or_else(|| "unknown".to_owned(), percent))
    }

    fn transports(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| Some(cell.cost));
        let title = format!(
            "{}: the transport's share of the cost of reporting a MiB, neither walk nor discard; n = {n}",
            label(rung)
        );
        self.across(rung, title, |cell| percent(cell.transport))
    }

    fn transports_of_all(&self, rung: Option<Named<Rung>>) -> Grid {
        let n = self.least_blocks(|cell| cell.change);
        let title = format!(
            "{}: the transport's share of reporting a MiB and touching a MiB of runs with something reported in them; n = {n}",
            label(rung)
        );
        self.across(rung, title, |cell| {
            cell.transport_of_all.as_ref().map_or_else(|| "unknown".to_owned(), number::part)
        })
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
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (&archive.groups::<Engine>(), archive.sampling());
        let combs = groups.iter().filter(|group| group.choices.load.0 == Load::Comb);
        let mut cells: Vec<Point> = combs.map(|comb| point(comb, groups, how)).collect();
        cells.sort_by_key(|cell| (cell.rung, cell.order, cell.capacity));
        let rungs: BTreeSet<_> = cells.iter().map(|cell| cell.rung).collect();
        let mut thresholds = Vec::new();
        for rung in rungs {
            // A table a rung.
            let table = cells.iter_mut().filter(|cell| cell.rung == rung);
            holm(table.filter_map(|cell| cell.change.as_mut()));
            thresholds.extend(CAPACITIES.map(|capacity| threshold(&cells, rung, capacity)));
        }
        Self { unit: archive.unit(), thresholds, cells }
    }

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

    fn comparisons(&self) -> usize {
        let of = |rung| self.cells.iter().filter(|cell| cell.rung == rung && cell.change.is_some()).count();
        self.cells.iter().map(|cell| of(cell.rung)).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.thresholds.iter().map(said).collect();
        if !sentences.is_empty() {
            sentences.push(format!("The rule: {}.", rule()));
        }
        sentences
    }
}

/// From which order on exits stop mattering, and what is known of the next smaller one.
pub(super) fn said(threshold: &Threshold) -> String {
    let blocks = match threshold.capacity {
        1 => "a block".to_owned(),
        capacity => format!("{capacity} blocks"),
    };
    let over = format!("Over {} with {blocks} a report, exits", label(threshold.rung));
    let shown = match threshold.order {
        Some(order) => {
            format!("{over} are shown to stop mattering from order {order} ({}) on", block(order))
        }
        None => format!("{over} are not shown to stop mattering at the largest order that ran"),
    };
    shown + &threshold.ends_at.map_or_else(|| ".".to_owned(), End::said)
}

impl End {
    fn said(self) -> String {
        let order = self.order;
        match self.back {
            Some(back) if back < BACK => {
                return format!(
                    "; at order {order} the host has {} of what is unmapped back.",
                    percent(back)
                );
            }
            None => return format!("; at order {order} what the host has back is unknown."),
            Some(_) => {}
        }
        let Some(share) = self.share else { return format!("; at order {order} it is unknown.") };
        let figures = number::part(&share);
        let what = match share {
            _ if !share.is_known() => "there are too few blocks to say: they have",
            _ if share.low >= SHARE => "they have",
            _ => "it cannot be said: they have",
        };
        format!("; at order {order} {what} {figures}.")
    }
}

/// Nanoseconds of guest and host for every MiB reported. While the guest goes on with its work, the host's are its
/// own; else the guest waits for them.
fn cost(measured: &EngineMeasured, completion: Completion) -> f64 {
    let spent = &measured.spent;
    let host = match completion {
        Completion::Interrupt => total([spent.fetch, spent.discard, spent.complete]),
        Completion::Return | Completion::Poll => 0,
    };
    a_mib(measured, total([measured.sum(GuestCounter::ReportTicks), host]))
}

/// Of this, what is neither walk, put-back nor discard.
fn transport(measured: &EngineMeasured, completion: Completion) -> f64 {
    let spent = &measured.spent;
    let waited = measured.sum(GuestCounter::TransportTicks);
    a_mib(
        measured,
        match completion {
            Completion::Interrupt => total([waited, spent.fetch, spent.complete]),
            Completion::Return | Completion::Poll => waited.saturating_sub(spent.discard),
        },
    )
}

fn a_mib(measured: &EngineMeasured, ticks: u64) -> f64 {
    let mib = float(measured.sum(GuestCounter::ReportedPages)) / 256.0;
    ratio(measured.counts.clock.figure(float(ticks)), mib)
}

fn point(comb: &Group<'_, Engine>, groups: &[Group<'_, Engine>], how: Sampling) -> Point {
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
    let whole = comb.interval(how, cost);
    let part = |measured: &EngineMeasured| transport(measured, completion);
    let refaults = load.map(refaults).unwrap_or_default();
    let known =
        comb.by_block(cost).into_iter().map(|(block, cost)| Some((block, cost + refaults.get(&block)?)));
    let known: Option<BTreeMap<u32, f64>> = known.collect();
    let of_all = known.and_then(|all| {
        let parts = comb.by_block(part);
        let share = |(block, all): (&u32, &f64)| Some(ratio(*parts.get(block)?, *all));
        Interval::of(&all.iter().filter_map(share).collect::<Vec<_>>(), how)
    });
    Point {
        rung: choices.rung().map(Named),
        order: choices.min_order,
        capacity: choices.capacity,
        transport: ratio(comb.interval(how, part).middle, whole.middle),
        cost: whole,
        refault: Interval::of(&refaults.into_values().collect::<Vec<_>>(), how),
        transport_of_all: of_all,
        back: back(comb),
        change: load.zip(absent).and_then(|(load, absent)| load.change_of_rate(absent, how)),
    }
}

/// The share of the unmapped pages of settled rounds that the host has back.
fn back(comb: &Group<'_, Engine>) -> Option<f64> {
    let rounds: Vec<_> = comb.measured().flat_map(|measured| &measured.settled).collect();
    let sum = |of: fn(&Round) -> u64| float(total(rounds.iter().map(|round| of(round))));
    let known = rounds.iter().all(|round| round.unknown == 0) && sum(|round| round.unmapped) > 0.0;
    known.then(|| ratio(sum(|round| round.back), sum(|round| round.unmapped)))
}

/// By how much the workload took longer to touch a MiB of runs with something reported in them, in each block in which
/// it touched any.
fn refaults(load: &Group<'_, Engine>) -> BTreeMap<u32, f64> {
    let unit = float(4096 << load.choices.unit.min(Order::MAX.get())) / float(1 << 20);
    let of = |m: &EngineMeasured| {
        let units = float(m.sum(GuestCounter::RefaultOperations));
        (units > 0.0).then(|| Some(ratio(m.counts.clock.figure(m.refault_ticks()?), units * unit)))?
    };
    load.by_block(|m| of(m).unwrap_or(f64::NAN))
        .into_iter()
        .filter(|(_, refault)| refault.is_finite())
        .collect()
}

/// The orders from the largest down whose whole interval meets the rule, and where they end.
fn threshold(cells: &[Point], rung: Option<Named<Rung>>, capacity: u16) -> Threshold {
    let mut at: Vec<&Point> =
        cells.iter().filter(|cell| cell.rung == rung && cell.capacity == capacity).collect();
    at.sort_by_key(|cell| std::cmp::Reverse(cell.order));
    let meets = |cell: &&&Point| {
        // What is not back has not been given back at any cost.
        cell.back.is_some_and(|back| back >= BACK)
            && cell.transport_of_all.is_some_and(|share| share.is_known() && share.high < SHARE)
    };
    let met = at.iter().take_while(meets).count();
    let end =
        at.get(met).map(|cell| End { order: cell.order, share: cell.transport_of_all, back: cell.back });
    let order = met.checked_sub(1).map(|last| at[last].order);
    Threshold { rung, capacity, order, ends_at: end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(order: u8, share: Option<(f64, f64)>) -> Point {
        let share =
            share.map(|(low, high)| Interval { middle: (low + high) / 2.0, low, high, blocks: 6, p: None });
        Point {
            rung: None,
            order,
            capacity: 32,
            cost: Interval::default(),
            back: Some(1.0),
            transport: 0.5,
            refault: None,
            transport_of_all: share,
            change: None,
        }
    }

    #[test]
    fn a_threshold_is_where_the_whole_interval_crosses() {
        let found = |cells: &[Point]| {
            let Threshold { order, ends_at, .. } = threshold(cells, None, 32);
            (order, ends_at.map(|end| (end.order, end.share.is_some())))
        };
        let (below, across, above) = (Some((0.03, 0.045)), Some((0.04, 0.101)), Some((0.4, 0.6)));
        assert_eq!(found(&[point(0, above), point(5, below), point(9, below)]), (Some(5), Some((0, true))));
        // Its mean is above, its interval holds the share: it does not pass for being below at a larger order.
        assert_eq!(found(&[point(5, below), point(7, across), point(9, below)]), (Some(9), Some((7, true))));
        assert_eq!(found(&[point(5, below), point(9, above)]), (None, Some((9, true))));
        let end = found(&[point(5, below), point(9, None)]);
        assert_eq!(end, (None, Some((9, false))), "unknown is not below");
        assert_eq!(found(&[point(5, below)]), (Some(5), None));
        let unmapped = Point { back: Some(0.5), ..point(5, below) };
        let end = found(&[unmapped, point(9, below)]);
        assert_eq!(end, (Some(9), Some((5, true))), "half of it was not given back");
        let few = Interval { blocks: 5, p: Some(0.1), ..point(9, below).transport_of_all.unwrap() };
        let few = Point { transport_of_all: Some(few), ..point(9, below) };
        assert_eq!(found(std::slice::from_ref(&few)).0, None, "the spread of five blocks shows nothing");
        let said = threshold(&[few], None, 32).ends_at.unwrap().said();
        assert!(said.contains("too few blocks to say"), "{said}");
        let unknown = Point { back: None, ..point(9, below) };
        assert_eq!(found(&[unknown]).0, None, "nothing is known of what is back");
        assert_eq!(threshold(&[point(9, below)], None, 1).order, None, "another capacity");
    }
}
