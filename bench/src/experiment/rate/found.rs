//! Whether memory is reported at the rate that delay, budget and capacity say.

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::Map;
use abi::engine::map::dma_pages;
use abi::engine::watermark;
use host::engine::{Load, PassRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::predict::{self, Limits, List, Pass};
use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::interval::{Interval, Sampling};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::engine::choices::Choices;
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::kind::Engine;

/// By what share the observed rate may differ from the predicted one: the interval, not its middle.
const TOLERANCE: f64 = 0.05;
/// From which share on an interval that excludes 0 is a difference that somebody has to explain.
const UNEXPLAINED: f64 = 0.01;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// For each order, capacity and delay.
    pub cells: Vec<Rate>,
    /// Those with a trial that took fewer than three passes although more were predicted, and what it took: they have no
    /// rate.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stalled: Vec<String>,
}

/// One of them. Rates are bytes reported a second.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// What made the free lists.
    pub load: Named<Load>,
    /// The order of their blocks.
    pub order: u8,
    /// Blocks on all lists.
    pub blocks: u64,
    /// Blocks a report holds.
    pub capacity: u16,
    /// The budget's divisor.
    pub budget: u64,
    /// From request to pass, in microseconds.
    pub delay_us: u64,
    /// What the formula says: the bytes of every pass but the first and the last, a delay each, if a pass took no time.
    pub formula: f64,
    /// The same with the time that these passes took.
    pub predicted: Interval,
    /// What was observed.
    pub observed: Interval,
    /// Observed over predicted, less 1, paired by block.
    pub deviation: Interval,
    /// Passes that the formula says it takes.
    pub passes_predicted: u64,
    /// Passes it took.
    pub passes_observed: Interval,
    /// How long a report of the first pass took, in nanoseconds.
    pub report_ns: f64,
    /// The same of the passes that the rates are of.
    pub later_report_ns: f64,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Engine>(), archive.sampling());
        let mut cells: Vec<Rate> = groups.iter().filter_map(|group| rate(group, how)).collect();
        cells.sort_by_key(|cell| (std::cmp::Reverse(cell.order), cell.capacity, cell.delay_us));
        Self { cells, stalled: groups.iter().filter_map(stalled).collect() }
    }

    fn tables(&self) -> Vec<Grid> {
        vec![Grid::of(
            "memory reported a second: (budget + 1) reports of each list every delay, and what was observed",
            &self.cells,
            &[
                ("load", &|cell| cell.load.to_string()),
                ("order", &|cell| cell.order.to_string()),
                ("blocks", &|cell| cell.blocks.to_string()),
                ("capacity", &|cell| cell.capacity.to_string()),
                ("delay", &|cell| Unit::Nanoseconds.show(float(cell.delay_us) * 1e3)),
                ("passes", &|cell| cell.passes_predicted.to_string()),
                ("observed", &|cell| format!("{:.1}", cell.passes_observed.middle)),
                ("a report, first pass", &|cell| Unit::Nanoseconds.show(cell.report_ns)),
                ("later", &|cell| Unit::Nanoseconds.show(cell.later_report_ns)),
                ("formula/s", &|cell| number::mib(cell.formula)),
                ("with reports' time", &|cell| number::mib(cell.predicted.middle)),
                ("observed/s", &|cell| number::mib(cell.observed.middle)),
                ("deviation [95 %]", &|cell| {
                    number::around(&cell.deviation, " %", |share| format!("{:+.2}", share * 100.0))
                }),
                ("n", &|cell| cell.observed.blocks.to_string()),
            ],
        )]
    }

    fn checks(&self) -> Vec<Check> {
        let mut faults = self.stalled.clone();
        let mut unknown = Vec::new();
        for cell in &self.cells {
            match cell.standing() {
                Standing::Holds => {}
                Standing::Unknown => unknown.push(cell.shown()),
                Standing::Doubtful | Standing::Fails => faults.push(cell.shown()),
            }
            let passes = float(cell.passes_predicted);
            if (cell.passes_observed.middle - passes).abs() > (TOLERANCE * passes).max(0.5) {
                let observed = cell.passes_observed.middle;
                faults.push(format!("{}: {observed:.1} passes instead of {passes:.0}", cell.title()));
            }
        }
        let worst = self.cells.iter().map(|cell| cell.deviation.middle.abs()).fold(0.0, f64::max);
        let what = format!(
            "memory is reported at the predicted rate, given how long its reports took, within {}",
            percent(TOLERANCE)
        );
        let detail = format!("{} cells, at most {} off", self.cells.len(), percent(worst));
        if self.cells.is_empty() && self.stalled.is_empty() {
            let detail =
                "no cell is predicted to take three passes: use a smaller --capacities, or more --memory";
            return vec![check(&what, Standing::Unknown, detail.to_owned())];
        }
        let (standing, named) =
            if faults.is_empty() { (Standing::Unknown, unknown) } else { (Standing::Fails, faults) };
        let cells = (self.cells.len() + self.stalled.len()) as u64;
        vec![none_of(&what, standing, &named, cells, detail)]
    }

    fn sentences(&self) -> Vec<String> {
        self.rates().into_iter().chain(self.standstills()).collect()
    }
}

impl Found {
    /// From the slowest to the fastest.
    pub(super) fn rates(&self) -> Option<String> {
        let (Some(slow), Some(fast)) = (
            self.cells.iter().min_by(|a, b| a.observed.middle.total_cmp(&b.observed.middle)),
            self.cells.iter().max_by(|a, b| a.observed.middle.total_cmp(&b.observed.middle)),
        ) else {
            return None;
        };
        let worst = self.cells.iter().map(|cell| cell.deviation.middle.abs()).fold(0.0, f64::max);
        let agreement = match self.cells.iter().map(Rate::standing).max() {
            None | Some(Standing::Holds) => {
                "as delay, budget and capacity say if the time of the reports themselves is counted"
            }
            Some(Standing::Unknown) => {
                "and whether that is as delay, budget and capacity say, the time of the reports counted, cannot be told"
            }
            Some(Standing::Doubtful | Standing::Fails) => {
                "not as delay, budget and capacity say, the time of the reports counted"
            }
        };
        Some(format!(
            "Memory was reported at {} a second ({}) to {} a second ({}), {agreement}: at most {} off.",
            number::mib(slow.observed.middle),
            slow.title(),
            number::mib(fast.observed.middle),
            fast.title(),
            percent(worst)
        ))
    }

    /// What has no rate, although it should.
    pub(super) fn standstills(&self) -> Option<String> {
        let stalled = self.stalled.join("; ");
        (!stalled.is_empty()).then(|| format!("Reporting stopped before a third pass: {stalled}."))
    }
}

impl Rate {
    /// What it is of.
    pub(super) fn title(&self) -> String {
        title(self.order, self.capacity, self.delay_us)
    }

    /// Its deviation, and from how many blocks.
    fn shown(&self) -> String {
        let Interval { low, high, blocks, .. } = self.deviation;
        format!("{}: [{:+.1}, {:+.1}] % of {blocks} blocks", self.title(), low * 100.0, high * 100.0)
    }

    /// Whether it is as predicted, by the whole interval: all of it within [`TOLERANCE`]. It is not if all of it is beyond,
    /// or if it shows a difference of more than [`UNEXPLAINED`]. Of the rest nothing can be said.
    pub(super) fn standing(&self) -> Standing {
        let Interval { low, high, .. } = self.deviation;
        let is_beyond = |share: f64| low > share || high < -share;
        let is_within = low > -TOLERANCE && high < TOLERANCE;
        if is_beyond(TOLERANCE) || is_beyond(UNEXPLAINED) && self.deviation.shows_difference() {
            Standing::Fails
        } else if is_within && self.deviation.is_known() {
            Standing::Holds
        } else {
            Standing::Unknown
        }
    }
}

fn title(order: u8, capacity: u16, delay_us: u64) -> String {
    let delay = Unit::Nanoseconds.show(float(delay_us) * 1e3);
    format!("order {order}, capacity {capacity}, delay {delay}")
}

/// The free lists of each zone when the load has freed what it frees, from the parameters alone.
///
/// After a burst everything has merged into largest blocks. A comb is one list of zone DMA32; the min watermark keeps a
/// few blocks beside it from being allocated, which are the rest of one largest block: one block of each order. One of
/// them has the comb's own order and lengthens its list. What the watermark forbids to isolate is on none.
#[must_use]
pub fn lists(choices: &Choices, managed: u64) -> Vec<Vec<List>> {
    let of = |order: Order, blocks| List { order, free: blocks, unreported: blocks };
    let dma = dma_pages(managed);
    let zones = [dma, managed.saturating_sub(dma)];
    if choices.load.0 != Load::Comb {
        return zones.map(|pages| vec![of(Order::MAX, pages / Order::MAX.pages())]).into();
    }
    let unit = Order::new(u64::from(choices.unit)).unwrap_or_default();
    let comb = choices.footprint / (2 * unit.pages() * PAGE_SIZE);
    let of_zone = |(number, pages): (usize, u64)| {
        let min = watermark::of(managed, pages).min;
        let kept = min.div_ceil(unit.pages()) * unit.pages();
        let teeth = if number == zones.len() - 1 { comb } else { 0 };
        if kept + teeth * unit.pages() <= min + unit.pages() {
            return Vec::new();
        }
        let orders = (unit.get()..=Order::MAX.get()).filter_map(|order| Order::new(order.into()).ok());
        orders
            .map(|order| {
                let whole = if order == Order::MAX { kept / order.pages() } else { kept / order.pages() % 2 };
                of(order, whole + if order == unit { teeth } else { 0 })
            })
            .filter(|list| list.free > 0)
            .collect()
    };
    zones.into_iter().enumerate().map(of_zone).collect()
}

/// The passes after the load had freed its memory that reported anything.
fn after(measured: &EngineMeasured) -> Vec<PassRecord> {
    measured.passes().filter(|pass| pass.pages > 0 && pass.began >= measured.freed).collect()
}

/// Bytes a second between the beginnings of the first and the last pass, given the pages of each pass but the last;
/// `None` if there is no time between.
fn bytes_a_second(pages: impl Iterator<Item = u64>, ns: f64) -> Option<f64> {
    let pages = float(total(pages));
    (pages > 0.0 && ns > 0.0).then(|| pages * float(PAGE_SIZE) * 1e9 / ns)
}

/// The passes that a rate is of: all but the first, before which nobody waited for the one before, and the last.
fn between(passes: &[PassRecord]) -> Option<&[PassRecord]> {
    Some(passes.split_last()?.1.split_first()?.1)
}

/// From the beginning of the second pass to that of the last.
fn observed(measured: &EngineMeasured) -> Option<f64> {
    let passes = after(measured);
    let between = between(&passes)?;
    let ticks = passes.last()?.began.saturating_sub(between.first()?.began);
    bytes_a_second(between.iter().map(|pass| pass.pages), measured.counts.clock.figure(float(ticks)))
}

/// What the formula says of the same passes, with the time they took: what the host takes over a report follows from
/// nothing that is chosen, and changes with the memory that it has got back.
fn predicted(measured: &EngineMeasured, delay_ns: f64, predicted: &[Pass]) -> Option<f64> {
    let (_, passes) = predicted.split_last()?.1.split_first()?;
    let took = measured.counts.clock.figure(float(ticks(between(&after(measured))?)));
    bytes_a_second(passes.iter().map(|pass| pass.pages), float(passes.len() as u64) * delay_ns + took)
}

/// How long some passes took.
fn ticks(passes: &[PassRecord]) -> u64 {
    total(passes.iter().map(|pass| pass.ended.saturating_sub(pass.began)))
}

/// How long a report of some passes took.
fn report_ns(measured: &EngineMeasured, passes: &[PassRecord]) -> Option<f64> {
    let reports = total(passes.iter().map(|pass| pass.reports));
    (reports > 0).then(|| ratio(measured.counts.clock.figure(float(ticks(passes))), float(reports)))
}

/// The lists of a cell as its trials begin, and the passes it takes to report them.
fn prediction(group: &Group<'_, Engine>) -> (Vec<Vec<List>>, Vec<Pass>) {
    let choices = &group.choices;
    let managed = Map::new(choices.memory / PAGE_SIZE).managed();
    let lists = lists(choices, managed);
    let limits = Limits { capacity: choices.capacity.into(), budget: choices.budget };
    let passes = predict::passes(&lists, limits);
    (lists, passes)
}

/// What a cell did instead of the passes that were predicted, if a trial of it took too few to have a rate.
fn stalled(group: &Group<'_, Engine>) -> Option<String> {
    let predicted = prediction(group).1.len();
    let least = group.measured().map(|measured| after(measured).len()).min()?;
    (predicted > 2 && least < 3).then(|| {
        let title = title(group.choices.min_order, group.choices.capacity, group.choices.delay_us);
        format!("{title}: {least} pass{} instead of {predicted}", if least == 1 { "" } else { "es" })
    })
}

fn rate(group: &Group<'_, Engine>, how: Sampling) -> Option<Rate> {
    let choices = &group.choices;
    let (lists, passes) = prediction(group);
    let (_, full) = passes.split_last()?.1.split_first()?;
    let delay_ns = float(choices.delay_us) * 1e3;
    let deviation = |measured: &EngineMeasured| {
        Some(ratio(observed(measured)?, predicted(measured, delay_ns, &passes)?) - 1.0)
    };
    Some(Rate {
        load: choices.load,
        order: choices.min_order,
        blocks: lists.iter().flatten().map(|list| list.free).sum(),
        capacity: choices.capacity,
        budget: choices.budget,
        delay_us: choices.delay_us,
        formula: bytes_a_second(full.iter().map(|pass| pass.pages), float(full.len() as u64) * delay_ns)?,
        predicted: group.interval_if_known(how, |measured| predicted(measured, delay_ns, &passes))?,
        observed: group.interval_if_known(how, observed)?,
        deviation: group.interval_if_known(how, deviation)?,
        passes_predicted: passes.len() as u64,
        passes_observed: group.interval(how, |measured| float(after(measured).len() as u64)),
        report_ns: group
            .interval_if_known(how, |measured| {
                report_ns(measured, after(measured).first().map(std::slice::from_ref)?)
            })?
            .middle,
        later_report_ns: group
            .interval_if_known(how, |measured| report_ns(measured, between(&after(measured))?))?
            .middle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::rung::{CallBy, Rung};
    use crate::plan::keys::Keys;
    use abi::addr::Order;
    use host::engine::EngineSpec;

    fn off(deviations: &[f64]) -> Rate {
        let interval = |values: &[f64]| Interval::of(values, Sampling::Drawn { seed: 1 }).unwrap();
        Rate {
            load: Named(Load::Comb),
            order: 4,
            blocks: 1985,
            capacity: 4,
            budget: 16,
            delay_us: 100_000,
            formula: 1.0,
            predicted: interval(&[1.0]),
            observed: interval(&[1.0]),
            deviation: interval(deviations),
            passes_predicted: 16,
            passes_observed: interval(&[16.0]),
            report_ns: 1.0,
            later_report_ns: 1.0,
        }
    }

    #[test]
    fn a_rate_is_judged_by_its_interval() {
        let of = |deviations: &[f64]| off(deviations).standing();
        assert_eq!(of(&[0.001, -0.001, 0.002, -0.002, 0.001, -0.001]), Standing::Holds);
        assert_eq!(of(&[0.027, 0.026, 0.028, 0.029, 0.026, 0.027]), Standing::Fails, "and excludes 0");
        assert_eq!(of(&[0.004, 0.005, 0.003, 0.004, 0.005, 0.004]), Standing::Holds, "it is small");
        assert_eq!(
            of(&[0.01, -0.01, 0.02, -0.02, 0.01, -0.01]),
            Standing::Holds,
            "nothing is shown, within 5 %"
        );
        assert_eq!(of(&[0.09, -0.08, 0.07, -0.09, 0.08, -0.07]), Standing::Unknown);
        assert_eq!(of(&[0.001, -0.001]), Standing::Unknown, "too few");
        assert_eq!(of(&[-0.5, -0.5]), Standing::Fails, "far beyond");
    }

    #[test]
    fn the_lists_follow_from_the_parameters() {
        let order = Order::new(4).unwrap();
        let choices = Choices::from(&EngineSpec {
            load: Load::Comb,
            unit: order,
            min_order: order,
            capacity: 4,
            footprint: 260_046_848,
            vcpus: 1,
            memory: 1 << 30,
            watermark: false,
            ..Keys::default().engine(Rung::HypercallBatch, CallBy::Port)
        });
        let zones = lists(&choices, 260_096);
        let of = |zone: &Vec<List>| zone.iter().map(|list| (list.order.get(), list.free)).collect::<Vec<_>>();
        assert_eq!(of(&zones[0]), [], "the watermark of zone DMA keeps its one block");
        assert_eq!(of(&zones[1]), [(4, 1985), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1)]);
        // Reports and pages of each pass of such a guest, as it recorded them: a trial of an earlier reference run.
        let limits = Limits { capacity: choices.capacity.into(), budget: choices.budget };
        let passes = predict::passes(&zones, limits);
        let mut recorded = vec![[33, 2112]; 16];
        (recorded[0], recorded[15]) = ([35, 3104], [2, 80]);
        assert_eq!(passes.iter().map(|pass| [pass.reports, pass.pages]).collect::<Vec<_>>(), recorded);
    }
}
