//! How a figure grows with the length of a list, by a stated rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figure::unit::{float, ratio};

/// Exponents up to this are called constant.
const CONSTANT: f64 = 0.15;
/// Exponents from this on are called linear.
const LINEAR: f64 = 0.85;

/// How a figure grows: the exponent of the length that takes its first value to its last,
/// `ln(last / first) / ln(longest / shortest)`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Growth {
    /// Shortest list.
    pub from: u64,
    /// Longest.
    pub to: u64,
    /// The last figure over the first.
    pub factor: f64,
    /// The exponent.
    pub exponent: f64,
}

impl Growth {
    /// Of lengths and figures; `None` without two lengths and positive figures.
    #[must_use]
    pub fn of(figures: &[(u64, f64)]) -> Option<Self> {
        let first = figures.iter().min_by_key(|(length, _)| *length)?;
        let last = figures.iter().max_by_key(|(length, _)| *length)?;
        if first.0 == 0 || first.0 == last.0 || first.1 <= 0.0 || last.1 <= 0.0 {
            return None;
        }
        let factor = ratio(last.1, first.1);
        let exponent = factor.ln() / ratio(float(last.0), float(first.0)).ln();
        Some(Self { from: first.0, to: last.0, factor, exponent })
    }

    /// What it is called, with the numbers it is called so by.
    #[must_use]
    pub fn name(&self) -> String {
        let times = ratio(float(self.to), float(self.from));
        let figures = format!("×{:.2} over ×{times:.0}, exponent {:.2}", self.factor, self.exponent);
        match self.exponent {
            e if e.abs() <= CONSTANT => format!("constant ({figures})"),
            e if (LINEAR..=2.0 - LINEAR).contains(&e) => format!("linear in the list ({figures})"),
            e if (CONSTANT..LINEAR).contains(&e) => format!("less than linear ({figures})"),
            _ => figures,
        }
    }
}

/// The rule, for the report.
#[must_use]
pub fn rule() -> String {
    format!(
        "growth is ln(figure at the longest list / at the shortest) / ln(longest / shortest): up to {CONSTANT} is called constant, {LINEAR} to {:.2} linear, what is between these less than linear, anything else is only shown",
        2.0 - LINEAR
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_rule() {
        let named = |figures: &[(u64, f64)]| Growth::of(figures).unwrap().name();
        assert!(named(&[(100, 32.0), (1000, 33.0), (10_000, 34.0)]).starts_with("constant (×1.06 over ×100"));
        assert!(named(&[(100, 70.0), (10_000, 5_000.0)]).starts_with("linear in the list (×71.43"));
        assert!(
            named(&[(100, 10.0), (10_000, 100.0)])
                .starts_with("less than linear (×10.00 over ×100, exponent 0.50")
        );
        assert!(named(&[(100, 1.0), (10_000, 10_000.0)]).starts_with('×'), "quadratic is not linear");
        for nothing in [&[][..], &[(5, 1.0)], &[(1, 0.0), (2, 1.0)], &[(0, 1.0), (2, 1.0)]] {
            assert_eq!(Growth::of(nothing), None);
        }
    }

    proptest! {
        #[test]
        fn a_power_is_its_exponent(exponent in -1.0_f64..2.0, scale in 0.1_f64..1e6) {
            let figures: Vec<(u64, f64)> =
                [100, 1000, 10_000].iter().map(|l| (*l, scale * float(*l).powf(exponent))).collect();
            prop_assert!((Growth::of(&figures).unwrap().exponent - exponent).abs() < 1e-6);
        }
    }
}
