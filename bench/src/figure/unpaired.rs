//! How sure a difference is between blocks that are no pairs: two runs, each with blocks of its own.
//!
//! If two runs measure the same, which of the blocks are the one's and which the other's is chance: every way to deal
//! them out is as likely as any other. A difference is shown if few ways have means as far apart as those that were
//! measured (Fisher's permutation test; all ways up to `EXACT`, a seeded sample of them beyond). The interval holds
//! every shift that the same test does not reject at 5 %: it supposes that the runs scatter alike but for the shift. *Different*
//! takes the level of every other comparison ([`SHOWN`]).
//!
//! What the test cannot know is whether the machine was the same: drift between two runs is a difference like any other.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::interval::{ALPHA, Interval, SHOWN, Sampling};
use super::unit::{float, ratio};

/// The most ways to deal blocks out that are all gone through: those of ten and ten are.
const EXACT: u64 = 200_000;
/// Ways that are drawn where there are more.
const DRAWN: usize = 20_000;
/// Halvings in the search for an end of an interval.
const HALVINGS: usize = 30;

/// How much more the mean of `new` is than that of `old`, with its interval; `None` without values on either side, or if
/// one is no number. Of counted figures the ends are the least and the largest difference of any two blocks.
#[must_use]
pub fn shift(old: &[f64], new: &[f64], how: Sampling) -> Option<Interval> {
    let is_no_number = |value: &f64| !value.is_finite();
    if old.is_empty() || new.is_empty() || old.iter().chain(new).any(is_no_number) {
        return None;
    }
    let (mean, blocks) = (average(new) - average(old), old.len() + new.len());
    let ([least_old, most_old], [least_new, most_new]) = (ends(old), ends(new));
    let apart =
        Interval { middle: mean, low: least_new - most_old, high: most_new - least_old, blocks, p: None };
    let Sampling::Drawn { seed } = how else { return Some(apart) };
    let deals = Deals::of(old, new, seed);
    // Beyond this no shift is accepted unless all are: the means of any other deal are closer by two blocks at the least.
    let furthest = 4.0 * float(blocks as u64) * (apart.high - apart.low).max(f64::MIN_POSITIVE);
    let reach = |side: f64| {
        let (mut inside, mut outside) = (0.0, furthest);
        if deals.p(mean + side * outside) > ALPHA {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(inside, outside);
            if deals.p(mean + side * middle) > ALPHA { inside = middle } else { outside = middle }
        }
        Some(mean + side * outside)
    };
    Some(Interval {
        low: reach(-1.0).unwrap_or(apart.low),
        high: reach(1.0).unwrap_or(apart.high),
        p: Some(deals.p(0.0)),
        ..apart
    })
}

/// Whether so many blocks on each side are enough to show any difference, and for an interval of 95 %: of three and three
/// even the furthest apart are so by chance one time in ten.
#[must_use]
pub fn are_enough(old: usize, new: usize) -> bool {
    // If both sides are as many, the opposite deal has means as far apart.
    let as_far = if old == new { 2.0 } else { 1.0 };
    as_far <= SHOWN * float(deals(old, new))
}

/// Ways to deal blocks out to two sides; at the most [`u64::MAX`].
fn deals(old: usize, new: usize) -> u64 {
    let (few, all) = (old.min(new) as u64, (old + new) as u64);
    (1..=few).try_fold(1_u64, |ways, at| Some(ways.checked_mul(all - few + at)? / at)).unwrap_or(u64::MAX)
}

/// The difference of the means in every way to deal blocks out, in a form from which that of shifted blocks follows.
struct Deals {
    /// The difference, and how much of a shift of the new blocks is in it. The first is the one that was measured.
    apart: Vec<(f64, f64)>,
}

impl Deals {
    fn of(old: &[f64], new: &[f64], seed: u64) -> Self {
        let values: Vec<f64> = new.iter().chain(old).copied().collect();
        let of_deal = |dealt: &[usize]| {
            let (mut to_new, mut shifted) = (0.0, 0.0);
            for at in dealt {
                to_new += values[*at];
                shifted += if *at < new.len() { 1.0 } else { 0.0 };
            }
            let (new, old) = (float(new.len() as u64), float(old.len() as u64));
            let rest = |sum: f64, part: f64| ratio(part, new) - ratio(sum - part, old);
            (rest(values.iter().sum(), to_new), rest(new, shifted))
        };
        let mut dealt: Vec<usize> = (0..new.len()).collect();
        let mut apart = vec![of_deal(&dealt)];
        if deals(old.len(), new.len()) <= EXACT {
            while next(&mut dealt, values.len()) {
                apart.push(of_deal(&dealt));
            }
        } else {
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let mut all: Vec<usize> = (0..values.len()).collect();
            for _ in 1..DRAWN {
                deal(&mut all, new.len(), &mut rng);
                apart.push(of_deal(&all[..new.len()]));
            }
        }
        Self { apart }
    }

    /// The share of ways in which the means are as far apart as those measured, the new blocks less `shift`.
    fn p(&self, shift: f64) -> f64 {
        let far = (self.apart[0].0 - shift).abs();
        // Sums in another order differ in their last digits.
        let far = far - 1e-9 * (far + shift.abs());
        let as_far = self.apart.iter().filter(|(apart, part)| (apart - shift * part).abs() >= far).count();
        ratio(float(as_far as u64), float(self.apart.len() as u64))
    }
}

/// The next choice of as many of the first `all` numbers, in their order; `false` after the last.
fn next(chosen: &mut [usize], all: usize) -> bool {
    let many = chosen.len();
    let Some(at) = (0..many).rev().find(|at| chosen[*at] < all - many + at) else { return false };
    chosen[at] += 1;
    for later in at + 1..many {
        chosen[later] = chosen[later - 1] + 1;
    }
    true
}

/// Puts `many` of them in front, any as likely as any other.
fn deal(all: &mut [usize], many: usize, rng: &mut Pcg64Mcg) {
    for at in 0..many {
        let left = (all.len() - at) as u64;
        #[expect(clippy::cast_possible_truncation, reason = "below the number of blocks")]
        let other = at + (rng.next_u64() % left) as usize;
        all.swap(at, other);
    }
}

fn average(values: &[f64]) -> f64 {
    ratio(values.iter().sum(), float(values.len() as u64))
}

fn ends(values: &[f64]) -> [f64; 2] {
    let start = [f64::INFINITY, f64::NEG_INFINITY];
    values.iter().fold(start, |[least, most], value| [least.min(*value), most.max(*value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Sampling = Sampling::Drawn { seed: 1 };

    fn of(old: &[f64], new: &[f64]) -> Interval {
        shift(old, new, HOW).unwrap()
    }

    #[test]
    fn without_values_nothing_is_said_and_of_few_no_difference() {
        assert_eq!(shift(&[], &[1.0], HOW), None);
        assert_eq!(shift(&[1.0], &[f64::NAN], HOW), None);
        let few = of(&[1.0, 1.1, 1.2], &[5.0, 5.1, 5.2]);
        assert!((few.p.unwrap() - 0.1).abs() < 1e-12 && !few.shows_difference(), "{few:?}");
        assert_eq!(
            [(3, 3), (3, 4), (4, 4), (2, 10)].map(|(old, new)| are_enough(old, new)),
            [false, true, true, true]
        );
        assert_eq!([deals(4, 4), deals(10, 10), deals(500, 500)], [70, 184_756, u64::MAX]);
    }

    /// Of four and four that do not overlap, two of the 70 deals are as far apart; of three of the larger of four and
    /// five, one of 126.
    #[test]
    fn known_probabilities() {
        let old = [1.0, 2.0, 3.0, 4.0];
        let apart = of(&old, &[5.0, 6.0, 7.0, 9.0]);
        assert!((apart.p.unwrap() - 2.0 / 70.0).abs() < 1e-12 && apart.shows_difference(), "{apart:?}");
        assert!((of(&old, &[50.0, 60.0, 70.0, 80.0, 90.0]).p.unwrap() - 1.0 / 126.0).abs() < 1e-12);
        assert!((of(&old, &old).p.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn counted_figures_are_not_tested() {
        let counted = shift(&[10.0, 11.0], &[12.0, 12.0], Sampling::Counted).unwrap();
        assert_eq!((counted.middle, counted.low, counted.high, counted.p), (1.5, 1.0, 2.0, None));
    }

    /// Twelve uniform numbers less 6 are normal enough.
    fn normal(rng: &mut Pcg64Mcg) -> f64 {
        (0..12).map(|_| float(rng.next_u64() >> 12) / 2_f64.powi(52)).sum::<f64>() - 6.0
    }

    fn skewed(rng: &mut Pcg64Mcg) -> f64 {
        normal(rng).exp()
    }

    #[test]
    fn an_interval_and_its_test_say_the_same() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        for (many, fewer) in [(4, 4), (8, 8), (8, 5), (16, 12)] {
            for _ in 0..60 {
                let old: Vec<f64> = (0..many).map(|_| normal(&mut rng)).collect();
                let new: Vec<f64> = (0..fewer).map(|_| 1.0 + normal(&mut rng)).collect();
                let interval = of(&old, &new);
                let excludes = interval.low > 0.0 || interval.high < 0.0;
                assert_eq!(excludes, interval.p.unwrap() <= ALPHA, "{old:?} {new:?}: {interval:?}");
            }
        }
    }

    #[test]
    fn like_runs_are_called_different_one_time_in_twenty_four_and_intervals_hold_the_truth() {
        let mut rng = Pcg64Mcg::seed_from_u64(11);
        for draw in [normal, skewed] {
            for (many, fewer) in [(5, 5), (8, 8), (12, 14)] {
                let rounds = 400;
                let (mut called, mut holds) = (0, 0);
                for seed in 0..rounds {
                    let mut blocks = |many: usize| (0..many).map(|_| draw(&mut rng)).collect::<Vec<_>>();
                    let (old, new) = (blocks(many), blocks(fewer));
                    let interval = shift(&old, &new, Sampling::Drawn { seed }).unwrap();
                    called += usize::from(interval.shows_difference());
                    holds += usize::from(interval.low <= 0.0 && 0.0 <= interval.high);
                }
                // One in 24 of 400 with a standard deviation of 3.9.
                assert!(called <= 28, "{many} and {fewer} blocks: {called} of {rounds}");
                assert!(holds >= 368, "{many} and {fewer} blocks: {holds} of {rounds}");
            }
        }
    }

    #[test]
    fn what_is_drawn_follows_from_the_seed_and_is_near_what_is_exact() {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let mut blocks = |many: usize, by: f64| (0..many).map(|_| by + normal(&mut rng)).collect::<Vec<_>>();
        let (old, new) = (blocks(14, 0.0), blocks(14, 1.0));
        let drawn = |seed| shift(&old, &new, Sampling::Drawn { seed }).unwrap();
        assert_eq!(drawn(7), drawn(7));
        assert!((drawn(7).p.unwrap() - drawn(8).p.unwrap()).abs() < 0.01);
    }
}
