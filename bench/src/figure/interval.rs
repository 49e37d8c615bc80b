//! How sure a difference is: an exact test over blocks, and the interval that goes with it.
//!
//! Blocks are the unit: within a block the cells ran close together on the same pages, so that their difference is free
//! of what drifts from block to block. If two cells are the same, the sign of their difference in a block is chance, and
//! every pattern of signs is as likely as any other: a difference is shown if few patterns have the blocks as much on one
//! side of 0 as they were measured (Wilcoxon's signed-rank test, `ranks.rs`). The interval holds every shift that the same
//! test does not reject at 5 %, and the estimate is its middle one. One block that is far off moves neither far, which a
//! mean does not forget (docs/decisions/0024 has the figures). *Different* takes a little more than an interval beside 0
//! ([`SHOWN`], docs/decisions/0025). The test supposes that differences scatter alike to both sides,
//! as those of two like cells do; of a figure that is skewed by itself it holds the middle less often (docs/method.md says
//! how often).
//!
//! Where instructions are counted nothing is drawn: the same run gives the same counts, and what blocks differ by is
//! their pages. There the ends are the least and the largest block ([`Sampling::Counted`]), and no test is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ranks::Ranks;
use super::unit::{float, ratio};

/// What an interval leaves out.
pub const ALPHA: f64 = 0.05;
/// How unlikely the blocks of like things are that are called different. It is [`ALPHA`] that is promised, of like things that are
/// counted; a test that errs just so often breaks that promise in nearly every other count (docs/decisions/0025).
pub const SHOWN: f64 = 1.0 / 24.0;
/// Differences below this share of what they are held against do not matter.
pub const MARGIN: f64 = 0.05;
/// By how much the test is stricter of a run that stopped when its intervals were narrow: `run/sequential.rs` simulates it.
const STRICTER: f64 = 5.0 / 3.0;

/// Where the figures of a run come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// They were measured, and would come out differently again.
    Drawn {
        /// From which what is drawn at random follows.
        seed: u64,
    },
    /// They were measured, until the intervals were narrow: the test is stricter, which keeps the error rate.
    Stopped {
        /// The same.
        seed: u64,
    },
    /// They were counted, and come out the same again.
    Counted,
}

impl Sampling {
    /// What an error rate is held to, so that it is [`ALPHA`] in the end.
    #[must_use]
    pub fn level(self) -> f64 {
        match self {
            Self::Drawn { .. } | Self::Counted => ALPHA,
            Self::Stopped { .. } => ALPHA / STRICTER,
        }
    }

    /// The same of what is called different, so that it is [`SHOWN`].
    #[must_use]
    pub fn level_shown(self) -> f64 {
        self.level() * (SHOWN / ALPHA)
    }
}

/// A figure with its interval.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The middle of the means of any two blocks (Hodges and Lehmann), which a block that is far off does not move far; of
    /// counts the mean over blocks, and between two runs (`unpaired.rs`) the difference of their means.
    pub middle: f64,
    /// Lower end: of a measured figure of its 95 % interval, of a counted one the least block.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Blocks it rests on.
    pub blocks: usize,
    /// How likely blocks that are as much on one side of 0 are if there is no difference, corrected for the comparisons of its table if it
    /// stands in one; absent of a counted figure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p: Option<f64>,
}

/// What can be said of two cells by the interval of their difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They differ.
    Different,
    /// They differ by less than the margin.
    Equal,
    /// Neither is shown.
    CannotSay,
}

impl Verdict {
    /// In a word or three.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Equal => "equal",
            Self::CannotSay => "cannot say",
        }
    }
}

impl Interval {
    /// The middle of values, one a block, with its interval; `None` without values, or if one is no number. The same values
    /// give the same interval.
    #[must_use]
    pub fn of(values: &[f64], how: Sampling) -> Option<Self> {
        let blocks = values.len();
        if blocks == 0 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        // The spread of the blocks stands in where so few blocks exclude no shift at all; nothing is shown by it.
        let spread = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        if how == Sampling::Counted {
            let middle = ratio(values.iter().sum(), float(blocks as u64));
            return Some(Self { middle, low: spread.0, high: spread.1, blocks, p: None });
        }
        let (ranks, level) = (Ranks::of(values), how.level());
        let (low, high) = ranks.accepted(level).unwrap_or(spread);
        Some(Self {
            middle: ranks.middle(),
            low,
            high,
            blocks,
            p: Some((ranks.p() * (ALPHA / level)).min(1.0)),
        })
    }

    /// Whether there is a difference from 0, and not by chance.
    #[must_use]
    pub fn shows_difference(&self) -> bool {
        (self.low > 0.0 || self.high < 0.0) && self.p.is_none_or(|p| p <= SHOWN)
    }

    /// Whether its ends can be relied on. Those of fewer blocks than exclude any shift are only the spread of the blocks.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.blocks > 0 && (self.is_counted() || self.blocks >= blocks_for(ALPHA))
    }

    /// Differences below this do not matter, of what is held against `figure`.
    #[must_use]
    pub fn margin(figure: f64) -> f64 {
        MARGIN * figure.abs()
    }

    /// What can be said of a difference from a figure, where less than [`MARGIN`] of it does not matter.
    ///
    /// *Equal* is a test of equivalence: two one-sided tests at 2.5 % each, which is what an interval of 95 % within the
    /// margin comes to. One of 90 % would do for 5 %; the one that is shown is the one that decides, and errs to *cannot
    /// say*.
    #[must_use]
    pub fn verdict(&self, figure: f64) -> Verdict {
        let margin = Self::margin(figure);
        let within = self.low > -margin && self.high < margin;
        match (self.shows_difference(), within && self.is_known()) {
            (true, _) => Verdict::Different,
            (false, true) => Verdict::Equal,
            (false, false) => Verdict::CannotSay,
        }
    }

    /// Whether its ends are those of counts.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.p.is_none()
    }
}

/// The fewest blocks with which any of so many comparisons of a table can be shown to differ: with `n` blocks all on one
/// side, two patterns of signs of 2^n are as far from 0.
#[must_use]
pub fn blocks_needed(comparisons: usize) -> usize {
    blocks_for(ratio(SHOWN, float(comparisons.max(1) as u64)))
}

/// The fewest blocks with which a test of this level can show anything.
#[must_use]
pub fn blocks_for(level: f64) -> usize {
    let is_enough = |blocks: &i32| 0.5_f64.powi(*blocks) <= level / 2.0;
    (1..64).find(is_enough).map_or(64, |blocks| blocks.unsigned_abs() as usize)
}

/// Corrects the comparisons of one table for their number (Holm 1979): of many comparisons of like things one in twenty-four
/// would seem to differ, and with this it is one table in twenty-four that has any.
pub fn holm<'a>(table: impl IntoIterator<Item = &'a mut Interval>) {
    let table: Vec<_> = table.into_iter().collect();
    holm_of(table.len(), table);
}

/// The same of a table with the least of `cells` figures, which was looked for, against each of the others: any two of
/// them could have been the ones compared.
pub fn holm_against_least<'a>(cells: usize, table: impl IntoIterator<Item = &'a mut Interval>) {
    holm_of(pairs(cells), table.into_iter().collect());
}

/// Ways to choose two.
#[must_use]
pub const fn pairs(cells: usize) -> usize {
    cells * cells.saturating_sub(1) / 2
}

/// Of `count` comparisons, of which those of the table are some.
fn holm_of(count: usize, mut table: Vec<&mut Interval>) {
    table.sort_by(|a, b| a.p.unwrap_or_default().total_cmp(&b.p.unwrap_or_default()));
    let mut least = 0.0_f64;
    for (index, interval) in table.into_iter().enumerate() {
        if let Some(p) = &mut interval.p {
            least = least.max(*p * float(count.saturating_sub(index) as u64)).min(1.0);
            *p = least;
        }
    }
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

#[cfg(test)]
mod tests {
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::SeedableRng;

    use super::*;
    use crate::figure::random::normal;

    const DRAWN: Sampling = Sampling::Drawn { seed: 1 };

    fn of(values: &[f64]) -> Interval {
        Interval::of(values, DRAWN).unwrap()
    }

    #[test]
    fn no_values_no_interval_and_few_no_claim() {
        assert_eq!(Interval::of(&[], DRAWN), None);
        assert_eq!(Interval::of(&[f64::NAN], DRAWN), None);
        let one = of(&[5.0]);
        assert_eq!((one.middle, one.low, one.high, one.blocks), (5.0, 5.0, 5.0, 1));
        assert!(!one.shows_difference());
        assert_eq!((one.verdict(1000.0), one.is_known()), (Verdict::CannotSay, false));
        assert!(!Interval::default().is_known(), "of no blocks");
        assert!(!of(&[5.0, 5.1, 4.9, 5.0, 5.2]).is_known(), "five blocks are too few");
        let six = of(&[5.0, 5.1, 4.9, 5.0, 5.2, 5.0]);
        assert!(six.shows_difference() && six.is_known());
        // Three of 128 patterns of seven blocks are as far from 0, and their opposites: an interval beside 0, and no difference.
        let doubtful = of(&[-2.0, 3.0, 1.0, 4.0, 5.0, 6.0, 7.0]);
        assert!(doubtful.low > 0.0 && doubtful.p.is_some_and(|p| p > SHOWN) && !doubtful.shows_difference());
    }

    /// Two patterns of 64 are as far from 0 as six blocks on one side.
    #[test]
    fn known_probabilities() {
        let p = |values: &[f64]| of(values).p.unwrap();
        assert!((p(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) - 2.0 / 64.0).abs() < 1e-12);
        // One of the smallest turned: that one, the measured one and their opposites are as far.
        assert!((p(&[-1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) - 4.0 / 64.0).abs() < 1e-12);
        assert!((p(&[1.0, -1.0, 1.0, -1.0]) - 1.0).abs() < 1e-12);
        assert_eq!([blocks_needed(1), blocks_needed(2), blocks_needed(14)], [6, 7, 10]);
    }

    #[test]
    fn an_interval_and_its_test_say_the_same() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        for blocks in [6, 8, 12] {
            for _ in 0..200 {
                let values: Vec<f64> = (0..blocks).map(|_| 0.7 + normal(&mut rng)).collect();
                let interval = of(&values);
                let excludes = interval.low > 0.0 || interval.high < 0.0;
                assert_eq!(excludes, interval.p.unwrap() <= ALPHA, "{values:?}: {interval:?}");
            }
        }
    }

    /// Differences of two skewed figures: what paired blocks of a busy machine look like.
    fn difference_of_skewed(rng: &mut Pcg64Mcg) -> f64 {
        normal(rng).exp() - normal(rng).exp()
    }

    #[test]
    fn like_things_are_called_different_one_time_in_twenty_four_at_most() {
        let mut rng = Pcg64Mcg::seed_from_u64(11);
        for draw in [normal, difference_of_skewed] {
            for blocks in [6, 10, 16, 20] {
                let rounds = 600;
                let called = (0..rounds)
                    .filter(|seed| {
                        let values: Vec<f64> = (0..blocks).map(|_| draw(&mut rng)).collect();
                        Interval::of(&values, Sampling::Drawn { seed: *seed }).unwrap().shows_difference()
                    })
                    .count();
                // One in 24 of 600 with a standard deviation of 4.8.
                assert!(called <= 38, "{blocks} blocks: {called} of {rounds}");
            }
        }
    }

    #[test]
    fn an_interval_of_95_percent_holds_the_truth_about_that_often() {
        let mut rng = Pcg64Mcg::seed_from_u64(12);
        for draw in [normal, difference_of_skewed] {
            for blocks in [8, 12] {
                let holds = (0..600)
                    .filter(|_| {
                        let values: Vec<f64> = (0..blocks).map(|_| 10.0 + draw(&mut rng)).collect();
                        let interval = of(&values);
                        interval.low <= 10.0 && 10.0 <= interval.high
                    })
                    .count();
                assert!(holds >= 552, "{blocks} blocks: {holds} of 600");
            }
        }
    }

    #[test]
    fn equal_is_said_of_what_is_within_the_margin_and_nothing_else() {
        let close = of(&[0.1, -0.1, 0.2, -0.2, 0.1, -0.1, 0.05, 0.0]);
        assert_eq!(close.verdict(10.0), Verdict::Equal);
        assert_eq!(close.verdict(2.0), Verdict::CannotSay);
        // No difference is shown, and equality neither.
        let wide = of(&[-26.0, 0.0, -20.0, 1.0, -15.0, 2.0, -10.0, 0.5]);
        assert_eq!(wide.verdict(100.0), Verdict::CannotSay);
        assert_eq!(of(&[3.0, 3.1, 2.9, 3.0, 3.2, 3.1]).verdict(100.0), Verdict::Different);
    }

    #[test]
    fn the_comparisons_of_a_table_are_corrected_for_their_number() {
        let with = |p| Interval { middle: 1.0, low: 0.5, high: 1.5, blocks: 10, p: Some(p) };
        let mut table = [with(0.01), with(0.04), with(0.03)];
        holm(&mut table);
        assert_eq!(
            table.map(|interval| interval.p.map(|p| (p * 1000.0).round())),
            [30.0, 60.0, 60.0].map(Some)
        );
        assert_eq!(table.map(|interval| interval.shows_difference()), [true, false, false]);
        // The least of four against the three others: six pairs.
        let mut table = [with(0.005), with(0.02), with(0.02)];
        holm_against_least(4, &mut table);
        assert_eq!(
            table.map(|interval| interval.p.map(|p| (p * 1000.0).round())),
            [30.0, 100.0, 100.0].map(Some)
        );
    }

    #[test]
    fn counts_have_no_chance_in_them() {
        let counted = Interval::of(&[131.0, 131.0], Sampling::Counted).unwrap();
        assert_eq!((counted.low, counted.high, counted.p), (131.0, 131.0, None));
        assert!(counted.shows_difference() && counted.is_counted());
        assert!(!Interval::of(&[-1.0, 1.0], Sampling::Counted).unwrap().shows_difference());
        assert_eq!(Interval::of(&[0.0], Sampling::Counted).unwrap().verdict(20.0), Verdict::Equal);
    }

    #[test]
    fn medians() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).abs() < 1e-12);
    }
}
