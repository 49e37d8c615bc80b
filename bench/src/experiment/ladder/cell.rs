//! One rung with one discard: its figures, and how it stands to the rung before.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::axes::{Discard, GuestRing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::Interval;
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::{float, ratio};
use crate::trial::kind::Timed;
use crate::trial::timed::choices::Choices;
use crate::trial::timed::measured::ProofCounts;
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
    /// Every phase of a report.
    pub phases: BTreeMap<Named<Phase>, PhaseSummary>,
    /// Share of the summed cost that the phases explain.
    pub explained: f64,
    /// Median cost a range in each block.
    pub block_medians: BTreeMap<u32, f64>,
    /// Against the rung before, if both ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<Step>,
    /// Share of the transport (all but the discard) in report and refault together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport_share: Option<Interval>,
    /// Median cost of bringing back a page.
    pub refault_per_page: f64,
    /// What the kernel said, in pages.
    pub proof: ProofCounts,
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

/// Figures of a cell without what the stopwatch costs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Net {
    /// What was taken off a report.
    pub taken_off: Interval,
    /// Cost a range.
    pub per_range: Quantiles,
    /// Cost a report.
    pub per_report: Quantiles,
    /// Median cost a range in each block, less what was weighed in that block.
    pub block_medians: BTreeMap<u32, f64>,
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
pub fn cell(group: &Group<'_, Timed>, seed: u64) -> CellSummary {
    let (choices, clock) = (group.choices, group.clock());
    let measured = || group.measured();
    let mean = |phase| {
        let sum: f64 = measured().map(|m| m.phase(phase)).map(|cost| cost.mean * float(cost.n)).sum();
        ratio(sum, float(measured().map(|m| m.phase(phase).n).sum()))
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
    let exits: u64 = measured().map(|m| m.counts.exits.transport()).sum();
    let ranges_a_report = choices.ranges_a_report();
    let ranges: u64 = measured().map(|m| m.reports * u64::from(ranges_a_report)).sum();
    let pages_a_report = float(u64::from(choices.batch) * choices.pages_a_range());
    let mut guest_rings: Vec<_> = measured().map(|m| m.counts.guest_ring).collect();
    guest_rings.sort_unstable();
    guest_rings.dedup();
    CellSummary {
        rung: choices.way.rung().map(Named),
        choices,
        guest_rings,
        trials: group.trials.len(),
        reports: measured().map(|m| m.reports).sum(),
        per_range: cost(Phase::Total).over(ranges_a_report),
        per_report: cost(Phase::Total),
        net: None,
        exits_per_1000_ranges: 1000.0 * ratio(float(exits), float(ranges)),
        explained: 1.0 - ratio(mean(Phase::Remainder), whole),
        refault_per_page: ratio(cost(Phase::Refault).p50, pages_a_report),
        phases,
        block_medians: group.by_block(|m| m.phase(Phase::Total).over(ranges_a_report).p50),
        step: None,
        transport_share: transport_share(group, seed),
        proof: measured().fold(ProofCounts::default(), |sum, m| sum.plus(m.proof)),
    }
}

/// How much of what a report costs in the end is transport: all of it but the discard, over all of it and
/// what the guest pays later to have the pages back. By the medians of each block.
fn transport_share(group: &Group<'_, Timed>, seed: u64) -> Option<Interval> {
    if group.choices.way.discard.0 == Discard::None || !group.choices.names_pages() {
        return None;
    }
    let shares: Vec<f64> = group
        .measured()
        .map(|m| {
            let p50 = |phase| m.phase(phase).p50;
            let transport = (p50(Phase::Total) - p50(Phase::Discard)).max(0.0);
            ratio(transport, p50(Phase::Total) + p50(Phase::Refault))
        })
        .collect();
    Interval::of(&shares, seed)
}

/// The medians of each block, all without the stopwatch or all with it: what has it and what has not are not compared.
#[must_use]
pub fn alike<const N: usize>(cells: [&CellSummary; N]) -> [&BTreeMap<u32, f64>; N] {
    let net = cells.map(|cell| cell.net.as_ref().map(|net| &net.block_medians));
    if net.iter().all(Option::is_some) {
        std::array::from_fn(|at| net[at].unwrap_or(&cells[at].block_medians))
    } else {
        cells.map(|cell| &cell.block_medians)
    }
}

/// `to` minus `from`, block by block, for the blocks that have both.
#[must_use]
pub fn paired(from: &CellSummary, to: &CellSummary) -> Vec<f64> {
    let [from, to] = alike([from, to]);
    let both = |(block, to): (&u32, &f64)| Some(to - from.get(block)?);
    to.iter().filter_map(both).collect()
}

/// Sets every cell beside the rung before.
pub fn add_steps(cells: &mut [CellSummary], seed: u64) {
    let steps: Vec<Option<Step>> = cells
        .iter()
        .map(|cell| {
            let before = std::iter::successors(cell.rung?.0.before(), |rung| rung.before())
                .find_map(|rung| find(cells, rung, cell.discard()))?;
            Some(Step { from: before.rung?, per_range: Interval::of(&paired(before, cell), seed)? })
        })
        .collect();
    for (cell, step) in cells.iter_mut().zip(steps) {
        cell.step = step;
    }
}
