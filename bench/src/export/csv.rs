//! `percentiles.csv`: every phase of every cell, a line a quantile, for spreadsheets and plots.

use std::fmt::Write as _;

use crate::archive::Archive;
use crate::unit::float;

/// What the file is called.
pub const FILE: &str = "percentiles.csv";

const QUANTILES: [f64; 14] =
    [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1.0];

/// The file of a run. No field holds a comma or a quote, so none is quoted.
#[must_use]
pub fn percentiles(archive: &Archive) -> String {
    let mut text = "rung,discard,batch,order,phase,quantile,value,unit,n\n".to_owned();
    let Some((spec, measured)) =
        archive.trials.iter().find_map(|trial| Some((trial.spec, trial.measured()?)))
    else {
        return text;
    };
    let clock = measured.clock;
    for ((cell, phase), histogram) in &archive.merged.histograms {
        for quantile in QUANTILES {
            let value = clock.figure(float(histogram.value_at_quantile(quantile)));
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{quantile},{value:.1},{},{}",
                cell.label(),
                cell.discard,
                spec.batch,
                spec.order,
                crate::axis::Named(*phase),
                clock.unit(),
                histogram.len()
            );
        }
    }
    text
}
