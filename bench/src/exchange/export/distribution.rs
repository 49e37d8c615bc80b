//! `.hgrm`: what `HdrHistogram`'s `outputPercentileDistribution` writes, which its plotter reads.

use std::fmt::Write as _;

use super::samples::Samples;
use crate::figure::unit::{Clock, float, ratio};

/// Ticks a halving of the distance to 100 %, as the format's writers have it by default.
const TICKS: u32 = 5;

pub(super) fn hgrm(samples: &Samples<'_>, clock: Clock) -> Vec<u8> {
    let histogram = samples.histogram;
    let all = float(histogram.len());
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut count = 0;
    // Writing to a string cannot fail.
    for step in histogram.iter_quantiles(TICKS) {
        count += step.count_since_last_iteration();
        let (value, quantile) = (clock.figure(float(step.value_iterated_to())), ratio(float(count), all));
        let _ = write!(text, "{value:12.3} {quantile:2.12} {count:10}");
        let _ = match count < histogram.len() {
            true => writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)),
            false => writeln!(text),
        };
        if count == histogram.len() {
            break;
        }
    }
    let [mean, deviation, most] =
        [histogram.mean(), histogram.stdev(), float(histogram.max())].map(|ticks| clock.figure(ticks));
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {most:12.3}, Total count    = {:12}]", histogram.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", 64, 2048);
    text.into_bytes()
}
