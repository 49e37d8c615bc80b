//! Reading a run directory, finished or not.

pub mod file;
pub mod group;
pub mod hlog;
pub mod passing;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use abi::axes::Axis;
use hdrhistogram::Histogram;
use host::engine::{GuestCounter, Tally};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error};

use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
use crate::figure::interval::Sampling;
use crate::figure::unit::{Clock, Unit, total};
use crate::plan::{Plan, PlanError};
use crate::site::environment::Environment;
use crate::trial::kind::{Engine, Timed};
use crate::trial::record::TrialRecord;
use crate::trial::spec::{Choices, Series};
use crate::trial::timed::phases::Phase;
use hlog::{HlogError, Merged};

/// A run as its directory tells it.
pub struct Archive {
    /// Where it took place.
    pub environment: Environment,
    /// What was to be run.
    pub plan: Plan,
    /// The trials that ended, in order.
    pub trials: Vec<TrialRecord>,
    /// Their histograms, added up by cell, in ticks.
    pub merged: Merged,
    /// What is missing or was left out.
    pub remarks: Vec<String>,
}

/// Why a directory cannot be read as a run. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not one.
    #[error("{} is no run directory: it holds no {}; `pagehint compare` makes one below results/runs", path.display(), file::ENVIRONMENT)]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// No trial had ended.
    #[error("no trial of {} had ended when the run stopped: there is nothing to report", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("line {line} of {} cannot be understood ({source}): the file is damaged, or not of pagehint. Put it back as the run left it; of {} the line can be taken out, and its trial is then missing", path.display(), file::TRIALS)]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of another format.
    #[error("line {line} of {} is of schema version {found}, this pagehint reads version {SCHEMA_VERSION}: use the pagehint that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Its version.
        found: u32,
    },
    /// Figures that cannot stand beside each other.
    #[error("line {line} of {}: trial {trial} is in {found}, its {} says {expected}: put the file that belongs to the run back", path.display(), file::ENVIRONMENT)]
    Unit {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The trial.
        trial: u32,
        /// What its figures are in.
        found: Unit,
        /// What the run's are in.
        expected: Unit,
    },
    /// Ticks that cannot be added up.
    #[error("line {line} of {}: trial {trial} was timed by {found:?}, its {} says {expected:?}: put the file that belongs to the run back", path.display(), file::ENVIRONMENT)]
    Clock {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The trial.
        trial: u32,
        /// Its clock.
        found: Clock,
        /// The run's.
        expected: Clock,
    },
    /// The plan is damaged.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The histograms are damaged.
    #[error("{}: {source}", path.display())]
    Histograms {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: HlogError,
    },
}

impl Archive {
    /// Reads a run directory. Of a run that was killed, whatever had ended is read; a torn last line is left
    /// out and remarked on.
    ///
    /// # Errors
    /// [`ArchiveError`] if it is no run directory or a file in it is damaged.
    pub fn open(directory: &Path) -> Result<Self, ArchiveError> {
        Self::read(directory, |name| fs::read(directory.join(name)))
    }

    /// The same of files that are had in another way, by their names; errors say where they belong.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn read(
        directory: &Path,
        file: impl Fn(&'static str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, ArchiveError> {
        let if_there = |name| match file(name) {
            Err(error) if is_missing(&error) => Ok(None),
            read => {
                read.map(Some).map_err(|source| ArchiveError::Read { path: directory.join(name), source })
            }
        };
        let environment = if_there(file::ENVIRONMENT)?;
        let environment = environment.ok_or_else(|| ArchiveError::NotARun { path: directory.to_owned() })?;
        let environment: Environment = parse(&environment, &directory.join(file::ENVIRONMENT), 1)?;
        let plan = Plan::parse_valid(file(file::PLAN), &directory.join(file::PLAN))?;
        let mut remarks = Vec::new();
        let trials = if_there(file::TRIALS)?.unwrap_or_default();
        let trials = read_trials(&trials, &directory.join(file::TRIALS), &mut remarks)?;
        if trials.is_empty() {
            return Err(ArchiveError::Empty { path: directory.to_owned() });
        }
        one_unit(&directory.join(file::TRIALS), environment.kvm.clock.unit(), &trials)?;
        let merged = read_histograms(directory, if_there(hlog::FILE)?, &trials, &mut remarks)?;
        Ok(Self { environment, plan, trials, merged, remarks })
    }

    /// Where its figures come from.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        match self.unit() {
            Unit::Nanoseconds if self.plan.is_sequential() => Sampling::Stopped { seed: self.plan.seed() },
            Unit::Nanoseconds => Sampling::Drawn { seed: self.plan.seed() },
            Unit::Instructions => Sampling::Counted,
        }
    }

    /// What all figures of the run are in.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.environment.kvm.clock.unit()
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Looks at the version before anything else: a file of another version may differ in everything but that.
///
/// # Errors
/// [`ArchiveError`] with file and line.
pub fn parse<T: DeserializeOwned>(text: &[u8], path: &Path, line: usize) -> Result<T, ArchiveError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let damaged = |source| ArchiveError::Damaged { path: path.to_owned(), line, source };
    let Version { schema_version: found } = serde_json::from_slice(text).map_err(damaged)?;
    if found != SCHEMA_VERSION {
        return Err(ArchiveError::Version { path: path.to_owned(), line, found });
    }
    serde_json::from_slice(text).map_err(damaged)
}

/// A figure in one unit is never shown in the other. A trial that ended is a line.
fn one_unit(path: &Path, expected: Unit, trials: &[TrialRecord]) -> Result<(), ArchiveError> {
    for (line, trial) in (1..).zip(trials) {
        let Some(found) = trial.counts().map(|counts| counts.clock.unit()) else { continue };
        if found != expected {
            return Err(ArchiveError::Unit {
                path: path.to_owned(),
                line,
                trial: trial.trial,
                found,
                expected,
            });
        }
    }
    Ok(())
}

/// The trials that ended, a line each; a torn last line is left out and remarked on.
fn read_trials(
    text: &[u8],
    path: &Path,
    remarks: &mut Vec<String>,
) -> Result<Vec<TrialRecord>, ArchiveError> {
    let mut trials = Vec::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.ends_with(b"\n") {
            let trial = parse(line, path, index + 1)?;
            coherent(&trial, trials.last()).map_err(|fault| ArchiveError::Damaged {
                path: path.to_owned(),
                line: index + 1,
                source: serde_json::Error::custom(fault),
            })?;
            trials.push(trial);
        } else {
            remarks.push(format!(
                "the last line of {} is torn and was left out: the run was killed",
                file::TRIALS
            ));
        }
    }
    Ok(trials)
}

/// Whether what a record says twice it says alike, and whether it says all of what is measured.
fn coherent(record: &TrialRecord, before: Option<&TrialRecord>) -> Result<(), String> {
    if let Some(before) = before.filter(|before| before.trial >= record.trial) {
        return Err(format!("trial is {}, after {}", record.trial, before.trial));
    }
    if record.rung != record.choices().rung().map(Named) {
        return Err("rung is another than that of the choices".to_owned());
    }
    let has =
        |phase: &&Phase| record.measured::<Timed>().is_none_or(|m| m.phases.contains_key(&Named(**phase)));
    match Phase::ALL.iter().find(|phase| !has(phase)) {
        Some(phase) => Err(format!("phases has no {}", phase.name())),
        None => Ok(()),
    }
}

fn read_histograms(
    directory: &Path,
    log: Option<Vec<u8>>,
    trials: &[TrialRecord],
    remarks: &mut Vec<String>,
) -> Result<Merged, ArchiveError> {
    let Some(log) = log else {
        remarks.push(format!("{} is missing: there are no quantiles", hlog::FILE));
        return Ok(Merged::default());
    };
    let cells: BTreeMap<u32, Choices> = trials.iter().map(|trial| (trial.trial, trial.choices())).collect();
    let merged = hlog::merge(&log, &cells)
        .map_err(|source| ArchiveError::Histograms { path: directory.to_owned(), source })?;
    if merged.dropped > 0 {
        remarks.push(format!(
            "{} lines of {} belong to no trial that ended, or are torn, and were left out",
            merged.dropped,
            hlog::FILE
        ));
    }
    for ((cell, series), expected) in reports(trials) {
        let found = merged.histograms.get(&(cell, series)).map_or(0, Histogram::len);
        if found != expected {
            remarks.push(format!(
                "{} holds {found} reports of {}, {} holds {expected}: quantiles rest on the former",
                hlog::FILE,
                cell.tag(),
                file::TRIALS
            ));
        }
    }
    Ok(merged)
}

/// How many reports the records have of each cell, and where samples of them are.
fn reports(trials: &[TrialRecord]) -> BTreeMap<(Choices, Series), u64> {
    let mut reports = BTreeMap::new();
    for trial in trials {
        let timed = trial.measured::<Timed>().map(|m| (Series::Phase(Phase::Total), m.phase(Phase::Total).n));
        let engine =
            trial.measured::<Engine>().map(|m| (Series::Tally(Tally::Report), m.sum(GuestCounter::Reports)));
        for (series, count) in timed.into_iter().chain(engine) {
            let sum = reports.entry((trial.choices(), series)).or_insert(0);
            *sum = total([*sum, count]);
        }
    }
    reports
}
