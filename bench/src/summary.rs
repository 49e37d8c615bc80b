//! From the trials of a run to the ladder: `summary.json`.

use std::collections::BTreeMap;

use abi::axes::Axis;
use hdrhistogram::Histogram;
use host::axes::{Discard, Doorbell, GuestRing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::axis::Named;
use crate::cell::CellKey;
use crate::checks::{self, Check};
use crate::histogram::Phase;
use crate::ladder::Rung;
use crate::plan::Plan;
use crate::quantiles::Quantiles;
use crate::record::{Ending, ProofCounts, Spec, TrialRecord};
use crate::statistics::Interval;
use crate::unit::{Unit, float, ratio};
use crate::waterfall::{Waterfall, waterfalls};
use crate::{SCHEMA_VERSION, verdict};

/// `summary.json`: what a run showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Version of this format.
    pub schema_version: u32,
    /// The host in one line. No figure below means anything on another.
    pub host: String,
    /// What is to be known about this host.
    pub notes: Vec<String>,
    /// What is missing or was left out.
    pub remarks: Vec<String>,
    /// What was to be run; absent for a single trial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<Plan>,
    /// The choices of the first trial; transport and discard differ from cell to cell.
    pub spec: Spec,
    /// What all figures are in that count neither trials, blocks, reports, exits nor pages.
    pub unit: Unit,
    /// Trials that were to be run.
    pub planned: usize,
    /// Trials with an outcome.
    pub measured: usize,
    /// Trials that failed: number and error.
    pub failed: BTreeMap<u32, String>,
    /// The ladder: every rung with every discard.
    pub cells: Vec<CellSummary>,
    /// From one side of the argument to the other, for every discard.
    pub waterfalls: Vec<Waterfall>,
    /// What must hold, and whether it does.
    pub checks: Vec<Check>,
    /// The answer, in sentences that the intervals support.
    pub verdict: Vec<String>,
}

/// One rung with one discard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CellSummary {
    /// The rung; absent if the transport is none of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// How the host was told.
    pub doorbell: Named<Doorbell>,
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
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSummary {
    /// Its cost.
    #[serde(flatten)]
    pub cost: Quantiles,
    /// Its share in the summed cost of all reports.
    pub share: f64,
}

/// The difference to the rung before.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The rung before.
    pub from: Named<Rung>,
    /// Cost a range more, paired by block.
    pub per_range: Interval,
}

impl Summary {
    /// Of a run.
    #[must_use]
    pub fn of(archive: &Archive) -> Self {
        let Archive { environment, plan, trials, merged, remarks } = archive;
        let seed = plan.as_ref().map_or(1, |plan| plan.seed);
        let mut groups: BTreeMap<CellKey, Vec<&TrialRecord>> = BTreeMap::new();
        for trial in trials.iter().filter(|trial| trial.measured().is_some()) {
            groups.entry(CellKey::of(trial)).or_default().push(trial);
        }
        let mut cells: Vec<CellSummary> =
            groups.iter().map(|(key, trials)| cell(*key, trials, &merged.histograms, seed)).collect();
        add_steps(&mut cells, seed);
        let mut summary = Self {
            schema_version: SCHEMA_VERSION,
            host: environment.host.clone(),
            notes: environment.notes(),
            remarks: remarks.clone(),
            plan: plan.clone(),
            spec: trials[0].spec,
            unit: environment.kvm.clock.unit(),
            planned: plan.as_ref().map_or(trials.len(), |plan| crate::schedule::schedule(plan).len()),
            measured: trials.iter().filter(|trial| trial.measured().is_some()).count(),
            failed: trials.iter().filter_map(failure).collect(),
            waterfalls: waterfalls(&cells, seed),
            cells,
            checks: Vec::new(),
            verdict: Vec::new(),
        };
        summary.checks = checks::all(&summary, trials);
        summary.verdict = verdict::sentences(&summary);
        summary
    }

    /// A cell of the ladder.
    #[must_use]
    pub fn cell(&self, rung: Rung, discard: Discard) -> Option<&CellSummary> {
        find(&self.cells, rung, discard)
    }

    /// The discards that ran, in their own order.
    #[must_use]
    pub fn discards(&self) -> Vec<Discard> {
        Discard::ALL.iter().copied().filter(|d| self.cells.iter().any(|cell| cell.discard.0 == *d)).collect()
    }
}

/// A cell of the ladder.
pub(crate) fn find(cells: &[CellSummary], rung: Rung, discard: Discard) -> Option<&CellSummary> {
    cells.iter().find(|cell| cell.rung == Some(Named(rung)) && cell.discard.0 == discard)
}

fn failure(trial: &TrialRecord) -> Option<(u32, String)> {
    match &trial.ending {
        Ending::Failed { error } => Some((trial.trial, error.clone())),
        Ending::Measured(_) => None,
    }
}

fn cell(
    key: CellKey,
    trials: &[&TrialRecord],
    histograms: &BTreeMap<(CellKey, Phase), Histogram<u64>>,
    seed: u64,
) -> CellSummary {
    let measured = || trials.iter().filter_map(|trial| trial.measured());
    let mean = |phase| {
        let sum: f64 = measured().map(|m| m.phase(phase)).map(|cost| cost.mean * float(cost.n)).sum();
        ratio(sum, float(measured().map(|m| m.phase(phase).n).sum()))
    };
    let cost = |phase| {
        let clock = measured().next()?.clock;
        let histogram = histograms.get(&(key, phase))?;
        Some(Quantiles::of(histogram, clock.ticks(mean(phase)), clock))
    };
    let cost = |phase| cost(phase).unwrap_or_default();
    let whole = mean(Phase::Total);
    let phases: BTreeMap<_, _> = Phase::ALL
        .iter()
        .map(|phase| (Named(*phase), PhaseSummary { cost: cost(*phase), share: ratio(mean(*phase), whole) }))
        .collect();
    let exits: u64 = measured().map(|m| m.exits.transport()).sum();
    let ranges: u64 = trials
        .iter()
        .filter_map(|trial| Some(trial.measured()?.reports * u64::from(ranges_a_report(trial))))
        .sum();
    let spec = &trials[0].spec;
    let pages_a_report = float(u64::from(spec.batch) * spec.pages_a_range());
    let mut guest_rings: Vec<_> = measured().map(|m| m.guest_ring).collect();
    guest_rings.sort_unstable();
    guest_rings.dedup();
    CellSummary {
        rung: key.rung,
        discard: key.discard,
        doorbell: spec.doorbell,
        guest_rings,
        trials: trials.len(),
        reports: measured().map(|m| m.reports).sum(),
        per_range: cost(Phase::Total).over(ranges_a_report(trials[0])),
        per_report: cost(Phase::Total),
        exits_per_1000_ranges: 1000.0 * ratio(float(exits), float(ranges)),
        explained: 1.0 - ratio(mean(Phase::Remainder), whole),
        refault_per_page: ratio(cost(Phase::Refault).p50, pages_a_report),
        phases,
        block_medians: trials
            .iter()
            .filter_map(|trial| {
                Some((trial.block, trial.measured()?.phase(Phase::Total).over(ranges_a_report(trial)).p50))
            })
            .collect(),
        step: None,
        transport_share: transport_share(key, trials, seed),
        proof: measured().fold(ProofCounts::default(), |sum, m| sum.plus(m.proof)),
    }
}

fn ranges_a_report(trial: &TrialRecord) -> u16 {
    trial.rung.map_or(trial.spec.batch, |rung| rung.0.ranges_a_report(trial.spec.batch))
}

/// How much of what a report costs in the end is transport: all of it but the discard, over all of it and
/// what the guest pays later to have the pages back. By the medians of each block.
fn transport_share(key: CellKey, trials: &[&TrialRecord], seed: u64) -> Option<Interval> {
    if key.discard.0 == Discard::None || key.rung.is_some_and(|rung| !rung.0.names_pages()) {
        return None;
    }
    let shares: Vec<f64> = trials
        .iter()
        .filter_map(|trial| trial.measured())
        .map(|m| {
            let p50 = |phase| m.phase(phase).p50;
            let transport = (p50(Phase::Total) - p50(Phase::Discard)).max(0.0);
            ratio(transport, p50(Phase::Total) + p50(Phase::Refault))
        })
        .collect();
    Interval::of(&shares, seed)
}

/// `to` minus `from`, block by block, for the blocks that have both.
#[must_use]
pub fn paired(from: &CellSummary, to: &CellSummary) -> Vec<f64> {
    let both = |(block, to): (&u32, &f64)| Some(to - from.block_medians.get(block)?);
    to.block_medians.iter().filter_map(both).collect()
}

fn add_steps(cells: &mut [CellSummary], seed: u64) {
    let steps: Vec<Option<Step>> = cells
        .iter()
        .map(|cell| {
            let before = std::iter::successors(cell.rung?.0.before(), |rung| rung.before())
                .find_map(|rung| find(cells, rung, cell.discard.0))?;
            Some(Step { from: before.rung?, per_range: Interval::of(&paired(before, cell), seed)? })
        })
        .collect();
    for (cell, step) in cells.iter_mut().zip(steps) {
        cell.step = step;
    }
}
