//! A run as a file that other programs read. What each format is, and whose, is said where it is written.

mod distribution;
mod metrics;
mod rows;
mod samples;
mod trace;

use hdrhistogram::Histogram;

use crate::archive::{Archive, hlog};
use crate::exchange::cell::names;
use crate::figure::json;
use crate::figure::unit::Clock;
use crate::report::summary::Shown;
use crate::trial::spec::{Choices, Series};
pub use samples::ExportError;
use samples::Samples;

/// A format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// `HdrHistogram` interval log: a tagged line a cell and series, trials together, in ticks.
    Hlog,
    /// `HdrHistogram` percentile text of the reports of one cell, for its plotter.
    Hgrm,
    /// Comma-separated: a line a trial.
    Csv,
    /// `summary.json`, as `pagehint schema summary` documents it.
    Json,
    /// Text of Go's benchmarks, a line a trial: what benchstat reads.
    Go,
    /// `OpenMetrics` text: a summary a cell and series.
    Openmetrics,
    /// Chrome trace of one report a cell, for Perfetto: guest, vCPU's thread, device's thread.
    Trace,
}

/// A run as a file; of a cell alone, if one is named.
///
/// # Errors
/// [`ExportError`].
pub fn export(archive: &Archive, format: Format, cell: Option<&str>) -> Result<Vec<u8>, ExportError> {
    let of = archive.trials.iter().map(crate::trial::record::TrialRecord::choices);
    let choices: std::collections::BTreeSet<Choices> = of.filter(is_a_cell).collect();
    let choices: Vec<Choices> = choices.into_iter().collect();
    let known = names(&choices, Choices::tag, ".");
    if let Some(asked) = cell.filter(|asked| !known.iter().any(|name| name == asked)) {
        return Err(ExportError::NoSuchCell { asked: asked.to_owned(), known });
    }
    let is_wanted = |name: &&String| cell.is_none_or(|asked| *name == asked);
    let wanted: Vec<(Choices, String)> = choices
        .into_iter()
        .zip(&known)
        .filter(|(_, name)| is_wanted(name))
        .map(|(c, name)| (c, name.clone()))
        .collect();
    let samples = || samples(archive, &wanted);
    let clock = archive.environment.kvm.clock;
    match format {
        Format::Hlog => log(archive, &samples()),
        Format::Hgrm => {
            let reports: Vec<_> = samples().into_iter().filter(Samples::is_report).collect();
            match reports.as_slice() {
                [] => Err(ExportError::Nothing { what: "histogram of reports" }),
                [one] => Ok(distribution::hgrm(one, clock)),
                _ => Err(ExportError::OneCell { known }),
            }
        }
        Format::Csv => Ok(rows::csv(archive, &wanted).into_bytes()),
        Format::Json => Ok(json::pretty(&Shown::of(archive)?.summary).into_bytes()),
        Format::Go => Ok(rows::go(archive, &wanted).into_bytes()),
        Format::Openmetrics => Ok(metrics::text(archive, &samples()).into_bytes()),
        Format::Trace => trace::of(archive, &wanted, &samples()),
    }
}

/// Those that weigh the stopwatch are none: they measure the harness.
fn is_a_cell(choices: &Choices) -> bool {
    if let Choices::Timed(choices) = choices { choices.times_reports() } else { true }
}

fn samples<'a>(archive: &'a Archive, wanted: &[(Choices, String)]) -> Vec<Samples<'a>> {
    let of = |((choices, series), histogram): (&(Choices, Series), &'a Histogram<u64>)| {
        let (_, cell) = wanted.iter().find(|(wanted, _)| wanted == choices)?;
        Some(Samples { cell: cell.clone(), choices: *choices, series: *series, histogram })
    };
    archive.merged.histograms.iter().filter_map(of).collect()
}

fn log(archive: &Archive, samples: &[Samples<'_>]) -> Result<Vec<u8>, ExportError> {
    let Some(_) = samples.first() else { return Err(ExportError::Nothing { what: "histograms" }) };
    let ticks = match archive.environment.kvm.clock {
        Clock::Time { tsc_khz } => format!("ticks of {tsc_khz} kHz"),
        Clock::Instructions => "executed instructions".to_owned(),
    };
    let comments = [
        format!("[pagehint {}: {}]", archive.plan.name, archive.environment.host),
        format!("[one line a cell and series, trials together; values are {ticks}; nothing says when]"),
    ];
    let mut text = Vec::new();
    let tagged = samples.iter().map(|of| (format!("{}.{}", of.cell, of.series.name()), of.histogram));
    hlog::write(&mut text, &comments, tagged)?;
    Ok(text)
}
