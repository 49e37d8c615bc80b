//! Trials of the same choices together, and figures of them by block.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use host::engine::{GuestCounter, Tally};

use super::archive::EngineArchive;
use super::choices::Choices;
use super::record::{EngineMeasured, EngineRecord};
use super::tallies;
use crate::quantiles::Quantiles;
use crate::statistics::Interval;
use crate::unit::{Clock, float, ratio, total};

/// The trials of a cell that have an outcome.
pub struct Group<'a> {
    /// Their choices.
    pub choices: Choices,
    /// The trials.
    pub trials: Vec<&'a EngineRecord>,
    tallies: BTreeMap<Tally, &'a Histogram<u64>>,
}

/// Every cell of a run that has a trial with an outcome, in the order they first ran in the plan's.
#[must_use]
pub fn groups(archive: &EngineArchive) -> Vec<Group<'_>> {
    let mut by_choices: BTreeMap<Choices, Vec<&EngineRecord>> = BTreeMap::new();
    for trial in archive.trials.iter().filter(|trial| trial.measured().is_some()) {
        by_choices.entry(trial.choices).or_default().push(trial);
    }
    let tallies = |choices: Choices| {
        let all = archive.merged.histograms.iter().filter(move |((cell, _), _)| *cell == choices);
        all.map(|((_, tally), histogram)| (*tally, histogram)).collect()
    };
    by_choices
        .into_iter()
        .map(|(choices, trials)| Group { choices, trials, tallies: tallies(choices) })
        .collect()
}

impl<'a> Group<'a> {
    /// What was measured.
    pub fn measured(&self) -> impl Iterator<Item = &'a EngineMeasured> {
        self.trials.iter().filter_map(|trial| trial.measured())
    }

    /// What a tick is.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.measured().next().map_or(Clock::Time { tsc_khz: 1 }, |measured| measured.clock)
    }

    /// A counter, all processors and trials together.
    #[must_use]
    pub fn sum(&self, counter: GuestCounter) -> u64 {
        total(self.measured().map(|measured| measured.sum(counter)))
    }

    /// One counter over another.
    #[must_use]
    pub fn per(&self, part: GuestCounter, whole: GuestCounter) -> f64 {
        ratio(float(self.sum(part)), float(self.sum(whole)))
    }

    /// A figure of every block.
    #[must_use]
    pub fn by_block(&self, figure: impl Fn(&EngineMeasured) -> f64) -> BTreeMap<u32, f64> {
        self.trials.iter().filter_map(|trial| Some((trial.block, figure(trial.measured()?)))).collect()
    }

    /// The mean of a figure over blocks, with its interval.
    #[must_use]
    pub fn interval(&self, seed: u64, figure: impl Fn(&EngineMeasured) -> f64) -> Interval {
        let values: Vec<f64> = self.by_block(figure).into_values().collect();
        Interval::of(&values, seed).unwrap_or_default()
    }

    /// The same of a figure that some trial may not have; `None` if one has it not.
    #[must_use]
    pub fn interval_if_known(
        &self,
        seed: u64,
        figure: impl Fn(&EngineMeasured) -> Option<f64>,
    ) -> Option<Interval> {
        let values: Option<Vec<f64>> = self.measured().map(figure).collect();
        Interval::of(&values?, seed)
    }

    /// This group's figure held against another's, block by block, for the blocks that have both.
    #[must_use]
    pub fn against(
        &self,
        other: &Group<'_>,
        seed: u64,
        figure: impl Fn(&EngineMeasured) -> f64,
        held: impl Fn(f64, f64) -> f64,
    ) -> Option<Interval> {
        let theirs = other.by_block(&figure);
        let both = |(block, ours): (u32, f64)| Some(held(ours, *theirs.get(&block)?));
        let values: Vec<f64> = self.by_block(&figure).into_iter().filter_map(both).collect();
        Interval::of(&values, seed)
    }

    /// By what share this group does more operations a second than another, paired by block.
    #[must_use]
    pub fn change_of_rate(&self, other: &Group<'_>, seed: u64) -> Option<Interval> {
        self.against(other, seed, EngineMeasured::operations_a_second, |ours, theirs| {
            ratio(ours, theirs) - 1.0
        })
    }

    /// A tally of all trials; all 0 if there is none.
    #[must_use]
    pub fn tally(&self, tally: Tally) -> Quantiles {
        let quantiles = |histogram: &&Histogram<u64>| tallies::quantiles(tally, histogram, self.clock());
        self.tallies.get(&tally).map(quantiles).unwrap_or_default()
    }

    /// The tallies there are.
    pub fn tallies(&self) -> impl Iterator<Item = (Tally, Quantiles)> {
        self.tallies.keys().map(|tally| (*tally, self.tally(*tally)))
    }
}
