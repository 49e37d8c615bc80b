//! The guest's tallies as histograms.

use abi::axes::Axis;
use hdrhistogram::Histogram;
use host::engine::{Bucket, Tally};

use crate::figure::quantiles::Quantiles;
use crate::figure::unit::Clock;

/// Three significant digits: the guest's buckets are 1/64 of their values wide.
const DIGITS: u8 = 3;

/// The tallies of one trial that hold anything.
#[derive(Default)]
pub struct Tallies(Vec<(Tally, Histogram<u64>)>);

impl Tallies {
    /// From the guest's buckets, in the order of [`Tally`]. All that is in a bucket counts as its largest value.
    #[must_use]
    pub fn of(buckets: &[Vec<Bucket>]) -> Self {
        let filled = Tally::ALL.iter().copied().zip(buckets).filter(|(_, buckets)| !buckets.is_empty());
        Self(filled.map(|(tally, buckets)| (tally, histogram(buckets))).collect())
    }

    /// All of them, by their tally.
    pub fn series(&self) -> impl Iterator<Item = (Tally, &Histogram<u64>)> {
        self.0.iter().map(|(tally, histogram)| (*tally, histogram))
    }
}

#[expect(clippy::expect_used, reason = "a constant number of digits, and a test makes one")]
fn histogram(buckets: &[Bucket]) -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).expect("valid precision");
    for bucket in buckets {
        // It grows as it has to; what it could not hold would be more than it can count.
        let _ = histogram.record_n(bucket.highest, bucket.count);
    }
    histogram
}

/// What a histogram of this tally shows: [`Tally::Examined`] is a number, all others are times.
#[must_use]
pub fn quantiles(tally: Tally, histogram: &Histogram<u64>, clock: Clock) -> Quantiles {
    let clock = if tally == Tally::Examined { Clock::Instructions } else { clock };
    Quantiles::of(histogram, histogram.mean(), clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_holds_is_counted_and_empty_tallies_are_left_out() {
        let mut buckets = vec![Vec::new(); Tally::ALL.len()];
        buckets[Tally::Report as usize] = vec![
            Bucket { lowest: 1000, highest: 1015, count: 3 },
            Bucket { lowest: 1 << 47, highest: (1 << 48) - 1, count: 1 },
        ];
        let tallies = Tallies::of(&buckets);
        let [(tally, histogram)] = tallies.0.as_slice() else { panic!("one tally") };
        assert_eq!((*tally, histogram.len()), (Tally::Report, 4));
        let shown = quantiles(Tally::Report, histogram, Clock::Time { tsc_khz: 1_000_000 });
        assert!((shown.p50 - 1015.0).abs() < 2.0, "{shown:?}");
        let number = quantiles(Tally::Examined, histogram, Clock::Time { tsc_khz: 2_000_000 });
        assert!((number.p50 - 1015.0).abs() < 2.0, "{number:?}");
    }
}
