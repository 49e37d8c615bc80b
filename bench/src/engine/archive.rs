//! Reading the run directory of the engine, finished or not.

use std::collections::BTreeMap;
use std::path::Path;

use host::engine::Tally;

use super::choices::Choices;
use super::plan::{EnginePlan, EnginePlanError};
use super::record::EngineRecord;
use crate::archive::{self, Archive, ArchiveError};
use crate::environment::Environment;
use crate::export::hlog::{self, Merged};
use crate::journal::file;

/// A run as its directory tells it.
pub struct EngineArchive {
    /// Where it took place.
    pub environment: Environment,
    /// What was to be run.
    pub plan: EnginePlan,
    /// The trials that ended, in order.
    pub trials: Vec<EngineRecord>,
    /// Their tallies, added up by choices, in ticks.
    pub merged: Merged<Choices, Tally>,
    /// What is missing or was left out.
    pub remarks: Vec<String>,
}

/// Why a directory cannot be read as a run of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineArchiveError {
    /// A file of it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its plan.
    #[error(transparent)]
    Plan(#[from] EnginePlanError),
}

/// Whether a directory holds a run of the engine: whether its plan names an experiment.
#[must_use]
pub fn is_engine(directory: &Path) -> bool {
    let text = std::fs::read_to_string(directory.join(file::PLAN)).unwrap_or_default();
    text.parse::<toml::Table>().is_ok_and(|plan| plan.contains_key("experiment"))
}

impl EngineArchive {
    /// Reads a run directory. Of a run that was killed, whatever had ended is read; a torn last line is left
    /// out and remarked on.
    ///
    /// # Errors
    /// [`EngineArchiveError`] if it is no run directory or a file in it is damaged.
    pub fn open(directory: &Path) -> Result<Self, EngineArchiveError> {
        let environment = Archive::environment(directory)?;
        let plan = EnginePlan::read(&directory.join(file::PLAN))?;
        let mut remarks = Vec::new();
        let trials: Vec<EngineRecord> = archive::read_trials(&directory.join(file::TRIALS), &mut remarks)?;
        if trials.is_empty() {
            return Err(ArchiveError::Empty { path: directory.to_owned() }.into());
        }
        let merged = merge(directory, &trials)?;
        if merged.dropped > 0 {
            remarks.push(format!(
                "{} lines of {} belong to no trial that ended, or are torn, and were left out",
                merged.dropped,
                hlog::FILE
            ));
        }
        Ok(Self { environment, plan, trials, merged, remarks })
    }
}

fn merge(directory: &Path, trials: &[EngineRecord]) -> Result<Merged<Choices, Tally>, ArchiveError> {
    let path = directory.join(hlog::FILE);
    let log = if path.exists() { archive::read(&path)? } else { Vec::new() };
    let cells: BTreeMap<u32, Choices> = trials.iter().map(|trial| (trial.trial, trial.choices)).collect();
    hlog::merge(&log, &cells)
        .map_err(|source| ArchiveError::Histograms { path: directory.to_owned(), source })
}
