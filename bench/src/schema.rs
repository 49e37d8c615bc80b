//! The schemas of everything pagehint writes and reads.

use schemars::{Schema, schema_for};

use crate::exchange::diff::Diff;
use crate::model::profile::Profile;
use crate::plan::Plan;
use crate::report::summary::Summary;
use crate::site::doctor::Examination;
use crate::site::environment::Environment;
use crate::trial::record::TrialRecord;

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
    /// What `pagehint diff --json` prints.
    Diff,
    /// What `pagehint doctor --json` prints.
    Doctor,
    /// A host's profile, as the object that its TOML is.
    Profile,
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
            Self::Diff => schema_for!(Diff),
            Self::Doctor => schema_for!(Examination),
            Self::Profile => schema_for!(Profile),
        }
    }
}
