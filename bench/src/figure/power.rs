//! What a comparison could have seen, and what it would take to say more.
//!
//! Both follow from how far the differences of the blocks scatter, never from the difference that was found: the
//! power of what was found is its p-value again. How far they scatter is taken from how wide their interval is: `s` is the
//! standard deviation of normal blocks that have one as wide. With `n` blocks a true difference of
//! `(t(1 - a/2) + t(0.8)) s / sqrt(n)` is called different four times in five (Student's quantiles of `n - 1` degrees; `a` is
//! what a test of the level [`SHOWN`](super::interval::SHOWN) over `m` comparisons of the table attains, as Holm's first step has it), and two like
//! cells are called equal as often if `(t(1 - a/2) + t(0.9)) s / sqrt(n)` with the `a` of one comparison is within the margin.
//! The tests below hold both against the signed-rank test itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::{ALPHA, Interval, Sampling, Verdict};
use super::ranks::{Ranks, attained};
use super::unit::{float, ratio};

/// How often what could have been seen is seen.
pub const POWER: f64 = 0.8;
/// The most blocks that are worth naming: a plan takes no more.
const MOST: usize = 10_000;

/// What is said of a difference, and what could have been.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// Different, equal within the margin, or neither.
    pub verdict: Verdict,
    /// Differences below this do not matter; in the unit of the difference.
    pub margin: f64,
    /// The smallest true difference that these blocks would have called different four times in five, in the unit of
    /// the difference; absent if they are too few to call any so, and of counts, in which nothing is chance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub least_effect: Option<f64>,
    /// The same as a share of what the difference is held against.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub least_share: Option<f64>,
    /// Where nothing can be said: as many blocks would call a difference as large as the margin different, and like
    /// things equal, four times in five. Absent elsewhere, and if it is more than 10 000.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blocks_needed: Option<usize>,
}

impl Said {
    /// Of the differences of the blocks and their interval, one of so many comparisons of a table; `figure` is what they are
    /// held against.
    #[must_use]
    pub fn of(values: &[f64], interval: &Interval, how: Sampling, comparisons: usize, figure: f64) -> Self {
        let verdict = interval.verdict(figure);
        let margin = Interval::margin(figure);
        let spread = (!interval.is_counted()).then(|| spread(values));
        let level = ratio(how.level_shown(), float(comparisons.max(1) as u64));
        let least_effect = spread.and_then(|spread| least_effect(spread, values.len(), level));
        Self {
            verdict,
            margin,
            least_effect,
            least_share: least_effect.map(|least| ratio(least, figure.abs())),
            blocks_needed: spread
                .filter(|_| verdict == Verdict::CannotSay)
                .and_then(|spread| blocks_to_say(spread, margin, level)),
        }
    }
}

/// The smallest true difference that so many blocks of this spread call different four times in five, by a test of this
/// level.
#[must_use]
pub fn least_effect(spread: f64, blocks: usize, level: f64) -> Option<f64> {
    Some((half_width(blocks, level)? + student(POWER, blocks)) * standard_error(spread, blocks))
}

/// How many blocks of this spread call a difference of the margin different and like things equal, four times in five each;
/// `None` if they are more than `MOST`.
#[must_use]
pub fn blocks_to_say(spread: f64, margin: f64, level: f64) -> Option<usize> {
    let is_enough = |blocks: usize| {
        let sees = least_effect(spread, blocks, level).is_some_and(|least| least <= margin);
        // Each end of the interval has to be within: one in ten may miss on either side.
        let miss = student(f64::midpoint(POWER, 1.0), blocks);
        let equal = half_width(blocks, ALPHA).map(|half| (half + miss) * standard_error(spread, blocks));
        sees && equal.is_some_and(|equal| equal <= margin)
    };
    if !is_enough(MOST) {
        return None;
    }
    let (mut too_few, mut enough) = (1, MOST);
    while enough - too_few > 1 {
        let middle = usize::midpoint(too_few, enough);
        if is_enough(middle) { enough = middle } else { too_few = middle }
    }
    Some(enough)
}

/// The standard deviation of normal blocks whose interval is as wide as that of these; by their squares where they are too
/// few for an interval.
#[must_use]
pub fn spread(values: &[f64]) -> f64 {
    let (blocks, count) = (values.len(), float(values.len() as u64));
    if let (Some((low, high)), Some(half)) = (Ranks::of(values).accepted(ALPHA), half_width(blocks, ALPHA)) {
        return (high - low) / 2.0 * count.sqrt() / half;
    }
    let mean = ratio(values.iter().sum(), count);
    ratio(values.iter().map(|value| (value - mean).powi(2)).sum(), count - 1.0).sqrt()
}

/// Half of an interval of so many blocks by the test of this level, in standard errors.
fn half_width(blocks: usize, level: f64) -> Option<f64> {
    attained(blocks, level).map(|level| student(1.0 - level / 2.0, blocks))
}

fn standard_error(spread: f64, blocks: usize) -> f64 {
    spread / float(blocks as u64).sqrt()
}

/// A quantile of Student's distribution for a mean of so many blocks.
fn student(share: f64, blocks: usize) -> f64 {
    let degrees = float(blocks.max(2) as u64) - 1.0;
    StudentsT::new(0.0, 1.0, degrees).map_or(f64::INFINITY, |student| student.inverse_cdf(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::interval::{MARGIN, SHOWN, holm};
    use crate::figure::random::normal;
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::SeedableRng;

    /// Printed in every table of Student's distribution.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (share, blocks, known) in
            [(0.975, 10, 2.262), (0.95, 6, 2.015), (0.8, 16, 0.866), (0.975, 1000, 1.962)]
        {
            assert!((student(share, blocks) - known).abs() < 6e-4, "{share} of {blocks}");
        }
        assert!((spread(&[1.0, 2.0, 3.0, 4.0]) - 1.290_994).abs() < 1e-6);
        assert!(spread(&[1.0]).abs() < 1e-12);
    }

    /// R: `power.t.test(n = 16, sd = 1, power = 0.8, type = "one.sample")` gives a difference of 0.7486 for the mean; ranks
    /// of normal blocks know a little less.
    #[test]
    fn it_is_close_to_what_others_compute() {
        let least = least_effect(1.0, 16, ALPHA).unwrap();
        assert!((0.7486..0.78).contains(&least), "{least}");
        assert_eq!(least_effect(1.0, 5, ALPHA), None, "five blocks show nothing");
        assert_eq!(least_effect(1.0, 8, ALPHA / 7.0), None, "nor do eight, of seven comparisons");
    }

    /// How often the signed-rank test calls `blocks` blocks around `mean` what is asked for.
    fn how_often(verdict: Verdict, mean: f64, figure: f64, blocks: usize, comparisons: usize) -> f64 {
        let mut rng = Pcg64Mcg::seed_from_u64(21);
        let rounds = 400;
        let hits = (0..rounds).filter(|seed| {
            let values: Vec<f64> = (0..blocks).map(|_| mean + normal(&mut rng)).collect();
            // The others of the table show nothing, so that this one is the first of Holm's.
            let mut table = vec![Interval { p: Some(1.0), ..Interval::default() }; comparisons];
            table[0] = Interval::of(&values, Sampling::Drawn { seed: *seed }).unwrap();
            holm(&mut table);
            table[0].verdict(figure) == verdict
        });
        ratio(float(hits.count() as u64), float(rounds))
    }

    #[test]
    fn what_could_have_been_seen_is_seen_four_times_in_five() {
        for (blocks, comparisons) in [(8, 1), (12, 1), (16, 1), (24, 1), (16, 7), (24, 7)] {
            let level = ratio(SHOWN, float(comparisons as u64));
            let least = least_effect(1.0, blocks, level).unwrap();
            let seen = how_often(Verdict::Different, least, 0.0, blocks, comparisons);
            assert!((0.70..=0.90).contains(&seen), "{seen} of {blocks} blocks, {comparisons} comparisons");
        }
    }

    #[test]
    fn with_as_many_blocks_as_are_needed_it_is_said() {
        let (figure, comparisons) = (20.0, 3);
        let margin = MARGIN * figure;
        let level = SHOWN / 3.0;
        let blocks = blocks_to_say(1.0, margin, level).unwrap();
        let different = how_often(Verdict::Different, margin, figure, blocks, comparisons);
        let equal = how_often(Verdict::Equal, 0.0, figure, blocks, comparisons);
        assert!(different >= 0.72 && equal >= 0.72, "{blocks} blocks: {different}, {equal}");
        assert_eq!(blocks_to_say(1e6, margin, level), None, "more than anybody runs");
    }

    #[test]
    fn what_differs_by_the_margin_is_called_equal_one_time_in_twenty_at_most() {
        // Two standard deviations of 400 above.
        let said = how_often(Verdict::Equal, 0.5, 10.0, 16, 1);
        assert!(said <= ALPHA + 0.022, "{said}");
    }

    #[test]
    fn what_is_said_has_its_needs_only_where_nothing_can_be_said() {
        let said = |values: &[f64]| {
            let how = Sampling::Drawn { seed: 1 };
            Said::of(values, &Interval::of(values, how).unwrap(), how, 1, 100.0)
        };
        let different = said(&[9.0, 10.0, 11.0, 9.5, 10.5, 10.0]);
        assert_eq!((different.verdict, different.blocks_needed), (Verdict::Different, None));
        assert!(different.least_share.is_some_and(|share| share < 0.02));
        let unsure = said(&[-20.0, 30.0, -10.0, 15.0, 5.0, -8.0]);
        assert_eq!(unsure.verdict, Verdict::CannotSay);
        assert!(unsure.blocks_needed.is_some_and(|blocks| blocks > 50));
        let counted = Interval::of(&[4.0, 4.0], Sampling::Counted).unwrap();
        assert_eq!(Said::of(&[4.0, 4.0], &counted, Sampling::Counted, 1, 100.0).least_effect, None);
    }
}
