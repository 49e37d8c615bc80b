//! From the trials of a run of the engine to what it found: `summary.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::EngineArchive;
use super::cells;
use super::checks::{self, Extent};
use super::choices::Choices;
use super::experiment::Experiment;
use super::group::groups;
use super::memhog::Memhog;
use super::one::One;
use super::page_faults::PageFaults;
use super::plan::EnginePlan;
use super::plot::Series;
use super::rate::Rates;
use super::record::EngineMeasured;
use super::soak::Soak;
use super::sweep::Sweep;
use super::walk::Walks;
use crate::SCHEMA_VERSION;
use crate::checks::{Check, Standing};
use crate::journal::Trial;
use crate::statistics::{Interval, MIN_BLOCKS};
use crate::table::Grid;

/// `summary.json` of a run of the engine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EngineSummary {
    /// Version of this format.
    pub schema_version: u32,
    /// The host in one line. No figure below means anything on another.
    pub host: String,
    /// What is to be known about this host.
    pub notes: Vec<String>,
    /// What is missing or was left out.
    pub remarks: Vec<String>,
    /// What was to be run.
    pub plan: EnginePlan,
    /// Trials that were to be run.
    pub planned: usize,
    /// Trials with an outcome.
    pub measured: usize,
    /// Trials that failed: number and error.
    pub failed: BTreeMap<u32, String>,
    /// Every cell: its choices, trials and operations a second.
    pub cells: Vec<CellRate>,
    /// What the experiment found. Times are nanoseconds.
    pub found: Found,
    /// What must hold, and whether it does.
    pub checks: Vec<Check>,
    /// The answer, in sentences that the intervals support.
    pub answer: Vec<String>,
}

/// A cell of the run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CellRate {
    /// Its choices.
    pub choices: Choices,
    /// Trials it rests on.
    pub trials: usize,
    /// Operations a second.
    pub rate: Interval,
}

/// What an experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "experiment", rename_all = "kebab-case")]
pub enum Found {
    /// See [`PageFaults`].
    PageFaults(PageFaults),
    /// See [`Walks`].
    Walk(Walks),
    /// See [`Memhog`].
    Memhog(Memhog),
    /// See [`Rates`].
    Rate(Rates),
    /// See [`Sweep`].
    Sweep(Sweep),
    /// See [`Soak`].
    Soak(Soak),
    /// See [`One`].
    Run(One),
}

impl Found {
    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Vec<Grid> {
        match self {
            Self::PageFaults(found) => found.tables(),
            Self::Walk(found) => found.tables(),
            Self::Memhog(found) => found.tables(),
            Self::Rate(found) => found.tables(),
            Self::Sweep(found) => found.tables(),
            Self::Soak(found) => found.tables(),
            Self::Run(found) => found.tables(),
        }
    }

    fn checks(&self) -> Vec<Check> {
        match self {
            Self::Memhog(found) => found.checks(),
            Self::Rate(found) => found.checks(),
            Self::PageFaults(_) | Self::Walk(_) | Self::Sweep(_) | Self::Soak(_) | Self::Run(_) => Vec::new(),
        }
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::PageFaults(found) => found.sentences(),
            Self::Walk(found) => found.sentences(),
            Self::Memhog(found) => found.sentences(),
            Self::Rate(found) => found.sentences(),
            Self::Sweep(found) => found.sentences(),
            Self::Soak(found) => found.sentences(),
            Self::Run(_) => Vec::new(),
        }
    }

    /// Curves over time, if it has any.
    #[must_use]
    pub fn curves(&self) -> Vec<Series> {
        let curves = match self {
            Self::Memhog(found) => found.curves(),
            Self::Run(found) => found.curves(),
            Self::PageFaults(_) | Self::Walk(_) | Self::Rate(_) | Self::Sweep(_) | Self::Soak(_) => {
                Vec::new()
            }
        };
        curves.into_iter().filter(|series| !series.points.is_empty()).collect()
    }
}

impl EngineSummary {
    /// Of a run.
    #[must_use]
    pub fn of(archive: &EngineArchive) -> Self {
        let EngineArchive { environment, plan, trials, remarks, .. } = archive;
        let groups = groups(archive);
        let seed = plan.seed();
        let found = match plan.experiment.0 {
            Experiment::PageFaults => Found::PageFaults(PageFaults::of(&groups, seed)),
            Experiment::Walk => Found::Walk(Walks::of(&groups, seed)),
            Experiment::Memhog => Found::Memhog(Memhog::of(&groups, seed)),
            Experiment::Rate => Found::Rate(Rates::of(&groups, seed)),
            Experiment::Sweep => Found::Sweep(Sweep::of(&groups, seed)),
            Experiment::Soak => Found::Soak(Soak::of(&groups)),
            Experiment::Run => Found::Run(One::of(&groups)),
        };
        let measured = trials.iter().filter(|trial| trial.measured().is_some()).count();
        let planned = match (plan.choices.minutes, plan.choices.blocks) {
            // Goes on for as long as it was asked to.
            (Some(_), _) => trials.len(),
            (None, blocks) => cells::of(plan, environment.call()).len() * blocks.unwrap_or(1) as usize,
        };
        let mut checks = checks::all(Extent { planned, measured }, trials);
        checks.extend(found.checks());
        let mut answer = found.sentences();
        if !answer.is_empty() && plan.choices.minutes.is_none() {
            answer.insert(
                0,
                scope(archive, &groups.iter().map(|group| group.trials.len()).collect::<Vec<_>>()),
            );
        }
        Self {
            schema_version: SCHEMA_VERSION,
            host: environment.host.clone(),
            notes: environment.notes(),
            remarks: remarks.clone(),
            plan: plan.clone(),
            planned,
            measured,
            failed: trials.iter().filter_map(|t| Some((t.trial, t.error()?.to_owned()))).collect(),
            cells: groups
                .iter()
                .map(|group| CellRate {
                    choices: group.choices,
                    trials: group.trials.len(),
                    rate: group.interval(seed, EngineMeasured::operations_a_second),
                })
                .collect(),
            found,
            checks,
            answer,
        }
    }

    /// Whether anything that must hold does not.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.standing == Standing::Fails)
    }
}

fn scope(archive: &EngineArchive, trials: &[usize]) -> String {
    let blocks = trials.iter().copied().max().unwrap_or_default();
    let keys = &archive.plan.choices;
    let mut scope = format!(
        "On this host ({}), {} vCPUs and {} of memory, over {blocks} blocks; intervals are 95 %, so that one in twenty misses by chance.",
        archive.environment.host,
        keys.vcpus.unwrap_or(1),
        super::figures::mib(crate::unit::float(keys.memory.unwrap_or_default()))
    );
    if blocks < MIN_BLOCKS {
        scope.push_str(&format!(
            " That is fewer than the {MIN_BLOCKS} blocks a 95 % interval needs: no difference can be shown."
        ));
    }
    scope
}
