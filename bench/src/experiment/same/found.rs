//! How often a comparison of a cell with itself was called different.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, check};
use crate::figure::interval::{ALPHA, Interval, MARGIN, Verdict};
use crate::figure::random::below;
use crate::figure::table::{Grid, strings};
use crate::figure::unit::{float, percent, ratio};
use crate::trial::kind::Timed;
use crate::trial::timed::phases::Phase;

/// Pairs of trials that follow one another in a comparison.
const PAIRS: usize = 8;
/// The fewest comparisons of which a share can be told from [`ALPHA`].
const ENOUGH: usize = 100;

/// How the comparisons came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Comparisons.
    pub comparisons: usize,
    /// Called different.
    pub different: usize,
    /// Called equal within the margin.
    pub equal: usize,
    /// Of which neither could be said.
    pub cannot_say: usize,
}

impl Found {
    fn share(&self, of: usize) -> f64 {
        ratio(float(of as u64), float(self.comparisons as u64))
    }

    /// Whether more are called different than should be. A test of this size calls a little over its share different in
    /// every other run, by chance: what is beyond three standard deviations of a right one is no chance.
    fn standing(&self) -> Standing {
        let comparisons = float(self.comparisons as u64);
        let expected = ALPHA * comparisons;
        let by_chance = 3.0 * (expected * (1.0 - ALPHA)).sqrt();
        match float(self.different as u64) {
            _ if self.comparisons < ENOUGH => Standing::Unknown,
            different if different <= expected => Standing::Holds,
            different if different <= expected + by_chance => Standing::Unknown,
            _ => Standing::Fails,
        }
    }
}

impl Findings for Found {
    /// Of a run: its trials in the order they ran, two by two.
    fn of(archive: &Archive) -> Self {
        let total = |m: &crate::trial::timed::measured::TimedMeasured| m.phase(Phase::Total).p50;
        let mut found = Self::default();
        let mut rng = Pcg64Mcg::seed_from_u64(archive.plan.seed());
        for trials in archive.trials.chunks_exact(2 * PAIRS) {
            let totals = trials.iter().map(|trial| trial.measured::<Timed>().map(total));
            // A trial that failed leaves no pair out of step: its comparison is not made.
            let Some(comparison) = totals.collect::<Option<Vec<f64>>>() else { continue };
            // Which of the two is called the first is drawn, as the order of a block is.
            let mut difference = |pair: &[f64]| {
                let at = below(&mut rng, 2);
                pair[at] - pair[1 - at]
            };
            let more: Vec<f64> = comparison.chunks_exact(2).map(&mut difference).collect();
            let mean = ratio(comparison.iter().sum(), float(comparison.len() as u64));
            let Some(interval) = Interval::of(&more, archive.sampling()) else { continue };
            found.comparisons += 1;
            match interval.verdict(mean) {
                Verdict::Different => found.different += 1,
                Verdict::Equal => found.equal += 1,
                Verdict::CannotSay => found.cannot_say += 1,
            }
        }
        found
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
        let title = format!(
            "one cell compared with itself {} times, {PAIRS} pairs of trials each; medians of a report",
            self.comparisons
        );
        vec![Grid::new(title, strings(["", "comparisons", "share"]), rows.to_vec())]
    }

    fn comparisons(&self) -> usize {
        // Each for itself: what is counted is how often one is called different.
        1
    }

    fn sentences(&self) -> Vec<String> {
        vec![format!(
            "Of {} comparisons of a cell with itself {} ({}) were called different.",
            self.comparisons,
            self.different,
            percent(self.share(self.different))
        )]
    }

    fn checks(&self) -> Vec<Check> {
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
    use super::*;

    /// Of 200 comparisons ten are the share, and a standard deviation is 3.1.
    #[test]
    fn what_chance_can_do_is_no_fault() {
        let standing =
            |comparisons, different| Found { comparisons, different, ..Found::default() }.standing();
        assert_eq!(standing(200, 0), Standing::Holds);
        assert_eq!(standing(200, 10), Standing::Holds);
        assert_eq!(standing(200, 11), Standing::Unknown);
        assert_eq!(standing(200, 19), Standing::Unknown);
        assert_eq!(standing(200, 20), Standing::Fails);
        assert_eq!(standing(99, 99), Standing::Unknown, "too few to say");
    }
}
