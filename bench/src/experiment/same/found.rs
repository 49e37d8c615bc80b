//! How often a comparison of a cell with itself was called different.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, check};
use crate::figure::interval::{ALPHA, Interval, MARGIN, SHOWN, Sampling, Verdict};
use crate::figure::random::below;
use crate::figure::table::{Grid, strings};
use crate::figure::unit::{float, percent, ratio};
use crate::trial::kind::Timed;
use crate::trial::record::TrialRecord;
use crate::trial::timed::phases::Phase;

/// Pairs of trials in a comparison, if the plan does not say.
const PAIRS: u32 = 17;
/// The fewest comparisons of which a share can be told from [`ALPHA`].
const ENOUGH: usize = 100;
/// How many of the slow-downs that were planted should be found.
const FOUND: f64 = 0.95;

/// How the comparisons came out.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Pairs of trials in each.
    #[serde(default)]
    pub pairs: usize,
    /// Comparisons.
    pub comparisons: usize,
    /// Called different.
    pub different: usize,
    /// Called equal within the margin.
    pub equal: usize,
    /// Of which neither could be said.
    pub cannot_say: usize,
    /// What was planted, by a build that slows trials down; absent of any other run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planted: Option<Planted>,
}

/// A slow-down of one trial of every pair.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Planted {
    /// As a share of what a report cost in the trials that were not slowed, in the mean of all pairs.
    pub share: f64,
    /// Comparisons in which the slowed trials were found to be dearer.
    pub found: usize,
    /// The mean of the differences found, as such a share.
    pub seen: f64,
}

/// What a report cost in a trial.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Median over its reports, in the unit of the run.
    median: f64,
    /// The delay that was planted.
    slowed_ns: Option<f64>,
}

impl Cost {
    /// Nothing if it has no outcome.
    fn of(trial: &TrialRecord) -> Option<Self> {
        let median = trial.measured::<Timed>()?.phase(Phase::Total).p50;
        Some(Self { median, slowed_ns: trial.slowed_ns })
    }
}

/// A pair of trials.
struct Pair {
    /// Cost a report more in one than in the other, in nanoseconds: the slowed one, if one was, else the one that was drawn.
    more: f64,
    /// What it costs in the other.
    other: f64,
    /// The delay in the slowed one.
    slowed_ns: Option<f64>,
}

impl Pair {
    /// Nothing if one has no outcome.
    fn of(costs: &[Option<Cost>], rng: &mut Pcg64Mcg) -> Option<Self> {
        let [Some(one), Some(next)] = costs else { return None };
        let costs = [one.median, next.median];
        // Which of the two is called the first is drawn, as the order of a block is.
        let drawn = below(rng, 2);
        let at = match (one.slowed_ns, next.slowed_ns) {
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
            _ => drawn,
        };
        let slowed_ns = one.slowed_ns.xor(next.slowed_ns);
        Some(Self { more: costs[at] - costs[1 - at], other: costs[1 - at], slowed_ns })
    }
}

impl Found {
    fn of_costs(costs: &[Option<Cost>], pairs: usize, seed: u64, how: Sampling) -> Self {
        let is_slowed = |cost: &Cost| cost.slowed_ns.is_some();
        let planted = costs.iter().flatten().any(is_slowed).then(Planted::default);
        let mut found = Self { pairs, planted, ..Self::default() };
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let all: Vec<Option<Pair>> = costs.chunks_exact(2).map(|two| Pair::of(two, &mut rng)).collect();
        // The pairs of a comparison lie as far apart as the run allows, as the blocks of any other experiment do: what disturbs
        // the machine for a while is then in a few pairs of all comparisons, and not in all pairs of one.
        let comparisons = all.len() / pairs;
        for first in 0..comparisons {
            let those = all.iter().skip(first).step_by(comparisons).take(pairs);
            // A trial that failed leaves no pair out of step: its comparison is not made.
            if let Some(pairs) = those.map(Option::as_ref).collect::<Option<Vec<&Pair>>>() {
                found.count(&pairs, how);
            }
        }
        let comparisons = float(found.comparisons as u64);
        if let Some(planted) = &mut found.planted {
            planted.share = ratio(planted.share, comparisons);
            planted.seen = ratio(planted.seen, comparisons);
        }
        found
    }

    fn share(&self, of: usize) -> f64 {
        ratio(float(of as u64), float(self.comparisons as u64))
    }

    fn count(&mut self, pairs: &[&Pair], how: Sampling) {
        let more: Vec<f64> = pairs.iter().map(|pair| pair.more).collect();
        let other = mean(pairs.iter().map(|pair| pair.other));
        let slowed: Vec<f64> = pairs.iter().filter_map(|pair| pair.slowed_ns).collect();
        // Of a run with a slow-down a comparison that has not one in every pair says nothing.
        if slowed.len() != if self.planted.is_some() { pairs.len() } else { 0 } {
            return;
        }
        let Some(interval) = Interval::of(&more, how) else { return };
        self.comparisons += 1;
        let verdict = interval.verdict(other);
        match verdict {
            Verdict::Different => self.different += 1,
            Verdict::Equal => self.equal += 1,
            Verdict::CannotSay => self.cannot_say += 1,
        }
        if let Some(planted) = &mut self.planted {
            planted.found += usize::from(verdict == Verdict::Different && interval.middle > 0.0);
            planted.share += ratio(mean(slowed), other);
            planted.seen += ratio(interval.middle, other);
        }
    }

    /// Whether more are called different than is promised. What is beyond three standard deviations of a right test of the
    /// level that is taken is no chance.
    fn standing(&self) -> Standing {
        let comparisons = float(self.comparisons as u64);
        let by_chance = 3.0 * (comparisons * SHOWN * (1.0 - SHOWN)).sqrt();
        match float(self.different as u64) {
            _ if self.comparisons < ENOUGH => Standing::Unknown,
            different if different <= ALPHA * comparisons => Standing::Holds,
            different if different <= SHOWN * comparisons + by_chance => Standing::Unknown,
            _ => Standing::Fails,
        }
    }
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (count, sum) = values.into_iter().fold((0_u64, 0.0), |(count, sum), value| (count + 1, sum + value));
    ratio(sum, float(count))
}

impl Findings for Found {
    /// Of a run: its trials two by two, in the order they ran.
    fn of(archive: &Archive) -> Self {
        let pairs = archive.plan.choices.pairs.unwrap_or(PAIRS) as usize;
        let costs: Vec<Option<Cost>> = archive.trials.iter().map(Cost::of).collect();
        Self::of_costs(&costs, pairs, archive.plan.seed(), archive.sampling())
    }

    fn tables(&self) -> Vec<Grid> {
        let equal = format!("called equal within {}", percent(MARGIN));
        let rows = [
            ("called different", self.different),
            (equal.as_str(), self.equal),
            ("cannot say", self.cannot_say),
        ];
        let rows =
            rows.map(|(what, count)| vec![what.to_owned(), count.to_string(), percent(self.share(count))]);
        let with = self.planted.map_or_else(
            || "itself".to_owned(),
            |planted| format!("itself slowed by {}", percent(planted.share)),
        );
        let title = format!(
            "one cell compared with {with} {} times, {} pairs of trials each; medians of a report",
            self.comparisons, self.pairs
        );
        vec![Grid::new(title, strings(["", "comparisons", "share"]), rows.to_vec())]
    }

    fn comparisons(&self) -> usize {
        // Each for itself: what is counted is how often one is called different.
        1
    }

    fn sentences(&self) -> Vec<String> {
        if let Some(Planted { share, found, seen }) = self.planted {
            let comparisons = self.comparisons;
            return vec![format!(
                "Of {comparisons} comparisons of a cell with itself slowed by {}, {found} found it dearer; by {} in the mean.",
                percent(share),
                percent(seen)
            )];
        }
        vec![format!(
            "Of {} comparisons of a cell with itself {} ({}) were called different.",
            self.comparisons,
            self.different,
            percent(self.share(self.different))
        )]
    }

    fn checks(&self) -> Vec<Check> {
        if let Some(Planted { found, .. }) = self.planted {
            let what = format!("at least {} of planted slow-downs are found", percent(FOUND));
            let standing = match self.share(found) {
                _ if self.comparisons < ENOUGH => Standing::Unknown,
                share if share >= FOUND => Standing::Holds,
                _ => Standing::Fails,
            };
            return vec![check(&what, standing, format!("{found} of {} comparisons", self.comparisons))];
        }
        let what = format!("at most {} of like things are called different", percent(ALPHA));
        let detail = format!("{} of {} comparisons", self.different, self.comparisons);
        vec![check(&what, self.standing(), detail)]
    }

    fn how_to_read(&self) -> String {
        "- *different*, *equal* and *cannot say* are called by the test and the margin that every experiment uses.\n".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The trials of a run of which the medians are kept in `results/reference`, and how many pairs of them are compared.
    fn kept(name: &str) -> (Vec<Option<Cost>>, usize) {
        let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference/kvm_pvm-same-pairs");
        let text = fs::read_to_string(runs.join(name).join("medians.csv")).unwrap();
        let cost = |line: &str| {
            let mut fields = line.split(',').skip(1).map(|field| field.parse().ok());
            Some(Cost { median: fields.next()??, slowed_ns: fields.next().flatten() })
        };
        let pairs = name.rsplit('-').next().and_then(|pairs| pairs.parse().ok());
        (text.lines().skip(1).map(cost).collect(), pairs.unwrap())
    }

    /// Trials that are kept, compared by the test that is used now: different, equal, neither, and found of what was planted.
    #[test]
    fn kept_trials_are_called_different_no_more_often_than_is_promised() {
        let compared = |name: &str| {
            let (costs, pairs) = kept(name);
            let found = Found::of_costs(&costs, pairs, 1, Sampling::Drawn { seed: 1 });
            let planted = found.planted.map(|planted| planted.found);
            ([found.comparisons, found.different, found.equal, found.cannot_say], planted)
        };
        let alike = ["alike-17", "alike-40"].map(|name| compared(name).0);
        assert_eq!(alike, [[200, 4, 127, 69], [200, 6, 183, 11]]);
        // The first eight pairs of a slowed run teach what a report costs: the comparisons that hold one are not made.
        let slowed = ["slowed-17", "slowed-40"].map(compared).map(|([made, ..], found)| (made, found));
        assert_eq!(slowed, [(93, Some(93)), (93, Some(90))]);
    }

    /// Of 200 comparisons ten are what is promised; of a right test 8.3 are expected, with a standard deviation of 2.8.
    #[test]
    fn what_chance_can_do_is_no_fault() {
        let standing =
            |comparisons, different| Found { comparisons, different, ..Found::default() }.standing();
        assert_eq!(standing(200, 0), Standing::Holds);
        assert_eq!(standing(200, 10), Standing::Holds);
        assert_eq!(standing(200, 11), Standing::Unknown);
        assert_eq!(standing(200, 16), Standing::Unknown);
        assert_eq!(standing(200, 17), Standing::Fails);
        assert_eq!(standing(99, 99), Standing::Unknown, "too few to say");
    }

    /// Of eight pairs in a row four are disturbed: of each of four comparisons one pair is.
    #[test]
    fn a_disturbance_is_shared_by_all_comparisons() {
        let cost = |trial: u32| {
            let is_disturbed = (8..16).contains(&trial) && trial.is_multiple_of(2);
            let median = 100.0 + f64::from(trial % 3) / 10.0 + if is_disturbed { 50.0 } else { 0.0 };
            Some(Cost { median, slowed_ns: None })
        };
        let costs: Vec<Option<Cost>> = (0..4 * 2 * 12).map(cost).collect();
        let found = Found::of_costs(&costs, 12, 1, Sampling::Drawn { seed: 1 });
        assert_eq!((found.comparisons, found.equal), (4, 4), "{found:?}");
    }

    #[test]
    fn a_slow_down_is_found_whichever_trial_has_it() {
        let pair = |more, slowed_ns| Pair { more, other: 100.0, slowed_ns };
        let pairs: Vec<Pair> = (0..8).map(|n| pair(5.0 + f64::from(n % 3), Some(5.0))).collect();
        let mut found = Found { planted: Some(Planted::default()), ..Found::default() };
        let how = Sampling::Drawn { seed: 1 };
        found.count(&pairs.iter().collect::<Vec<_>>(), how);
        let planted = found.planted.unwrap();
        assert_eq!((found.comparisons, planted.found), (1, 1));
        assert!((planted.share - 0.05).abs() < 1e-9, "{planted:?}");
        let mut one_without = pairs;
        one_without[3].slowed_ns = None;
        found.count(&one_without.iter().collect::<Vec<_>>(), how);
        assert_eq!(found.comparisons, 1, "a pair without one says nothing");
    }
}
