//! Wilcoxon's signed ranks: how likely so many blocks on one side are by chance, and which shifts the same test accepts.
//!
//! If two cells are the same, every pattern of signs of their differences is as likely as any other. The statistic is how
//! many pairs of blocks, each block with itself too, have a mean on one side of 0; it is the sum of the ranks on that side
//! (Tukey 1949). A block that is far off is in as many pairs as there are blocks, however far off it is: it has a
//! weight that is bounded. The shifts that the test accepts lie between two of the sorted means of pairs, and the middle
//! one is the estimate (Hodges and Lehmann 1963), so that interval, estimate and test are one thing.
//!
//! R gives the same by `wilcox.test(values, conf.int = TRUE)`, but for ties: there a pair whose mean is 0 counts for both
//! sides here, which errs to *no difference*.

use statrs::distribution::{ContinuousCDF, Normal};

use super::unit::{float, ratio};

/// The most blocks of which all patterns of signs are counted; of more the sum of ranks is normal enough.
const EXACT: usize = 50;

/// Values in their order, and what chance makes of so many.
pub(super) struct Ranks {
    sorted: Vec<f64>,
    chance: Chance,
}

impl Ranks {
    /// Of at least one value, all of them numbers.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { sorted, chance: Chance::of(values.len()) }
    }

    /// The middle of the means of all pairs.
    pub(super) fn middle(&self) -> f64 {
        let pairs = pairs(self.sorted.len());
        f64::midpoint(self.mean_of_pair(pairs.div_ceil(2)), self.mean_of_pair(pairs / 2 + 1))
    }

    /// The least and the largest shift that a test of this level accepts; `None` if so few values exclude none.
    pub(super) fn accepted(&self, level: f64) -> Option<(f64, f64)> {
        let few = self.chance.critical(level)?;
        Some((self.mean_of_pair(few + 1), self.mean_of_pair(pairs(self.sorted.len()) - few)))
    }

    /// How likely as few pairs on the side that has fewer are, if there is no difference.
    pub(super) fn p(&self) -> f64 {
        let not_above = self.pairs_while(|mean| mean <= 0.0);
        let not_below = pairs(self.sorted.len()) - self.pairs_while(|mean| mean < 0.0);
        self.chance.p(not_above.min(not_below))
    }

    /// How many pairs have a mean of which `is` holds, which holds of all that are less than one of which it does.
    fn pairs_while(&self, is: impl Fn(f64) -> bool) -> u64 {
        let mut partners = self.sorted.len();
        let of = |(at, value): (usize, &f64)| {
            while partners > at && !is(f64::midpoint(*value, self.sorted[partners - 1])) {
                partners -= 1;
            }
            partners.saturating_sub(at) as u64
        };
        self.sorted.iter().enumerate().map(of).sum()
    }

    /// The mean of a pair, by its place among the sorted ones, from 1 on. There may be 50 million: they are never made.
    fn mean_of_pair(&self, place: u64) -> f64 {
        let ends = [self.sorted[0], self.sorted[self.sorted.len() - 1]].map(rank);
        let is_there = |at: i64| self.pairs_while(|mean| rank(mean) <= at) >= place;
        unrank(first(ends[0], ends[1], is_there))
    }
}

/// What is shown by a test of this level with so many blocks is so by chance this often; `None` if nothing is shown by
/// them. There are only so many sums of ranks: it is less than the level.
pub(super) fn attained(blocks: usize, level: f64) -> Option<f64> {
    let chance = Chance::of(blocks);
    chance.critical(level).map(|few| chance.p(few))
}

/// How many pairs there are, each value with itself too.
const fn pairs(values: usize) -> u64 {
    let values = values as u64;
    values * (values + 1) / 2
}

/// How many pairs lie on one side of 0 by chance alone.
enum Chance {
    /// The share of patterns with at most so many, by their number.
    Counted(Vec<f64>),
    /// The same of many blocks.
    Normal { distribution: Normal, pairs: u64 },
}

impl Chance {
    fn of(blocks: usize) -> Self {
        let (pairs, n) = (pairs(blocks), float(blocks as u64));
        let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
        match Normal::new(float(pairs) / 2.0, deviation) {
            Ok(distribution) if blocks > EXACT => Self::Normal { distribution, pairs },
            _ => Self::Counted(shares(blocks)),
        }
    }

    /// Both sides together.
    fn p(&self, few: u64) -> f64 {
        let share = match self {
            Self::Counted(shares) => usize::try_from(few).ok().and_then(|few| shares.get(few)).copied(),
            // A whole number stands for what is half a step around it.
            Self::Normal { distribution, .. } => Some(distribution.cdf(float(few) + 0.5)),
        };
        (2.0 * share.unwrap_or(1.0)).min(1.0)
    }

    /// The most pairs on one side that a test of this level calls too few; `None` if not even none are.
    fn critical(&self, level: f64) -> Option<u64> {
        let pairs = match self {
            Self::Counted(shares) => shares.len() as u64,
            Self::Normal { pairs, .. } => *pairs,
        };
        let is_enough = |few: i64| self.p(few.unsigned_abs()) > level;
        first(0, pairs.cast_signed(), is_enough).unsigned_abs().checked_sub(1)
    }
}

/// Of all patterns of signs the share with a sum of ranks of at most 0, 1, 2 …
fn shares(blocks: usize) -> Vec<f64> {
    let most = blocks * (blocks + 1) / 2;
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    for rank in 1..=blocks {
        // The rank is on the other side, or on this one.
        for sum in (rank..=most).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let patterns: f64 = ways.iter().sum();
    let so_far = |sum: &mut f64, ways: f64| {
        *sum += ways;
        Some(ratio(*sum, patterns))
    };
    ways.into_iter().scan(0.0, so_far).collect()
}

/// The first number for which `is` holds, of those from `low` to `high`; `high` if it holds for none before.
fn first(mut low: i64, mut high: i64, is: impl Fn(i64) -> bool) -> i64 {
    while low < high {
        // Rounded towards 0, which may be `high`.
        let middle = low.midpoint(high).min(high - 1);
        if is(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Floating-point numbers in their order, as whole numbers without gaps.
const fn rank(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The number of a [`rank`].
const fn unrank(rank: i64) -> f64 {
    let bits = if rank < 0 { rank ^ i64::MAX } else { rank };
    f64::from_bits(bits.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hollander and Wolfe, Nonparametric Statistical Methods, table 3.1: depression before and after a tranquilizer. They, and R's
    /// `wilcox.test(x, y, paired = TRUE, conf.int = TRUE)`, have 40 for the statistic, p = 0.03906, 0.46 and
    /// [0.010, 0.786].
    #[test]
    #[expect(clippy::approx_constant, reason = "measured, and no constant")]
    fn a_published_example_comes_out_as_published() {
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let less: Vec<f64> = before.iter().zip(after).map(|(before, after)| before - after).collect();
        let ranks = Ranks::of(&less);
        assert_eq!(45 - ranks.pairs_while(|mean| mean < 0.0), 40);
        let (low, high) = ranks.accepted(0.05).unwrap();
        for (is, known) in [(ranks.p(), 0.039_062_5), (ranks.middle(), 0.46), (low, 0.010), (high, 0.786)] {
            assert!((is - known).abs() < 1e-9, "{is} for {known}");
        }
    }

    /// As tables of the test print them, for 5 % and for 1 % on both sides together.
    #[test]
    fn critical_values_are_those_of_the_tables() {
        let known = [
            (5, None, None),
            (6, Some(0), None),
            (7, Some(2), None),
            (8, Some(3), Some(0)),
            (10, Some(8), Some(3)),
            (12, Some(13), Some(7)),
            (16, Some(29), Some(19)),
            (20, Some(52), Some(37)),
            (25, Some(89), Some(68)),
            (50, Some(434), Some(373)),
        ];
        for (blocks, five, one) in known {
            let chance = Chance::of(blocks);
            assert_eq!((chance.critical(0.05), chance.critical(0.01)), (five, one), "{blocks} blocks");
        }
        assert!(attained(8, 0.05).is_some_and(|level| (level - 10.0 / 256.0).abs() < 1e-12));
    }

    #[test]
    fn beyond_what_is_counted_the_normal_distribution_takes_over() {
        let counted = Chance::Counted(shares(80));
        for few in [700, 900, 1100, 1300, 1500] {
            let (exact, normal) = (counted.p(few), Chance::of(80).p(few));
            // In the tail it errs to the larger: sums of ranks have no tail beyond their largest.
            assert!(normal > 0.99 * exact && normal - exact < 1e-3, "{few}: {exact} and {normal}");
        }
    }

    /// Every pattern of signs by itself.
    fn enumerated(values: &[f64]) -> f64 {
        let pairs_above = |signed: &[f64]| {
            let mut above = 0_i32;
            for (at, one) in signed.iter().enumerate() {
                above +=
                    i32::try_from(signed[at..].iter().filter(|other| one + **other > 0.0).count()).unwrap();
            }
            above
        };
        let half = f64::from(i32::try_from(pairs(values.len())).unwrap()) / 2.0;
        let far = |signed: &[f64]| (f64::from(pairs_above(signed)) - half).abs();
        let patterns = 1_u32 << values.len();
        let as_far = (0..patterns).filter(|pattern| {
            let sign = |at: usize| if pattern >> at & 1 == 1 { -1.0 } else { 1.0 };
            let signed: Vec<f64> = values.iter().enumerate().map(|(at, value)| sign(at) * value).collect();
            far(&signed) >= far(values)
        });
        ratio(float(as_far.count() as u64), f64::from(patterns))
    }

    proptest! {
        #[test]
        fn it_is_what_all_patterns_of_signs_give(values in proptest::collection::vec(-9.0_f64..9.0, 1..9)) {
            prop_assert!((Ranks::of(&values).p() - enumerated(&values)).abs() < 1e-9);
        }

        #[test]
        fn a_pair_is_where_sorting_puts_it(values in proptest::collection::vec(-9_i32..9, 1..20)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut means: Vec<f64> = Vec::new();
            for (at, one) in values.iter().enumerate() {
                means.extend(values[at..].iter().map(|other| f64::midpoint(*one, *other)));
            }
            means.sort_by(f64::total_cmp);
            let ranks = Ranks::of(&values);
            for (mean, place) in means.iter().zip(1..) {
                prop_assert!((ranks.mean_of_pair(place) - mean).abs() < 1e-12);
            }
        }

        /// What is accepted excludes 0 where the test does, and nowhere else; ties and zeroes too.
        #[test]
        fn interval_and_test_are_one_thing(
            values in proptest::collection::vec(-4_i32..12, 1..70),
            level in prop_oneof![Just(0.05), Just(0.01), Just(0.002)],
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let ranks = Ranks::of(&values);
            let excludes = ranks.accepted(level).is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            prop_assert_eq!(excludes, ranks.p() <= level);
            if let Some((low, high)) = ranks.accepted(level) {
                prop_assert!(low <= ranks.middle() && ranks.middle() <= high);
            }
        }

        #[test]
        fn it_follows_a_shift_and_a_scale(
            values in proptest::collection::vec(-9.0_f64..9.0, 6..30),
            shift in -50.0_f64..50.0,
            scale in 0.01_f64..100.0,
        ) {
            let moved: Vec<f64> = values.iter().map(|value| shift + scale * value).collect();
            let [of, of_moved] = [&values, &moved].map(|values| Ranks::of(values));
            let close = |is: f64, known: f64| (is - known).abs() < 1e-9 * (1.0 + known.abs());
            let ([low, high], [low_moved, high_moved]) =
                (of.accepted(0.05).map(|(a, b)| [a, b]).unwrap(), of_moved.accepted(0.05).map(|(a, b)| [a, b]).unwrap());
            prop_assert!(close(of_moved.middle(), shift + scale * of.middle()));
            prop_assert!(close(low_moved, shift + scale * low) && close(high_moved, shift + scale * high));
        }

        /// However far off one of twelve blocks is, the difference that the others show is shown.
        #[test]
        fn one_block_decides_nothing(off in -1e12_f64..1e12) {
            let mut values: Vec<f64> = (0..11).map(|n| 5.0 + 0.1 * f64::from(n)).collect();
            values.push(off);
            let ranks = Ranks::of(&values);
            prop_assert!(ranks.p() <= 0.05 && (5.0..=6.1).contains(&ranks.middle()));
        }
    }
}
