//! How sure a difference is: a bootstrap interval over blocks.
//!
//! Blocks are the unit: within a block the rungs ran close together on the same pages, so their difference is
//! free of what drifts from block to block. A rung's figure in a block is the median of its samples there; the
//! difference between two rungs is the mean of the differences of these, block by block, and the mean is used
//! because means of differences add up along the ladder. Blocks are drawn again, with replacement, to see how
//! far the mean would wander.
//!
//! A plain percentile bootstrap is too narrow when there are few blocks. We widen it as Hesterberg proposes
//! ("What Teachers Should Know About the Bootstrap", 2015, section 5.3): the percentiles are those at which a
//! normal approximation would have the width of Student's t interval. Even so no interval of this kind can
//! reach 95 % below six blocks, and below that [`Interval::shows_difference`] says no.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figure::random::below;
use crate::figure::unit::{float, ratio};

/// The fewest blocks a 95 % interval can rest on: with five, all five on one side of 0 happen by chance in
/// one case of 16.
pub const MIN_BLOCKS: usize = 6;

const RESAMPLES: usize = 10_000;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Mean over blocks.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Blocks it rests on.
    pub blocks: usize,
}

impl Interval {
    /// The mean of values, one a block, with its interval; `None` without values. The same values and seed
    /// give the same interval.
    #[must_use]
    pub fn of(values: &[f64], seed: u64) -> Option<Self> {
        Self::resampled(values, seed, RESAMPLES)
    }

    fn resampled(values: &[f64], seed: u64, resamples: usize) -> Option<Self> {
        let blocks = values.len();
        if blocks == 0 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mean = mean(values.iter().copied(), blocks);
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut means: Vec<f64> = (0..resamples)
            .map(|_| self::mean((0..blocks).map(|_| values[below(&mut rng, blocks)]), blocks))
            .collect();
        means.sort_by(f64::total_cmp);
        let tail = tail(blocks);
        Some(Self { mean, low: quantile(&means, tail), high: quantile(&means, 1.0 - tail), blocks })
    }

    /// Whether the interval excludes 0, on enough blocks to say so.
    #[must_use]
    pub fn shows_difference(&self) -> bool {
        self.blocks >= MIN_BLOCKS && (self.low > 0.0 || self.high < 0.0)
    }
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    ratio(values.sum(), float(n as u64))
}

/// The value below which the share `p` of sorted values lies, interpolated.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p.clamp(0.0, 1.0) * float(sorted.len() as u64 - 1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let fraction = position - position.floor();
    sorted[below] + (sorted[above] - sorted[below]) * fraction
}

/// The middle value; 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// The share cut off at each end of the bootstrap distribution of `n` values.
fn tail(n: usize) -> f64 {
    /// 97.5th percentile of Student's t with 1, 2, … degrees of freedom.
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    let Some(freedom) = n.checked_sub(2) else { return 0.0 };
    // Beyond the table, Cornish and Fisher's first term; it is right to three digits there.
    let df = float(freedom as u64 + 1);
    let t = T.get(freedom).copied().unwrap_or(1.96 + (1.96_f64.powi(3) + 1.96) / (4.0 * df));
    normal_below(-t * (float(n as u64) / df).sqrt())
}

/// The standard normal distribution function for `x` at most 0 (Abramowitz and Stegun 26.2.17, error below
/// 7.5e-8).
fn normal_below(x: f64) -> f64 {
    let k = 1.0 / (1.0 - 0.231_641_9 * x);
    let polynomial = k
        * (0.319_381_530
            + k * (-0.356_563_782 + k * (1.781_477_937 + k * (-1.821_255_978 + k * 1.330_274_429))));
    (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::rand_core::Rng;

    #[test]
    fn no_values_no_interval_one_value_no_width_and_no_claim() {
        assert_eq!(Interval::of(&[], 1), None);
        assert_eq!(Interval::of(&[f64::NAN], 1), None);
        let one = Interval::of(&[5.0], 1).unwrap();
        assert_eq!((one.mean, one.low, one.high, one.blocks), (5.0, 5.0, 5.0, 1));
        assert!(!one.shows_difference());
        assert!(!Interval::of(&[5.0; 5], 1).unwrap().shows_difference(), "five blocks are too few");
        assert!(Interval::of(&[5.0; 6], 1).unwrap().shows_difference());
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        assert_eq!(Interval::of(&values, 7), Interval::of(&values, 7));
        assert_ne!(Interval::of(&values, 7), Interval::of(&values, 8));
    }

    #[test]
    fn an_interval_that_holds_0_shows_nothing() {
        assert!(!Interval::of(&[-1.0, 1.0, -2.0, 2.0, -1.0, 1.5], 1).unwrap().shows_difference());
        assert!(Interval::of(&[-1.0, -1.2, -0.9, -1.1, -1.0, -1.3], 1).unwrap().shows_difference());
    }

    /// Twelve uniform numbers less 6 are normal enough.
    fn normal(rng: &mut Pcg64Mcg) -> f64 {
        (0..12).map(|_| float(rng.next_u64() >> 12) / 2_f64.powi(52)).sum::<f64>() - 6.0
    }

    #[test]
    fn an_interval_of_95_percent_holds_the_truth_about_that_often() {
        let mut rng = Pcg64Mcg::seed_from_u64(11);
        for blocks in [8, 12, 20] {
            let rounds = 1000_u64;
            let hits = (0..rounds)
                .filter(|round| {
                    let values: Vec<f64> = (0..blocks).map(|_| 10.0 + normal(&mut rng)).collect();
                    let interval = Interval::resampled(&values, *round, 1000).unwrap();
                    interval.low <= 10.0 && 10.0 <= interval.high
                })
                .count();
            // 95 % of 1000 with a standard deviation of 7.
            assert!((925..=975).contains(&hits), "{blocks} blocks: {hits} of {rounds}");
        }
    }

    #[test]
    fn known_tails() {
        assert!((normal_below(-1.96) - 0.025).abs() < 1e-5);
        assert!((normal_below(0.0) - 0.5).abs() < 1e-6);
        assert!((tail(1000) - 0.025).abs() < 3e-4, "large samples need no widening");
        assert!(tail(6) < 0.01 && tail(2) < 1e-6);
    }

    #[test]
    fn medians() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).abs() < 1e-12);
    }
}
