//! What a trial leaves in the run directory: one line of JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::engine::{choices::Choices as EngineChoices, measured::EngineMeasured};
use super::linux::{choices::Choices as LinuxChoices, measured::LinuxMeasured};
use super::spec::Choices;
use super::timed::{choices::Choices as TimedChoices, measured::TimedMeasured};
use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::site::sentinel::Surroundings;

/// One trial, as a line of `trials.jsonl`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrialRecord {
    /// Version of this format.
    pub schema_version: u32,
    /// Number of the trial in the run, from 0.
    pub trial: u32,
    /// Its block, from 0.
    pub block: u32,
    /// The rung whose transport was used, if anything was to be reported and the transport is a rung's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// Start, in seconds since 1970; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_s: Option<f64>,
    /// Duration, booting and tearing down included, in seconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_s: Option<f64>,
    /// Seed of the workload.
    pub seed: u64,
    /// A delay planted in every report, in nanoseconds; only builds made to show that comparisons find it plant any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slowed_ns: Option<f64>,
    /// What the machine did beside it, and how that disturbed it; absent where nothing tells the time, and in files of
    /// before that was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub surroundings: Option<Surroundings>,
    /// Its kind, every other choice, and what came of it.
    #[serde(flatten)]
    pub body: Body,
}

/// What a trial was and what came of it, by its kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// Reports under the stopwatch.
    Timed {
        /// Its choices.
        choices: TimedChoices,
        /// What came of it.
        #[serde(flatten)]
        ending: Ending<TimedMeasured>,
    },
    /// The guest's reporting core.
    Engine {
        /// Its choices.
        choices: EngineChoices,
        /// What came of it.
        #[serde(flatten)]
        ending: Ending<EngineMeasured>,
    },
    /// A Linux guest.
    Linux {
        /// Its choices.
        choices: LinuxChoices,
        /// What came of it.
        #[serde(flatten)]
        ending: Ending<LinuxMeasured>,
    },
}

/// What came of a trial.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending<M> {
    /// It ran to its end.
    Measured(Box<M>),
    /// It did not.
    Failed {
        /// Why not, in a sentence.
        error: String,
    },
}

impl<M> Ending<M> {
    fn error(&self) -> Option<&str> {
        match self {
            Self::Measured(_) => None,
            Self::Failed { error } => Some(error),
        }
    }
}

/// When a trial ran.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Wall clock time at its start.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
}

impl Stretch {
    /// Start in seconds since 1970.
    #[must_use]
    pub fn started_s(&self) -> f64 {
        self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

impl TrialRecord {
    /// The record of a trial that has just ended; without a stretch where nothing tells the time.
    #[must_use]
    pub fn new(trial: u32, block: u32, seed: u64, stretch: Option<Stretch>, body: Body) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            trial,
            block,
            rung: body.choices().rung().map(Named),
            started_s: stretch.map(|stretch| stretch.started_s()),
            took_s: stretch.map(|stretch| stretch.took.as_secs_f64()),
            seed,
            slowed_ns: None,
            surroundings: None,
            body,
        }
    }

    /// What every kind of trial counts, if it ran to its end.
    #[must_use]
    pub fn counts(&self) -> Option<&Counts> {
        match &self.body {
            Body::Timed { ending: Ending::Measured(measured), .. } => Some(&measured.counts),
            Body::Engine { ending: Ending::Measured(measured), .. } => Some(&measured.counts),
            Body::Linux { ending: Ending::Measured(measured), .. } => Some(&measured.counts),
            Body::Timed { .. } | Body::Engine { .. } | Body::Linux { .. } => None,
        }
    }

    /// Its choices.
    #[must_use]
    pub fn choices(&self) -> Choices {
        self.body.choices()
    }

    /// Why it has no outcome, if it has none.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.body {
            Body::Timed { ending, .. } => ending.error(),
            Body::Engine { ending, .. } => ending.error(),
            Body::Linux { ending, .. } => ending.error(),
        }
    }
}

impl Body {
    /// The choices.
    #[must_use]
    pub fn choices(&self) -> Choices {
        match self {
            Self::Timed { choices, .. } => Choices::Timed(*choices),
            Self::Engine { choices, .. } => Choices::Engine(*choices),
            Self::Linux { choices, .. } => Choices::Linux(*choices),
        }
    }

    /// A trial without an outcome.
    #[must_use]
    pub fn failed(choices: Choices, error: String) -> Self {
        match choices {
            Choices::Timed(choices) => Self::Timed { choices, ending: Ending::Failed { error } },
            Choices::Engine(choices) => Self::Engine { choices, ending: Ending::Failed { error } },
            Choices::Linux(choices) => Self::Linux { choices, ending: Ending::Failed { error } },
        }
    }
}
