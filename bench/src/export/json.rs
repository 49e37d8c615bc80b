//! JSON, and the schemas of everything pagehint writes.

use schemars::{Schema, schema_for};
use serde::Serialize;

use crate::environment::Environment;
use crate::plan::Plan;
use crate::record::TrialRecord;
use crate::summary::Summary;

/// What `summary.json` is called.
pub const FILE: &str = "summary.json";

/// A value as a file for programs that people also read.
#[must_use]
pub fn pretty(value: &impl Serialize) -> String {
    // Our own types: string keys throughout and no writer that could fail.
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")) + "\n"
}

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
        }
    }
}
