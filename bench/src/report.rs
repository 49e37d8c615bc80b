//! From a run directory to everything that is derived from it.

pub mod again;
pub mod charts;
pub mod decision;
pub mod markdown;
pub mod page;
pub mod percentiles;
pub mod summary;
pub mod sure;
pub mod terminal;

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::{Archive, ArchiveError, file};
use crate::figure::chart::Chart;
use crate::figure::curve;
use crate::figure::json;
use crate::figure::tail;
use crate::plan::PlanError;
use summary::Shown;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The run is of no experiment of ours.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The report cannot be written.
    #[error("{} cannot be written: {source}; make room or give yourself the right, and call `pagehint report` again", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Everything that is derived from a run.
pub struct Report {
    /// What is printed.
    pub shown: Shown,
    /// What is written, by name: `report.md`, `report.html`, `summary.json`, `percentiles.csv`; `decision.md`, if it
    /// decides anything; and curves, if it has any.
    pub files: Vec<(&'static str, String)>,
}

impl Report {
    /// Of a run directory.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn of(directory: &Path) -> Result<Self, ReportError> {
        Ok(Self::of_run(&Archive::open(directory)?)?)
    }

    /// Of a run that has been read.
    ///
    /// # Errors
    /// [`PlanError`] if its plan is for no experiment of ours.
    pub fn of_run(archive: &Archive) -> Result<Self, PlanError> {
        let shown = Shown::of(archive)?;
        Ok(Self { files: files(archive, &shown), shown })
    }

    /// Writes its files, each as a whole.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn write(&self, directory: &Path) -> Result<(), ReportError> {
        self.files.iter().try_for_each(|(name, text)| {
            let path = directory.join(name);
            file::write(&path, text.as_bytes()).map_err(|source| ReportError::Write { path, source })
        })
    }
}

/// Every file that is derived from a run: name and text.
fn files(archive: &Archive, shown: &Shown) -> Vec<(&'static str, String)> {
    let mut files = vec![(markdown::FILE, markdown::report(shown, &archive.environment))];
    files.extend(decision::decision(shown, &archive.environment).map(|text| (decision::FILE, text)));
    files.push((json::FILE, json::pretty(&shown.summary)));
    files.push((percentiles::FILE, percentiles::csv(archive)));
    if let Some(chart) = charts::memory(shown) {
        files.push((curve::CSV, curve::csv(&charts::curves(shown))));
        files.push((curve::SVG, alone(chart, shown)));
    }
    if let Some(chart) = charts::tails(archive, shown) {
        files.push((tail::CSV, tail::csv(&shown.found.tails())));
        files.push((tail::SVG, alone(chart, shown)));
    }
    let beside: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let page = page::page(archive, shown, &beside);
    files.insert(1, (page::FILE, page));
    files
}

/// A chart as a file of its own, which keeps its host.
fn alone(chart: Chart, shown: &Shown) -> String {
    Chart { title: format!("{}, {}", chart.title, shown.summary.host), ..chart }.file()
}
