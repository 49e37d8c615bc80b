//! Whether memory is reported at the rate that delay, budget and capacity say.

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::Map;
use abi::engine::map::dma_pages;
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

/// By what share the observed rate may differ from the predicted one.
const TOLERANCE: f64 = 0.05;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// For each order, capacity and delay.
    pub cells: Vec<Rate>,
    /// Those with a trial that took fewer than two passes although several were predicted, and what it took: they have no
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
    /// What the formula says: the bytes of every pass but the last, a delay each, if a pass took no time.
    pub formula: f64,
    /// The same with the time that passes took.
    pub predicted: Interval,
    /// What was observed.
    pub observed: Interval,
    /// Observed over predicted, less 1, paired by block.
    pub deviation: Interval,
    /// Passes that the formula says it takes.
    pub passes_predicted: u64,
    /// Passes it took.
    pub passes_observed: Interval,
    /// How long a pass took, in nanoseconds.
    pub pass_ns: f64,
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
                ("observed", &|cell| format!("{:.1}", cell.passes_observed.mean)),
                ("formula/s", &|cell| number::mib(cell.formula)),
                ("with passes' time", &|cell| number::mib(cell.predicted.mean)),
                ("observed/s", &|cell| number::mib(cell.observed.mean)),
                ("deviation [95 %]", &|cell| {
                    number::around(&cell.deviation, " %", |share| format!("{:+.2}", share * 100.0))
                }),
                ("n", &|cell| cell.observed.blocks.to_string()),
            ],
        )]
    }

    fn checks(&self) -> Vec<Check> {
        let mut faults = self.stalled.clone();
        for cell in &self.cells {
            if cell.deviation.mean.abs() > TOLERANCE {
                faults.push(format!("{}: {:+.1} %", cell.title(), cell.deviation.mean * 100.0));
            }
            let passes = float(cell.passes_predicted);
            if (cell.passes_observed.mean - passes).abs() > (TOLERANCE * passes).max(0.5) {
                let observed = cell.passes_observed.mean;
                faults.push(format!("{}: {observed:.1} passes instead of {passes:.0}", cell.title()));
            }
        }
        let worst = self.cells.iter().map(|cell| cell.deviation.mean.abs()).fold(0.0, f64::max);
        let what = format!("memory is reported at the predicted rate, within {}", percent(TOLERANCE));
        let detail = format!("{} cells, at most {} off", self.cells.len(), percent(worst));
        if self.cells.is_empty() && self.stalled.is_empty() {
            let detail =
                "no cell is predicted to take two passes: use a smaller --capacities, or more --memory";
            return vec![check(&what, Standing::Unknown, detail.to_owned())];
        }
        let cells = (self.cells.len() + self.stalled.len()) as u64;
        vec![none_of(&what, Standing::Fails, &faults, cells, detail)]
    }

    fn sentences(&self) -> Vec<String> {
        self.rates().into_iter().chain(self.standstills()).collect()
    }
}

impl Found {
    /// From the slowest to the fastest.
    fn rates(&self) -> Option<String> {
        let (Some(slow), Some(fast)) = (
            self.cells.iter().min_by(|a, b| a.observed.mean.total_cmp(&b.observed.mean)),
            self.cells.iter().max_by(|a, b| a.observed.mean.total_cmp(&b.observed.mean)),
        ) else {
            return None;
        };
        let worst = self.cells.iter().map(|cell| cell.deviation.mean.abs()).fold(0.0, f64::max);
        let agreement = if worst <= TOLERANCE { "as" } else { "not as" };
        Some(format!(
            "Memory was reported at {} a second ({}) to {} a second ({}), {agreement} delay, budget and capacity say: at most {} off.",
            number::mib(slow.observed.mean),
            slow.title(),
            number::mib(fast.observed.mean),
            fast.title(),
            percent(worst)
        ))
    }

    /// What has no rate, although it should.
    fn standstills(&self) -> Option<String> {
        let stalled = self.stalled.join("; ");
        (!stalled.is_empty()).then(|| format!("Reporting stopped before a second pass: {stalled}."))
    }
}

impl Rate {
    fn title(&self) -> String {
        title(self.order, self.capacity, self.delay_us)
    }
}

fn title(order: u8, capacity: u16, delay_us: u64) -> String {
    let delay = Unit::Nanoseconds.show(float(delay_us) * 1e3);
    format!("order {order}, capacity {capacity}, delay {delay}")
}

/// The free lists when the load has freed what it frees. A comb is one list, beside the few blocks that the watermark
/// kept from being allocated, which are what is reported beyond it; after a burst everything has merged into largest
/// blocks, those of zone DMA and those of zone DMA32.
#[must_use]
pub fn lists(choices: &Choices, managed: u64, reported: u64) -> Vec<List> {
    let of = |order: Order, blocks| List { order, free: blocks, unreported: blocks };
    let unit = Order::new(u64::from(choices.unit)).unwrap_or_default();
    match choices.load.0 {
        Load::Comb => {
            let comb = choices.footprint / (2 * unit.pages() * PAGE_SIZE);
            let kept = (reported / unit.pages()).saturating_sub(comb);
            vec![of(unit, comb), of(unit, kept)]
        }
        _ => {
            let blocks = managed / Order::MAX.pages();
            let dma = dma_pages(managed) / Order::MAX.pages();
            vec![of(Order::MAX, dma), of(Order::MAX, blocks.saturating_sub(dma))]
        }
    }
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

fn observed(measured: &EngineMeasured) -> Option<f64> {
    let passes = after(measured);
    let (last, rest) = passes.split_last()?;
    let began = rest.first()?.began;
    let pages = rest.iter().map(|pass| pass.pages);
    bytes_a_second(pages, measured.counts.clock.figure(float(last.began.saturating_sub(began))))
}

/// What the formula says with the time that passes took in this trial.
fn predicted(measured: &EngineMeasured, delay_ns: f64, predicted: &[Pass]) -> Option<f64> {
    let passes = predicted.len().checked_sub(1)?;
    let pages = predicted[..passes].iter().map(|pass| pass.pages);
    bytes_a_second(pages, float(passes as u64) * (delay_ns + pass_ns(measured)))
}

/// How long a pass took.
fn pass_ns(measured: &EngineMeasured) -> f64 {
    let passes = after(measured);
    let ticks = total(passes.iter().map(|pass| pass.ended.saturating_sub(pass.began)));
    ratio(measured.counts.clock.figure(float(ticks)), float(passes.len() as u64))
}

/// The lists of a cell as its trials begin, and the passes it takes to report them.
fn prediction(group: &Group<'_, Engine>) -> (Vec<List>, Vec<Pass>) {
    let choices = &group.choices;
    let managed = Map::new(choices.memory / PAGE_SIZE).managed();
    let reported = group.measured().next().map_or(0, |m| total(after(m).iter().map(|pass| pass.pages)));
    let lists = lists(choices, managed, reported);
    let limits = Limits { capacity: choices.capacity.into(), budget: choices.budget };
    let passes = predict::passes(&lists, limits);
    (lists, passes)
}

/// What a cell did instead of the several passes that were predicted, if a trial of it took fewer than two.
fn stalled(group: &Group<'_, Engine>) -> Option<String> {
    let predicted = prediction(group).1.len();
    let least = group.measured().map(|measured| after(measured).len()).min()?;
    (predicted > 1 && least < 2).then(|| {
        let title = title(group.choices.min_order, group.choices.capacity, group.choices.delay_us);
        format!("{title}: {least} pass{} instead of {predicted}", if least == 1 { "" } else { "es" })
    })
}

fn rate(group: &Group<'_, Engine>, how: Sampling) -> Option<Rate> {
    let choices = &group.choices;
    let (lists, passes) = prediction(group);
    let (_, full) = passes.split_last()?;
    let delay_ns = float(choices.delay_us) * 1e3;
    let deviation = |measured: &EngineMeasured| {
        Some(ratio(observed(measured)?, predicted(measured, delay_ns, &passes)?) - 1.0)
    };
    Some(Rate {
        load: choices.load,
        order: choices.min_order,
        blocks: lists.iter().map(|list| list.free).sum(),
        capacity: choices.capacity,
        budget: choices.budget,
        delay_us: choices.delay_us,
        formula: bytes_a_second(full.iter().map(|pass| pass.pages), float(full.len() as u64) * delay_ns)?,
        predicted: group.interval_if_known(how, |measured| predicted(measured, delay_ns, &passes))?,
        observed: group.interval_if_known(how, observed)?,
        deviation: group.interval_if_known(how, deviation)?,
        passes_predicted: passes.len() as u64,
        passes_observed: group.interval(how, |measured| float(after(measured).len() as u64)),
        pass_ns: group.interval(how, pass_ns).mean,
    })
}
