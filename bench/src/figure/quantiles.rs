//! A distribution as a handful of figures.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figure::unit::{Clock, float};

/// A quantile that is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Quantile {
    /// Median.
    #[serde(rename = "p50")]
    P50,
    /// 90th percentile.
    #[serde(rename = "p90")]
    P90,
    /// 99th percentile.
    #[serde(rename = "p99")]
    P99,
    /// 99.9th percentile.
    #[serde(rename = "p99.9")]
    P999,
}

impl Quantile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P999];

    /// As tables have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    /// The fewest samples of which it is not just the largest.
    #[must_use]
    pub const fn takes(self) -> u64 {
        match self {
            Self::P50 => 2,
            Self::P90 => 10,
            Self::P99 => 100,
            Self::P999 => 1000,
        }
    }
}

/// A distribution in the unit of its record or file.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// How many samples it rests on.
    pub n: u64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest.
    pub max: f64,
}

impl Quantiles {
    /// Of a histogram of ticks whose exact mean is `mean` ticks, in the unit of `clock`.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>, mean: f64, clock: Clock) -> Self {
        let at = |quantile| tenths(clock.figure(float(histogram.value_at_quantile(quantile))));
        Self {
            n: histogram.len(),
            mean: tenths(clock.figure(mean)),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: tenths(clock.figure(float(histogram.max()))),
        }
    }
}

impl Quantiles {
    /// The same distribution with every figure divided: cost a report into cost a range. Dividing figures
    /// loses nothing, dividing every sample would lose its last digits.
    #[must_use]
    pub fn over(self, ranges: u16) -> Self {
        let by = f64::from(ranges.max(1));
        let Self { n, mean, p50, p90, p99, p999, max } = self;
        Self {
            n,
            mean: mean / by,
            p50: p50 / by,
            p90: p90 / by,
            p99: p99 / by,
            p999: p999 / by,
            max: max / by,
        }
    }
}

impl Quantiles {
    /// What [`Self::figures`] are.
    pub const HEADER: [&str; 6] = ["median", "p90", "p99", "p99.9", "max", "mean"];

    /// Its figures for a table; nothing for one that it has too few samples for.
    pub fn figures(&self, show: impl Fn(f64) -> String) -> [String; 6] {
        let Self { mean, p50, p90, p99, max, .. } = *self;
        [Some(p50), Some(p90), Some(p99), self.tail(), Some(max), Some(mean)]
            .map(|figure| figure.map_or_else(String::new, &show))
    }

    /// A quantile of it, if there are samples enough for one.
    #[must_use]
    pub fn at(&self, quantile: Quantile) -> Option<f64> {
        let value = match quantile {
            Quantile::P50 => self.p50,
            Quantile::P90 => self.p90,
            Quantile::P99 => self.p99,
            Quantile::P999 => self.p999,
        };
        (self.n >= quantile.takes()).then_some(value)
    }

    /// Its 99.9th percentile, if there are samples enough for one.
    #[must_use]
    pub fn tail(&self) -> Option<f64> {
        self.at(Quantile::P999)
    }

    /// The same distribution with so much taken off every sample.
    #[must_use]
    pub fn less(self, by: f64) -> Self {
        let Self { n, mean, p50, p90, p99, p999, max } = self;
        let [mean, p50, p90, p99, p999, max] = [mean, p50, p90, p99, p999, max].map(|figure| figure - by);
        Self { n, mean, p50, p90, p99, p999, max }
    }
}

/// Rounded to a tenth: a tick is not shorter, and files are read by people.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_samples() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=1000_u64).for_each(|ticks| histogram.record(ticks).unwrap());
        let quantiles = Quantiles::of(&histogram, 500.5, Clock::Time { tsc_khz: 500_000 });
        let Quantiles { n, mean, p50, p99, max, .. } = quantiles;
        assert_eq!(n, 1000);
        for (figure, expected) in [(mean, 1001.0), (p50, 1000.0), (p99, 1980.0), (max, 2000.0)] {
            assert!((figure - expected).abs() <= 0.002 * expected, "{figure} {expected}");
        }
        assert_eq!(
            (quantiles.tail(), Quantiles { n: 999, ..quantiles }.tail()),
            (Some(quantiles.p999), None)
        );
        assert!((quantiles.over(4).p50 - p50 / 4.0).abs() < 1e-9);
        assert_eq!(
            Quantiles::of(&Histogram::new(3).unwrap(), 0.0, Clock::Time { tsc_khz: 1 }),
            Quantiles::default()
        );
        let counted = Quantiles::of(&histogram, 500.5, Clock::Instructions);
        assert!((counted.p50 - 500.0).abs() < 1e-9 && (counted.mean - 500.5).abs() < 1e-9, "{counted:?}");
    }
}
