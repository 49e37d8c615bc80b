//! `percentiles.csv`: every phase or tally of every cell, a line a quantile, for spreadsheets and plots.

use std::fmt::Write as _;

use host::axes::Axis;

use crate::archive::Archive;
use crate::axes::rung::Rung;
use crate::figure::unit::float;

/// What the file is called.
pub const FILE: &str = "percentiles.csv";

const QUANTILES: [f64; 14] =
    [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1.0];

/// The file of a run. No field holds a comma or a quote, so none is quoted.
#[must_use]
pub fn csv(archive: &Archive) -> String {
    let mut text = "cell,rung,discard,series,quantile,value,unit,n\n".to_owned();
    let Some(clock) = archive.trials.iter().find_map(|trial| Some(trial.counts()?.clock)) else {
        return text;
    };
    for ((cell, series), histogram) in &archive.merged.histograms {
        let (tag, rung) = (cell.tag(), cell.rung().map_or("", Rung::name));
        let unit = if series.is_time() { clock.unit().name() } else { "count" };
        for quantile in QUANTILES {
            let value = float(histogram.value_at_quantile(quantile));
            let value = if series.is_time() { clock.figure(value) } else { value };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{tag},{rung},{},{},{quantile},{value:.1},{unit},{}",
                cell.way().discard,
                series.name(),
                histogram.len()
            );
        }
    }
    text
}
