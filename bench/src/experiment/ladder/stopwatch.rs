//! What the stopwatch costs on this host, and every figure without it.
//!
//! In every block one trial more runs for each of the two empty calls, in which the call is timed with the stopwatch and
//! without it in turns. What that shows is taken off the block's own medians, before anything is drawn again: so the
//! interval of a difference has the uncertainty of what was taken off in it.

use std::collections::BTreeMap;

use host::timed::{Stopwatch, TimedSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{CellSummary, Net};
use super::checks::NOTHING;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{CallBy, Rung};
use crate::figure::check::{Check, Standing, check};
use crate::figure::interval::{Interval, Sampling, median};
use crate::figure::number::amount;
use crate::figure::unit::Unit;
use crate::plan::keys::Keys;
use crate::trial::kind::Timed;
use crate::trial::spec::Spec;
use crate::trial::timed::measured::StopwatchWeight;

/// Reports of one call in a trial that weighs: as many rounds of every kind of burst as a burst has calls.
const REPORTS: u64 = 1024;

/// What the stopwatch costs a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StopwatchSummary {
    /// The empty call it was weighed on.
    pub rung: Named<Rung>,
    /// That call without it: the median over blocks.
    pub bare: f64,
    /// What it adds to a report of one call.
    pub once: Interval,
    /// What it adds to each call of a report of many.
    pub each: Interval,
    /// What fetching registers and leaving an answer adds to a call; absent where the doorbell brings both.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub registers: Option<Interval>,
}

/// The trials that weigh: one for the call that KVM answers itself, if it is in the plan, and one for all others.
pub fn cells(keys: &Keys, call: CallBy) -> impl Iterator<Item = Spec> {
    let discard = keys.discards.iter().flatten().next().copied();
    let kernel = keys.rungs().any(|rung| rung == Rung::InKernel).then_some(Rung::InKernel);
    let others = keys.rungs().any(|rung| rung != Rung::InKernel).then_some(Rung::Floor);
    kernel.into_iter().chain(others).map(move |rung| {
        let spec = Keys { discard, ..keys.clone() }.timed(rung.transport(call));
        Spec::Timed(TimedSpec { stopwatch: Stopwatch::Weighed, reports: REPORTS, idle: 0, ..spec })
    })
}

/// What was weighed, for each empty call and block.
pub(super) struct Weights(BTreeMap<Rung, BTreeMap<u32, StopwatchWeight>>);

impl Weights {
    /// Of the trials that weigh.
    pub(super) fn of(groups: &[Group<'_, Timed>]) -> Self {
        let mut weights = BTreeMap::<_, BTreeMap<_, _>>::new();
        for group in groups {
            let Some(rung) = group.choices.way.rung() else { continue };
            for trial in &group.trials {
                if let Some(weight) = trial.measured::<Timed>().and_then(|measured| measured.stopwatch) {
                    weights.entry(rung).or_default().insert(trial.block, weight);
                }
            }
        }
        Self(weights)
    }

    /// What they show.
    pub(super) fn summaries(&self, how: Sampling) -> Vec<StopwatchSummary> {
        let summary = |(rung, weights): (&Rung, &BTreeMap<u32, StopwatchWeight>)| {
            let all = |of: fn(&StopwatchWeight) -> f64| weights.values().map(of).collect::<Vec<_>>();
            let registers: Option<Vec<f64>> = weights.values().map(|weight| weight.registers).collect();
            Some(StopwatchSummary {
                rung: Named(*rung),
                bare: median(&all(|weight| weight.bare)),
                once: Interval::of(&all(|weight| weight.once), how)?,
                each: Interval::of(&all(|weight| weight.each), how)?,
                registers: registers.and_then(|registers| Interval::of(&registers, how)),
            })
        };
        self.0.iter().filter_map(summary).collect()
    }

    /// A cell without it, for the blocks in which it was weighed; `None` if there are none.
    pub(super) fn taken_off(&self, cell: &CellSummary, how: Sampling) -> Option<Net> {
        let on = if cell.rung == Some(Named(Rung::InKernel)) { Rung::InKernel } else { Rung::Floor };
        let weights = self.0.get(&on)?;
        let ranges = f64::from(cell.choices.ranges_a_report().max(1));
        let (mut totals, mut taken) = (BTreeMap::new(), Vec::new());
        for (block, raw) in &cell.blocks {
            let Some(weight) = weights.get(block) else { continue };
            let cost = weight.of_a_report(&cell.choices)?;
            taken.push(cost);
            totals.insert(*block, raw.total - cost);
        }
        let taken_off = Interval::of(&taken, how)?;
        Some(Net {
            taken_off,
            per_range: cell.per_range.less(taken_off.middle / ranges),
            per_report: cell.per_report.less(taken_off.middle),
            totals,
        })
    }
}

/// Whether what it costs is known, for every cell and in every block.
pub(super) fn check_of(weighed: &[StopwatchSummary], cells: &[CellSummary], unit: Unit) -> Check {
    let what = "what the stopwatch costs is known, and taken off";
    if cells.is_empty() {
        return check(what, Standing::Unknown, NOTHING.to_owned());
    }
    let raw: Vec<&str> = cells.iter().filter(|cell| cell.net.is_none()).map(CellSummary::label).collect();
    if weighed.is_empty() || !raw.is_empty() {
        let detail = format!("not weighed for {}: these figures have it in", raw.join(", "));
        return check(what, Standing::Unknown, detail);
    }
    let figures: Vec<String> = weighed
        .iter()
        .map(|weight| format!("{} a call of {}", amount(unit, &weight.once), weight.rung))
        .collect();
    let missing =
        |cell: &&CellSummary| cell.net.as_ref().is_some_and(|net| net.totals.len() < cell.blocks.len());
    let runs_backwards = |cost: &Interval| cost.is_known() && cost.high < 0.0;
    let standing = if weighed.iter().any(|weight| [weight.once, weight.each].iter().any(runs_backwards)) {
        // No stopwatch runs backwards: something else differs between the bursts.
        Standing::Fails
    } else if let Some(cell) = cells.iter().find(missing) {
        return check(what, Standing::Doubtful, format!("not weighed in every block of {}", cell.title()));
    } else if weighed.iter().all(|weight| weight.once.is_known() && weight.once.low > 0.0) {
        Standing::Holds
    } else {
        Standing::Unknown
    };
    check(what, standing, figures.join(", "))
}
