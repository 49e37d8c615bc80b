//! One rung with one discard: its figures, and how it stands to the rung before.

use std::collections::{BTreeMap, BTreeSet};

use abi::axes::Axis;
use host::axes::{Completion, Discard, GuestRing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::{float, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::choices::Choices;
use crate::trial::timed::measured::{ProofCounts, TimedMeasured};
use crate::trial::timed::phases::Phase;

/// One rung with one discard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CellSummary {
    /// The rung; absent if the transport is none of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// The choices of its trials.
    pub choices: Choices,
    /// The modes the guest ran in.
    pub guest_rings: Vec<Named<GuestRing>>,
    /// Trials it rests on.
    pub trials: usize,
    /// Reports it rests on.
    pub reports: u64,
    /// Cost a range.
    pub per_range: Quantiles,
    /// Cost a report.
    pub per_report: Quantiles,
    /// The two without what the stopwatch costs; absent if it was not weighed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub net: Option<Net>,
    /// Exits to user space for every thousand ranges.
    pub exits_per_1000_ranges: f64,
    /// Processor time a report, of all threads of the runner, in nanoseconds: with choosing, touching and checking its
    /// pages, which every rung does alike. Absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub processor_time: Option<f64>,
    /// What became of the vCPU's halts, a report; absent if it never halts, or KVM does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub halts: Option<Halts>,
    /// Every phase of a report.
    pub phases: BTreeMap<Named<Phase>, PhaseSummary>,
    /// Share of the summed cost that the phases explain.
    pub explained: f64,
    /// Medians of each block.
    pub blocks: BTreeMap<u32, Block>,
    /// Against the rung before, if both ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<Step>,
    /// Flushes of the guest's translations a report, by KVM's count, if it counts them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flushes: Option<f64>,
    /// Median cost of bringing back a page.
    pub refault_per_page: f64,
    /// What the kernel said, in pages.
    pub proof: ProofCounts,
}

/// What became of a halted vCPU, by KVM's statistics, a report.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Halts {
    /// KVM spun, and the interrupt came meanwhile: nobody slept.
    pub polls: f64,
    /// It slept, and was woken.
    pub wake_ups: f64,
}

/// One phase of a cell.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSummary {
    /// Its cost.
    #[serde(flatten)]
    pub cost: Quantiles,
    /// Its share in the summed cost of all reports.
    pub share: f64,
}

/// Medians of a report in one block.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// The whole report.
    pub total: f64,
    /// Of this, the discard.
    pub discard: f64,
    /// Bringing its pages back afterwards.
    pub refault: f64,
}

/// Figures of a cell without what the stopwatch costs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Net {
    /// What was taken off a report.
    pub taken_off: Interval,
    /// Cost a range.
    pub per_range: Quantiles,
    /// Cost a report.
    pub per_report: Quantiles,
    /// Median cost a report in each block, less what was weighed in that block.
    pub totals: BTreeMap<u32, f64>,
}

/// The difference to the rung before.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The rung before.
    pub from: Named<Rung>,
    /// Cost a range more, paired by block.
    pub per_range: Interval,
}

impl CellSummary {
    /// What the host did with the pages.
    #[must_use]
    pub const fn discard(&self) -> Discard {
        self.choices.way.discard.0
    }

    /// The rung's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.choices.label()
    }

    /// For sentences.
    #[must_use]
    pub fn title(&self) -> String {
        self.choices.title()
    }

    /// Whether its reports name pages, and the host discards them.
    #[must_use]
    pub fn discards(&self) -> bool {
        self.names_pages() && self.discard() != Discard::None
    }

    /// Median cost a report in a block, without the stopwatch where it was weighed.
    #[must_use]
    pub fn total(&self, block: u32) -> Option<f64> {
        match &self.net {
            Some(net) => net.totals.get(&block).copied(),
            None => Some(self.blocks.get(&block)?.total),
        }
    }

    /// Whether its reports name pages at all.
    #[must_use]
    pub fn names_pages(&self) -> bool {
        self.choices.names_pages()
    }

    /// Cost a range, without the stopwatch if it was weighed.
    #[must_use]
    pub fn a_range(&self) -> Quantiles {
        self.net.as_ref().map_or(self.per_range, |net| net.per_range)
    }

    /// Cost a report, without the stopwatch if it was weighed.
    #[must_use]
    pub fn a_report(&self) -> Quantiles {
        self.net.as_ref().map_or(self.per_report, |net| net.per_report)
    }

    /// A phase of it; all 0 if it has none.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> PhaseSummary {
        self.phases.get(&Named(phase)).copied().unwrap_or_default()
    }
}

/// A cell of the ladder.
#[must_use]
pub fn find(cells: &[CellSummary], rung: Rung, discard: Discard) -> Option<&CellSummary> {
    cells.iter().find(|cell| cell.rung == Some(Named(rung)) && cell.discard() == discard)
}

/// Of the trials of a cell.
#[must_use]
pub fn cell(group: &Group<'_, Timed>) -> CellSummary {
    let (choices, clock) = (group.choices, group.clock());
    let measured = || group.measured();
    let mean = |phase| {
        let sum: f64 = measured().map(|m| m.phase(phase)).map(|cost| cost.mean * float(cost.n)).sum();
        ratio(sum, float(total(measured().map(|m| m.phase(phase).n))))
    };
    let cost = |phase| {
        let histogram = group.histograms.get(&phase)?;
        Some(Quantiles::of(histogram, clock.ticks(mean(phase)), clock))
    };
    let cost = |phase| cost(phase).unwrap_or_default();
    let whole = mean(Phase::Total);
    let phases: BTreeMap<_, _> = Phase::ALL
        .iter()
        .map(|phase| (Named(*phase), PhaseSummary { cost: cost(*phase), share: ratio(mean(*phase), whole) }))
        .collect();
    let exits = total(measured().map(|m| m.counts.exits.transport()));
    let ranges_a_report = choices.ranges_a_report();
    let ranges = total(measured().map(|m| m.reports.saturating_mul(ranges_a_report.into())));
    let pages_a_report = float(u64::from(choices.batch) * choices.pages_a_range());
    let mut guest_rings: Vec<_> = measured().map(|m| m.counts.guest_ring).collect();
    guest_rings.sort_unstable();
    guest_rings.dedup();
    CellSummary {
        rung: choices.way.rung().map(Named),
        choices,
        guest_rings,
        trials: group.trials.len(),
        reports: total(measured().map(|m| m.reports)),
        per_range: cost(Phase::Total).over(ranges_a_report),
        per_report: cost(Phase::Total),
        net: None,
        exits_per_1000_ranges: 1000.0 * ratio(float(exits), float(ranges)),
        processor_time: a_report(group, |measured| measured.counts.cpu_ns),
        halts: halts(group),
        explained: 1.0 - ratio(mean(Phase::Remainder), whole),
        refault_per_page: ratio(cost(Phase::Refault).p50, pages_a_report),
        phases,
        blocks: group
            .trials
            .iter()
            .filter_map(|trial| Some((trial.block, block(trial.measured::<Timed>()?))))
            .collect(),
        step: None,
        flushes: statistic(group, "tlb_flush"),
        proof: measured().fold(ProofCounts::default(), |sum, m| sum.plus(m.proof)),
    }
}

fn block(measured: &TimedMeasured) -> Block {
    let p50 = |phase| measured.phase(phase).p50;
    Block { total: p50(Phase::Total), discard: p50(Phase::Discard), refault: p50(Phase::Refault) }
}

/// What was counted, a report; `None` if some trial has not counted it.
fn a_report(group: &Group<'_, Timed>, count: impl Fn(&TimedMeasured) -> Option<u64>) -> Option<f64> {
    let counts: Option<Vec<u64>> = group.measured().map(count).collect();
    Some(ratio(float(total(counts?)), float(total(group.measured().map(|measured| measured.reports)))))
}

/// One of KVM's statistics, a report.
fn statistic(group: &Group<'_, Timed>, name: &str) -> Option<f64> {
    a_report(group, |measured| measured.counts.kvm_stats.get(name).copied())
}

fn halts(group: &Group<'_, Timed>) -> Option<Halts> {
    if group.choices.way.completion.0 != Completion::Interrupt {
        return None;
    }
    let [polls, wake_ups] = ["halt_successful_poll", "halt_wakeup"].map(|name| statistic(group, name));
    Some(Halts { polls: polls?, wake_ups: wake_ups? })
}

/// Median cost a range in each block, of all without the stopwatch or of all with it: what has it and what has not are
/// not compared.
#[must_use]
pub fn alike<const N: usize>(cells: [&CellSummary; N]) -> [BTreeMap<u32, f64>; N] {
    let are_net = cells.iter().all(|cell| cell.net.is_some());
    cells.map(|cell| {
        let a_range = f64::from(cell.choices.ranges_a_report());
        let total = |(number, block): (&u32, &Block)| {
            let net = cell.net.as_ref().filter(|_| are_net);
            let total = net.map_or(Some(block.total), |net| net.totals.get(number).copied())?;
            Some((*number, total / a_range))
        };
        cell.blocks.iter().filter_map(total).collect()
    })
}

/// `to` minus `from`, block by block, for the blocks that have both.
#[must_use]
pub fn paired(from: &CellSummary, to: &CellSummary) -> Vec<f64> {
    paired_but(&BTreeSet::new(), from, to)
}

/// The rung before it that ran with the same discard.
#[must_use]
pub fn step_from<'a>(cells: &'a [CellSummary], cell: &CellSummary) -> Option<&'a CellSummary> {
    std::iter::successors(cell.rung?.0.before(), |rung| rung.before())
        .find_map(|rung| find(cells, rung, cell.discard()))
}

/// The same of the blocks that are not left out.
#[must_use]
pub fn paired_but(left_out: &BTreeSet<u32>, from: &CellSummary, to: &CellSummary) -> Vec<f64> {
    let [from, to] = alike([from, to]);
    let stays = to.into_iter().filter(|(block, _)| !left_out.contains(block));
    stays.filter_map(|(block, to)| Some(to - from.get(&block)?)).collect()
}

/// Sets every cell beside the rung before.
pub fn add_steps(cells: &mut [CellSummary], how: Sampling) {
    let steps: Vec<Option<Step>> = cells
        .iter()
        .map(|cell| {
            let before = step_from(cells, cell)?;
            Some(Step { from: before.rung?, per_range: Interval::of(&paired(before, cell), how)? })
        })
        .collect();
    for (cell, step) in cells.iter_mut().zip(steps) {
        cell.step = step;
    }
    for discard in Discard::ALL {
        let table = cells.iter_mut().filter(|cell| cell.discard() == *discard);
        holm(table.filter_map(|cell| Some(&mut cell.step.as_mut()?.per_range)));
    }
}
