//! Seeded numbers: the same seed gives the same ones on every machine.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A number below `bound`, each as likely as the others to within 2^-32 or so (multiply and shift).
pub(crate) fn below(rng: &mut Pcg64Mcg, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * bound as u128;
    #[expect(clippy::cast_possible_truncation, reason = "below `bound`, which is a usize")]
    {
        (wide >> 64) as usize
    }
}

/// Twelve uniform numbers less 6 are normal enough.
#[cfg(test)]
pub(crate) fn normal(rng: &mut Pcg64Mcg) -> f64 {
    use super::unit::float;
    (0..12).map(|_| float(rng.next_u64() >> 12) / 2_f64.powi(52)).sum::<f64>() - 6.0
}
