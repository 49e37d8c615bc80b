//! Every chart of a run: the experiment's own, and what is drawn of every experiment that has it.

use crate::archive::Archive;
use crate::figure::chart::Chart;
use crate::figure::{curve, tail};
use crate::report::summary::Shown;

/// The experiment's own charts, then memory over time and tails.
#[must_use]
pub fn charts(archive: &Archive, shown: &Shown) -> Vec<Chart> {
    let own = shown.found.charts(archive);
    own.into_iter().chain(memory(shown)).chain(tails(archive, shown)).collect()
}

/// Memory over time, if there are curves.
#[must_use]
pub fn memory(shown: &Shown) -> Option<Chart> {
    let curves = shown.found.curves();
    let drawn = curves.into_iter().filter(|series| !series.points.is_empty()).collect::<Vec<_>>();
    let title = format!("{}: memory over time", shown.summary.plan.name);
    let watched = "Of the first trial of each transport; the host's view is read from outside, at intervals.";
    (!drawn.is_empty()).then(|| Chart { caveats: vec![watched.to_owned()], ..curve::chart(&title, &drawn) })
}

/// Distributions by nines, if there are any.
#[must_use]
pub fn tails(archive: &Archive, shown: &Shown) -> Option<Chart> {
    let tails = shown.found.tails();
    let title = format!("{}: by percentile", shown.summary.plan.name);
    let has_points = tails.iter().any(|tail| !tail.points.is_empty());
    has_points.then(|| tail::chart(&title, archive.unit(), &tails))
}
