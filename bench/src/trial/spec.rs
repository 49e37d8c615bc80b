//! What to run and what can be told apart: the enums of the kinds of trial.

use std::time::Duration;

use abi::axes::Axis;
use host::engine::{EngineSpec, EngineSpecError, Tally};
use host::timed::{TimedSpec, TimedSpecError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::choices::Choices as EngineChoices;
use super::linux::choices::{Choices as LinuxChoices, LinuxTrial, LinuxTrialError};
use super::timed::choices::Choices as TimedChoices;
use super::timed::phases::Phase;
use crate::axes::rung::Rung;
use crate::axes::way::Way;

/// What to run: one trial.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Spec {
    /// Reports under the stopwatch.
    Timed(TimedSpec),
    /// The guest's reporting core.
    Engine(EngineSpec),
    /// A Linux guest.
    Linux(LinuxTrial),
}

/// A [`Spec`] that means nothing, or cannot be had. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Of a timed trial.
    #[error(transparent)]
    Timed(#[from] TimedSpecError),
    /// Of a trial of the engine.
    #[error(transparent)]
    Engine(#[from] EngineSpecError),
    /// Of a trial of a Linux guest.
    #[error(transparent)]
    Linux(#[from] LinuxTrialError),
}

impl Spec {
    /// Whether its choices mean something and go together, before anything is started.
    ///
    /// # Errors
    /// [`SpecError`], with what to change.
    pub fn validate(&self) -> Result<(), SpecError> {
        match self {
            Self::Timed(spec) => Ok(spec.validate()?),
            Self::Engine(spec) => Ok(spec.validate()?),
            Self::Linux(trial) => Ok(trial.validate()?),
        }
    }

    /// The same with another seed of its workload.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        match self {
            Self::Timed(spec) => Self::Timed(TimedSpec { seed, ..spec }),
            Self::Engine(spec) => Self::Engine(EngineSpec { seed, ..spec }),
            Self::Linux(trial) => Self::Linux(LinuxTrial { seed, ..trial }),
        }
    }

    /// The seed of its workload.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        match self {
            Self::Timed(spec) => spec.seed,
            Self::Engine(spec) => spec.seed,
            Self::Linux(trial) => trial.seed,
        }
    }

    /// What it takes at the least: what its guest sleeps, or what its load is given.
    #[must_use]
    pub const fn least_time(&self) -> Duration {
        match self {
            Self::Timed(spec) => Duration::from_micros(
                (spec.idle as u64).saturating_mul(spec.warmup.saturating_add(spec.reports)),
            ),
            Self::Engine(spec) => spec.warmup.saturating_add(spec.window),
            // Nothing that it does is asked to last.
            Self::Linux(_) => Duration::ZERO,
        }
    }

    /// Its choices as they are written.
    #[must_use]
    pub fn choices(&self) -> Choices {
        match self {
            Self::Timed(spec) => Choices::Timed(spec.into()),
            Self::Engine(spec) => Choices::Engine(spec.into()),
            Self::Linux(trial) => Choices::Linux(trial.choices),
        }
    }
}

/// The choices of a trial, all but its seed; trials with the same choices are a cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Choices {
    /// Of a timed trial.
    Timed(TimedChoices),
    /// Of a trial of the engine.
    Engine(EngineChoices),
    /// Of a trial of a Linux guest.
    Linux(LinuxChoices),
}

impl Choices {
    /// The way its reports go.
    #[must_use]
    pub const fn way(&self) -> &Way {
        match self {
            Self::Timed(choices) => &choices.way,
            Self::Engine(choices) => &choices.way,
            Self::Linux(choices) => &choices.way,
        }
    }

    /// The rung whose transport is used; none if nothing is reported, or the transport is none of the ladder's.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        match self {
            Self::Timed(choices) => choices.rung(),
            Self::Engine(choices) => choices.rung(),
            Self::Linux(choices) => choices.rung(),
        }
    }

    /// The cell in a word of a log.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::Timed(choices) => choices.tag(),
            Self::Engine(choices) => choices.tag(),
            Self::Linux(choices) => choices.tag(),
        }
    }

    /// What the last word of a tag in the log of such a trial names.
    #[must_use]
    pub fn series(&self, name: &str) -> Option<Series> {
        match self {
            Self::Timed(_) => Phase::from_name(name).map(Series::Phase),
            Self::Engine(_) => Tally::from_name(name).map(Series::Tally),
            // No sample of it is kept by itself.
            Self::Linux(_) => None,
        }
    }
}

/// What samples are of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Series {
    /// A phase of a timed report.
    Phase(Phase),
    /// A tally of the guest's.
    Tally(Tally),
}

impl Series {
    /// As it stands in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.name(),
            Self::Tally(tally) => tally.name(),
        }
    }

    /// Whether its values are ticks; else they are a number of things.
    #[must_use]
    pub fn is_time(self) -> bool {
        self != Self::Tally(Tally::Examined)
    }
}
