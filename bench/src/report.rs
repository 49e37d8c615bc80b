//! From a run directory to everything that is derived from it.

use std::fs;
use std::path::Path;

use crate::archive::{Archive, ArchiveError};
use crate::checks::Standing;
use crate::export::{csv, json, markdown};
use crate::journal::JournalError;
use crate::summary::Summary;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The report cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Reads a run directory and writes `percentiles.csv`, `summary.json` and `report.md` into it.
///
/// # Errors
/// [`ReportError`].
pub fn rebuild(directory: &Path) -> Result<Summary, ReportError> {
    let archive = Archive::open(directory)?;
    let summary = Summary::of(&archive);
    let files = [
        (csv::FILE, csv::percentiles(&archive)),
        (json::FILE, json::pretty(&summary)),
        (markdown::FILE, markdown::report(&summary, &archive.environment)),
    ];
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|source| JournalError::Write { path, source })?;
    }
    Ok(summary)
}

/// Whether anything that must hold does not.
#[must_use]
pub fn failed(summary: &Summary) -> bool {
    summary.checks.iter().any(|check| check.standing == Standing::Fails)
}
