//! The schemas of everything pagehint writes and reads.

use schemars::{Schema, schema_for};

use crate::engine::plan::EnginePlan;
use crate::engine::record::EngineRecord;
use crate::engine::summary::EngineSummary;
use crate::environment::Environment;
use crate::plan::Plan;
use crate::record::TrialRecord;
use crate::summary::Summary;

/// A kind of file with a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Document {
    /// `summary.json`.
    Summary,
    /// A line of `trials.jsonl`.
    Trial,
    /// `environment.json`.
    Environment,
    /// A plan, as the object that its TOML is.
    Plan,
    /// `summary.json` of a run of the engine.
    EngineSummary,
    /// A line of its `trials.jsonl`.
    EngineTrial,
    /// A plan for it.
    EnginePlan,
}

impl Document {
    /// Its JSON schema.
    #[must_use]
    pub fn schema(self) -> Schema {
        match self {
            Self::Summary => schema_for!(Summary),
            Self::Trial => schema_for!(TrialRecord),
            Self::Environment => schema_for!(Environment),
            Self::Plan => schema_for!(Plan),
            Self::EngineSummary => schema_for!(EngineSummary),
            Self::EngineTrial => schema_for!(EngineRecord),
            Self::EnginePlan => schema_for!(EnginePlan),
        }
    }
}
