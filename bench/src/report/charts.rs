//! Every chart of a run: the experiment's own, and what is drawn of every experiment that has it.

use crate::archive::Archive;
use crate::figure::chart::Chart;
use crate::figure::curve::{self, Series};
use crate::figure::tail;
use crate::report::summary::Shown;

/// The experiment's own charts, then memory over time and tails.
#[must_use]
pub fn charts(archive: &Archive, shown: &Shown) -> Vec<Chart> {
    let own = shown.found.charts(archive);
    own.into_iter().chain(memory_of_each(shown)).chain(tails_of_each(archive, shown)).collect()
}

/// Memory over time in one picture, if there are curves.
#[must_use]
pub fn memory(shown: &Shown) -> Option<Chart> {
    let drawn = curves(shown);
    let title = format!("{}: memory over time", shown.summary.plan.name);
    (!drawn.is_empty()).then(|| curve::chart(&title, &drawn))
}

/// The same in a picture for each name: many curves in one are not to be read.
fn memory_of_each(shown: &Shown) -> Vec<Chart> {
    let watched = "Of its first trial; the host's view is read from outside, at intervals.";
    let of = |(number, series): (usize, &[Series])| {
        let title = format!("Memory over time: {}", series.first().map_or("", |one| &one.name));
        Chart {
            id: format!("memory-{number}"),
            caveats: vec![watched.to_owned()],
            ..curve::chart(&title, series)
        }
    };
    curves(shown).chunk_by(|one, other| one.name == other.name).enumerate().map(of).collect()
}

/// The curves that have points.
#[must_use]
pub fn curves(shown: &Shown) -> Vec<Series> {
    shown.found.curves().into_iter().filter(|series| !series.points.is_empty()).collect()
}

/// Distributions by nines in a picture for each part: so many lines in one are not to be read.
fn tails_of_each(archive: &Archive, shown: &Shown) -> Vec<Chart> {
    let tails = shown.found.tails();
    let drawn: Vec<_> = tails.into_iter().filter(|tail| !tail.points.is_empty()).collect();
    let of = |(number, tails): (usize, &[tail::Tail])| {
        let part = tails.first().map_or("", |tail| &tail.part);
        let title = if part.is_empty() { &shown.summary.plan.name } else { part };
        let chart = tail::chart(&format!("{title}: by percentile"), "a sample", archive.unit(), tails);
        Chart { id: format!("percentiles-{number}"), ..chart }
    };
    drawn.chunk_by(|one, other| one.part == other.part).enumerate().map(of).collect()
}

/// Distributions by nines, if there are any.
#[must_use]
pub fn tails(archive: &Archive, shown: &Shown) -> Option<Chart> {
    let tails = shown.found.tails();
    let title = format!("{}: by percentile", shown.summary.plan.name);
    let has_points = tails.iter().any(|tail| !tail.points.is_empty());
    has_points.then(|| tail::chart(&title, "a sample", archive.unit(), &tails))
}
