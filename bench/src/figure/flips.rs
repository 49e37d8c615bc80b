//! All patterns of signs that a set of values could have had.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::unit::{float, ratio};

/// The most blocks of which all patterns of signs are gone through.
const EXACT: usize = 16;
/// Patterns that are drawn of more blocks.
const DRAWN: usize = 20_000;

/// The sums of all patterns of signs: of a shifted set of values they follow without going through the values again.
pub(super) struct Flips {
    /// For each pattern the sum of the signed values and of the signs; half of the patterns, the others are these with
    /// both signs turned.
    sums: Vec<(f64, f64)>,
    sum: f64,
    blocks: f64,
}

impl Flips {
    pub(super) fn of(values: &[f64], seed: u64) -> Self {
        let blocks = values.len();
        let under = |pattern: u64| {
            values.iter().enumerate().fold((0.0, 0.0), |(sum, signs), (index, value)| {
                // Of more than 64 blocks the signs repeat with a pattern of their own.
                let is_turned = pattern.rotate_right(u32::try_from(index % 64).unwrap_or_default()) & 1 == 1;
                let sign = if is_turned { -1.0 } else { 1.0 };
                (sum + sign * value, signs + sign)
            })
        };
        let sums = if blocks <= EXACT {
            (0..1_u64 << (blocks - 1)).map(under).collect()
        } else {
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            // The one that was measured is a pattern too.
            (0..DRAWN).map(|drawn| under(if drawn == 0 { 0 } else { rng.next_u64() })).collect()
        };
        Self { sums, sum: values.iter().sum(), blocks: float(blocks as u64) }
    }

    /// The share of patterns whose mean is as far from 0 as that of the values less `shift`.
    pub(super) fn p(&self, shift: f64) -> f64 {
        let far = (self.sum - shift * self.blocks).abs();
        // Sums in another order differ in their last digits.
        let far = far - 1e-9 * (far + (shift * self.blocks).abs());
        let as_far = self.sums.iter().filter(|(sum, signs)| (sum - shift * signs).abs() >= far).count();
        ratio(float(as_far as u64), float(self.sums.len() as u64))
    }
}
