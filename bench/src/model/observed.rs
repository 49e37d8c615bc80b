//! The cells of a run that the model speaks of, without the stopwatch.

use std::collections::BTreeMap;

use host::axes::{Backing, Coalesce, Discard, RingFeatures};

use super::cost::{Blocks, Counts, HUGE, Report, knows};
use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::median;
use crate::trial::kind::Timed;
use crate::trial::timed::choices::Choices;
use crate::trial::timed::measured::StopwatchWeight;
use crate::trial::timed::phases::Phase;

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What its reports are.
    pub report: Report,
    /// What its reports are made of.
    pub counts: Counts,
    /// Median cost of a report by block.
    pub totals: BTreeMap<u32, f64>,
    /// Median cost of bringing its pages back by block.
    pub refaults: BTreeMap<u32, f64>,
}

impl Cell {
    /// Bringing the pages of a report back, as terms.
    #[must_use]
    pub fn refault_counts(&self) -> Counts {
        let batch = f64::from(self.report.batch);
        let all = self.report.blocks.refault().into_iter().map(|(term, count)| (term, count * batch));
        if self.report.rung.0.names_pages() { all.collect() } else { Counts::new() }
    }

    /// Median over blocks: one block in which the machine did something else must not bend every term.
    #[must_use]
    pub fn typical(&self) -> f64 {
        typical(&self.totals)
    }
}

/// The median of figures by block.
#[must_use]
pub fn typical(values: &BTreeMap<u32, f64>) -> f64 {
    median(&values.values().copied().collect::<Vec<_>>())
}

/// What a run has for the model.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The cells, sorted by what their reports are.
    pub cells: Vec<Cell>,
    /// What the model does not speak of, by its tag.
    pub left_out: Vec<String>,
    /// Cells from which the stopwatch could not be taken.
    pub raw: usize,
}

impl Observed {
    /// Of a run.
    #[must_use]
    pub fn of(archive: &Archive) -> Self {
        let groups = archive.groups::<Timed>();
        let (timed, weighed): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.choices.times_reports());
        let mut observed = Self::default();
        for group in &timed {
            let parts = report(&group.choices).and_then(|report| Some((report, report.counts()?)));
            let Some((report, counts)) = parts else {
                observed.left_out.push(group.choices.tag());
                continue;
            };
            let (totals, is_net) = totals(group, &weighed);
            observed.raw += usize::from(!is_net);
            let refaults = group.by_block(|measured| measured.phase(Phase::Refault).p50);
            observed.cells.push(Cell { report, counts, totals, refaults });
        }
        observed.cells.sort_by_key(|cell| cell.report);
        observed
    }

    /// The cell with these reports.
    #[must_use]
    pub fn cell(&self, report: &Report) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.report == *report)
    }
}

/// What the reports of a cell are, if the model speaks of them.
fn report(choices: &Choices) -> Option<Report> {
    let way = &choices.way;
    let is_plain = choices.company().is_alone()
        && choices.in_flight == 1
        && choices.idle_us == 0
        && way.ring_features.0 == RingFeatures::NONE
        && way.coalesce.0 == Coalesce::Each
        && matches!(way.backing.0, Backing::Anon | Backing::AnonThp);
    let rung =
        choices.rung().filter(|rung| is_plain && Rung::LADDER.contains(rung) && knows(way.discard.0))?;
    let huge = way.backing.0 == Backing::AnonThp && choices.order >= HUGE;
    // A part of a huge page is another thing to discard and to bring back.
    let is_whole = way.backing.0 == Backing::Anon || huge;
    let discarded = way.discard.0 != Discard::None && rung.names_pages();
    let blocks = Blocks { order: choices.order, discarded, huge };
    (is_whole || !discarded).then_some(Report { rung: Named(rung), batch: choices.ranges_a_report(), blocks })
}

/// Median cost of a report by block, and whether the stopwatch could be taken off it.
fn totals(group: &Group<'_, Timed>, weighed: &[Group<'_, Timed>]) -> (BTreeMap<u32, f64>, bool) {
    let raw = group.by_block(|measured| measured.phase(Phase::Total).p50);
    let on = if group.choices.rung() == Some(Rung::InKernel) { Rung::InKernel } else { Rung::Floor };
    let weights = weights(weighed, on);
    let net = |(block, total): (&u32, &f64)| {
        Some((*block, total - weights.get(block)?.of_a_report(&group.choices)?))
    };
    let net: BTreeMap<u32, f64> = raw.iter().filter_map(net).collect();
    if net.len() == raw.len() { (net, true) } else { (raw, false) }
}

fn weights(weighed: &[Group<'_, Timed>], on: Rung) -> BTreeMap<u32, StopwatchWeight> {
    let of = weighed.iter().filter(|group| group.choices.way.rung() == Some(on));
    let trials = of.flat_map(|group| group.trials.iter());
    trials.filter_map(|trial| Some((trial.block, trial.measured::<Timed>()?.stopwatch?))).collect()
}
