//! From a hypercall a range to virtio: how much each choice on the way adds or saves.

use abi::axes::Axis;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{CellSummary, alike, find, paired};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling};
use crate::figure::unit::ratio;
use crate::trial::timed::phases::Phase;

/// The two sides of the argument. The end is where the vCPU really sleeps: a guest reports now and then, and is asleep
/// when the answer comes; that KVM may spin in its place is a step on the way.
pub(super) const ENDS: [Rung; 2] = [Rung::HypercallEach, Rung::Virtio];

/// The steps between the two sides with one discard. The steps add up to the whole to within its interval if every
/// rung ran in every block; counts do exactly.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Waterfall {
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// Where it starts.
    pub from: Named<Rung>,
    /// Where it ends.
    pub to: Named<Rung>,
    /// Cost a range more at the end than at the start.
    pub whole: Interval,
    /// Cost a range more at the end than by one call a batch, which has its coalescing and nothing else of
    /// it; absent if that rung did not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beyond_batching: Option<Interval>,
    /// What each rung adds to the one before.
    pub steps: Vec<Fall>,
    /// By how much more the step to one call a batch changes the cost a range than all later steps together,
    /// signs left aside; absent if that rung did not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coalescing_over_rest: Option<Interval>,
}

/// One step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Fall {
    /// The rung it leads to.
    pub to: Named<Rung>,
    /// What changes, as the subject of a sentence.
    pub cause: String,
    /// Median cost a range on the rung it leads from, without the stopwatch if it was weighed.
    pub before: f64,
    /// Cost a range more.
    pub per_range: Interval,
    /// Of this, what the discard of the same pages costs more; 0 without one.
    pub discard: f64,
    /// The phase in which most of it lies; absent if no phase holds half of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mostly: Option<Place>,
}

/// A phase and the change of its median, a range. Medians of phases do not add up to that of the report, so
/// this says where to look and no more.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The phase.
    pub phase: Named<Phase>,
    /// Cost a range more.
    pub change: f64,
}

/// One waterfall for each discard with which both ends ran.
#[must_use]
pub fn waterfalls(cells: &[CellSummary], how: Sampling) -> Vec<Waterfall> {
    Discard::ALL.iter().filter_map(|discard| waterfall(cells, *discard, how)).collect()
}

fn waterfall(cells: &[CellSummary], discard: Discard, how: Sampling) -> Option<Waterfall> {
    let [start, end] = [find(cells, ENDS[0], discard)?, find(cells, ENDS[1], discard)?];
    let batch = find(cells, Rung::HypercallBatch, discard);
    let steps = Rung::ALL
        .iter()
        .filter(|rung| **rung > ENDS[0] && **rung <= ENDS[1])
        .filter_map(|rung| fall(cells, find(cells, *rung, discard)?, how))
        .collect();
    Some(Waterfall {
        discard: Named(discard),
        from: Named(ENDS[0]),
        to: Named(ENDS[1]),
        whole: Interval::of(&paired(start, end), how)?,
        steps,
        beyond_batching: batch.and_then(|batch| Interval::of(&paired(batch, end), how)),
        coalescing_over_rest: batch.and_then(|batch| Interval::of(&excess(start, batch, end), how)),
    })
}

fn fall(cells: &[CellSummary], cell: &CellSummary, how: Sampling) -> Option<Fall> {
    let (rung, step) = (cell.rung?, cell.step?);
    // Where rungs were left out of the plan, a step covers the causes of all that it jumps over.
    let causes: Vec<&str> = Rung::ALL
        .iter()
        .filter(|over| **over > step.from.0 && **over <= rung.0)
        .filter_map(|over| over.cause())
        .collect();
    let from = find(cells, step.from.0, cell.discard())?;
    let mostly = place(from, cell, step.per_range.middle);
    Some(Fall {
        to: rung,
        before: from.a_range().p50,
        cause: causes.join(", "),
        per_range: step.per_range,
        discard: dearer(from, cell, how),
        mostly,
    })
}

/// What a range costs more to discard: the middle over blocks, as that of the step.
fn dearer(from: &CellSummary, to: &CellSummary, how: Sampling) -> f64 {
    let a_range = |cell: &CellSummary, block: u32| {
        Some(cell.blocks.get(&block)?.discard / f64::from(cell.choices.ranges_a_report()))
    };
    let more: Vec<f64> =
        to.blocks.keys().filter_map(|block| Some(a_range(to, *block)? - a_range(from, *block)?)).collect();
    Interval::of(&more, how).map_or(0.0, |more| more.middle)
}

fn place(from: &CellSummary, to: &CellSummary, whole: f64) -> Option<Place> {
    // A range as the cell counts it, whatever its batch.
    let a_range = |cell: &CellSummary, phase| {
        cell.phase(phase).cost.p50 * ratio(cell.per_range.p50, cell.per_report.p50)
    };
    Phase::PARTS
        .into_iter()
        .map(|phase| Place { phase: Named(phase), change: a_range(to, phase) - a_range(from, phase) })
        .filter(|place| place.change * whole.signum() >= whole.abs() / 2.0)
        .max_by(|a, b| a.change.abs().total_cmp(&b.change.abs()))
}

/// |start to middle| - |middle to end|, block by block.
fn excess(start: &CellSummary, middle: &CellSummary, end: &CellSummary) -> Vec<f64> {
    let [start, middle, end] = alike([start, middle, end]);
    start
        .iter()
        .filter_map(|(block, a)| {
            let (b, c) = (middle.get(block)?, end.get(block)?);
            Some((b - a).abs() - (c - b).abs())
        })
        .collect()
}
