//! Trials of the same choices together, and figures of them by block.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use host::engine::{GuestCounter, Tally};

use super::Archive;
use crate::figure::interval::{Interval, Sampling};
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::{Clock, float, ratio, total};
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::engine::tallies;
use crate::trial::kind::{Engine, Kind};
use crate::trial::record::TrialRecord;

/// The trials of a cell that have an outcome.
pub struct Group<'a, K: Kind> {
    /// Their choices.
    pub choices: K::Choices,
    /// The trials.
    pub trials: Vec<&'a TrialRecord>,
    /// Their samples together, in ticks.
    pub histograms: BTreeMap<K::Series, &'a Histogram<u64>>,
}

impl Archive {
    /// Every cell of this kind that has a trial with an outcome, in the order of their choices.
    #[must_use]
    pub fn groups<K: Kind>(&self) -> Vec<Group<'_, K>> {
        let mut by_choices: BTreeMap<K::Choices, Group<'_, K>> = BTreeMap::new();
        for trial in self.trials.iter().filter(|trial| trial.counts().is_some()) {
            let Some(choices) = K::choices(&trial.choices()) else { continue };
            let empty = || Group { choices, trials: Vec::new(), histograms: BTreeMap::new() };
            by_choices.entry(choices).or_insert_with(empty).trials.push(trial);
        }
        for ((cell, series), histogram) in &self.merged.histograms {
            let group = K::choices(cell).and_then(|choices| by_choices.get_mut(&choices));
            if let (Some(group), Some(series)) = (group, K::series(*series)) {
                group.histograms.insert(series, histogram);
            }
        }
        by_choices.into_values().collect()
    }
}

impl<'a, K: Kind> Group<'a, K> {
    /// What was measured.
    pub fn measured(&self) -> impl Iterator<Item = &'a K::Measured> {
        self.trials.iter().filter_map(|trial| trial.measured::<K>())
    }

    /// What a tick is.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let counts = self.trials.iter().find_map(|trial| trial.counts());
        counts.map_or(Clock::Time { tsc_khz: 1 }, |counts| counts.clock)
    }

    /// A figure of every block.
    #[must_use]
    pub fn by_block(&self, figure: impl Fn(&K::Measured) -> f64) -> BTreeMap<u32, f64> {
        let of = |trial: &&TrialRecord| Some((trial.block, figure(trial.measured::<K>()?)));
        self.trials.iter().filter_map(of).collect()
    }

    /// The mean of a figure over blocks, with its interval.
    #[must_use]
    pub fn interval(&self, how: Sampling, figure: impl Fn(&K::Measured) -> f64) -> Interval {
        let values: Vec<f64> = self.by_block(figure).into_values().collect();
        Interval::of(&values, how).unwrap_or_default()
    }

    /// The same of a figure that some trial may not have; `None` if one has it not.
    #[must_use]
    pub fn interval_if_known(
        &self,
        how: Sampling,
        figure: impl Fn(&K::Measured) -> Option<f64>,
    ) -> Option<Interval> {
        let values: Option<Vec<f64>> = self.measured().map(figure).collect();
        Interval::of(&values?, how)
    }

    /// This group's figure held against another's, block by block, for the blocks that have both.
    #[must_use]
    pub fn against(
        &self,
        other: &Self,
        how: Sampling,
        figure: impl Fn(&K::Measured) -> f64,
        held: impl Fn(f64, f64) -> f64,
    ) -> Option<Interval> {
        let theirs = other.by_block(&figure);
        let both = |(block, ours): (u32, f64)| Some(held(ours, *theirs.get(&block)?));
        let values: Vec<f64> = self.by_block(&figure).into_iter().filter_map(both).collect();
        Interval::of(&values, how)
    }
}

impl Group<'_, Engine> {
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

    /// By what share this group does more operations a second than another, paired by block.
    #[must_use]
    pub fn change_of_rate(&self, other: &Self, how: Sampling) -> Option<Interval> {
        self.against(other, how, EngineMeasured::operations_a_second, |ours, theirs| {
            ratio(ours, theirs) - 1.0
        })
    }

    /// A tally of all trials; all 0 if there is none.
    #[must_use]
    pub fn tally(&self, tally: Tally) -> Quantiles {
        let quantiles = |histogram: &&Histogram<u64>| tallies::quantiles(tally, histogram, self.clock());
        self.histograms.get(&tally).map(quantiles).unwrap_or_default()
    }

    /// The tallies there are.
    pub fn tallies(&self) -> impl Iterator<Item = (Tally, Quantiles)> {
        self.histograms.keys().map(|tally| (*tally, self.tally(*tally)))
    }
}
