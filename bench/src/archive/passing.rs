//! A run in passing: a line at a time, one figure of every trial, and nothing kept. For who has a thousand runs to read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use hdrhistogram::Histogram;
use host::engine::GuestCounter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ArchiveError, file, hlog, is_missing, parse};
use crate::SCHEMA_VERSION;
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::{Clock, Unit};
use crate::site::environment::Environment;
use crate::trial::kind::Engine;
use crate::trial::record::TrialRecord;
use crate::trial::spec::Choices;

/// What is read of a trial in passing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Passed {
    /// Its number.
    pub trial: u32,
    /// Its choices.
    pub choices: Choices,
    /// What it showed; `None` if it failed.
    pub showed: Option<Showed>,
}

/// What a trial showed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Showed {
    /// Of a timed one the median of a report, in the unit of the run; of the engine's operations a second.
    pub figure: f64,
    /// Reports it rests on.
    pub reports: u64,
}

/// A line of `trials.jsonl`, as little of it as is needed: most of a large set's time is spent in passing over the rest.
#[derive(Deserialize)]
struct Line<'a> {
    schema_version: u32,
    trial: u32,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    choices: &'a RawValue,
    #[serde(borrow)]
    ending: Cow<'a, str>,
    unit: Option<Unit>,
    tsc_khz: Option<u32>,
    phases: Option<Phases>,
}

#[derive(Deserialize)]
struct Phases {
    total: Quantiles,
}

/// Where a run took place.
///
/// # Errors
/// [`ArchiveError`] if it is no run directory.
pub fn environment(directory: &Path) -> Result<Environment, ArchiveError> {
    let path = directory.join(file::ENVIRONMENT);
    match std::fs::read(&path) {
        Ok(text) => parse(&text, &path, 1),
        Err(error) if is_missing(&error) => Err(ArchiveError::NotARun { path: directory.to_owned() }),
        Err(source) => Err(ArchiveError::Read { path, source }),
    }
}

/// Goes through the trials of a run whose ticks are those of `clock`. What is to be remarked on: a torn last line.
///
/// # Errors
/// [`ArchiveError`] if no trial had ended, a line is damaged, or is in other ticks.
pub fn trials(
    directory: &Path,
    clock: Clock,
    mut visit: impl FnMut(Passed),
) -> Result<Option<String>, ArchiveError> {
    let path = directory.join(file::TRIALS);
    let unreadable = |source| ArchiveError::Read { path: path.clone(), source };
    let empty = || ArchiveError::Empty { path: directory.to_owned() };
    let file =
        File::open(&path).map_err(|error| if is_missing(&error) { empty() } else { unreadable(error) })?;
    let (mut file, mut line, mut known, mut before) =
        (BufReader::new(file), Vec::new(), HashMap::new(), None);
    let mut torn = None;
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        if !line.ends_with(b"\n") {
            torn = Some(format!(
                "the last line of {} is torn and was left out: the run was killed",
                file::TRIALS
            ));
            break;
        }
        let passed = passed(&line, &path, number, clock, &mut known)?;
        if before.is_some_and(|before| before >= passed.trial) {
            let fault = format!("trial is {}, after {}", passed.trial, before.unwrap_or_default());
            return Err(damaged(&path, number, fault));
        }
        before = Some(passed.trial);
        visit(passed);
    }
    if before.is_none() { Err(empty()) } else { Ok(torn) }
}

fn damaged(path: &Path, line: usize, fault: String) -> ArchiveError {
    ArchiveError::Damaged { path: path.to_owned(), line, source: serde::de::Error::custom(fault) }
}

fn passed(
    text: &[u8],
    path: &Path,
    number: usize,
    clock: Clock,
    known: &mut HashMap<String, Choices>,
) -> Result<Passed, ArchiveError> {
    // Whatever is wrong with it is said as of a line that is read as a whole.
    let whole = || parse::<TrialRecord>(text, path, number);
    let Ok(line) = serde_json::from_slice::<Line<'_>>(text) else {
        whole()?;
        return Err(damaged(path, number, "it has no figures".to_owned()));
    };
    if line.schema_version != SCHEMA_VERSION || line.kind != "timed" {
        return of_record(&whole()?, (path, number), clock);
    }
    let choices = match known.get(line.choices.get()) {
        Some(choices) => *choices,
        None => {
            let choices = Choices::Timed(
                serde_json::from_str(line.choices.get())
                    .map_err(|error| damaged(path, number, error.to_string()))?,
            );
            known.insert(line.choices.get().to_owned(), choices);
            choices
        }
    };
    if line.ending != "measured" {
        return Ok(Passed { trial: line.trial, choices, showed: None });
    }
    let Some((unit, Phases { total })) = line.unit.zip(line.phases) else {
        return Err(damaged(path, number, "it has no figures".to_owned()));
    };
    let ticks = match unit {
        Unit::Nanoseconds => Clock::Time { tsc_khz: line.tsc_khz.unwrap_or_default() },
        Unit::Instructions => Clock::Instructions,
    };
    same_clock((path, number), line.trial, ticks, clock)?;
    Ok(Passed { trial: line.trial, choices, showed: Some(Showed { figure: total.p50, reports: total.n }) })
}

fn of_record(record: &TrialRecord, at: (&Path, usize), clock: Clock) -> Result<Passed, ArchiveError> {
    if let Some(counts) = record.counts() {
        same_clock(at, record.trial, counts.clock, clock)?;
    }
    let showed = record.measured::<Engine>().map(|measured| Showed {
        figure: measured.operations_a_second(),
        reports: measured.sum(GuestCounter::Reports),
    });
    Ok(Passed { trial: record.trial, choices: record.choices(), showed })
}

/// Histograms are in ticks, and those of other ticks cannot be added to them.
fn same_clock(at: (&Path, usize), trial: u32, found: Clock, expected: Clock) -> Result<(), ArchiveError> {
    let (path, line) = (at.0.to_owned(), at.1);
    if found.unit() != expected.unit() {
        let (found, expected) = (found.unit(), expected.unit());
        return Err(ArchiveError::Unit { path, line, trial, found, expected });
    }
    if found != expected {
        return Err(ArchiveError::Clock { path, line, trial, found, expected });
    }
    Ok(())
}

/// Goes through the histograms of a run: trial, series, ticks. What is to be remarked on, if anything is.
///
/// # Errors
/// [`ArchiveError`] if a line is damaged.
pub fn histograms(
    directory: &Path,
    wanted: impl Fn(u32, &str) -> bool,
    mut take: impl FnMut(u32, &str, &Histogram<u64>) -> Result<(), String>,
) -> Result<Option<String>, ArchiveError> {
    let path = directory.join(hlog::FILE);
    let log = match File::open(&path) {
        Ok(log) => log,
        Err(error) if is_missing(&error) => {
            return Ok(Some(format!("{} is missing: there are no quantiles", hlog::FILE)));
        }
        Err(source) => return Err(ArchiveError::Read { path, source }),
    };
    let wanted = |trial: Option<u32>, series: &str| trial.is_some_and(|trial| wanted(trial, series));
    let take = |trial: Option<u32>, tag: &str, histogram: &Histogram<u64>| {
        take(trial.unwrap_or_default(), tag.rsplit('.').next().unwrap_or_default(), histogram)
    };
    match hlog::stream(BufReader::new(log), wanted, take) {
        Ok(torn) => Ok(torn.then(|| format!("the last line of {} is torn and was left out", hlog::FILE))),
        Err(hlog::StreamError::Read(source)) => Err(ArchiveError::Read { path, source }),
        Err(hlog::StreamError::Damaged(source)) => {
            Err(ArchiveError::Histograms { path: directory.to_owned(), source })
        }
    }
}
