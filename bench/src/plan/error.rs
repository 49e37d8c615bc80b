//! Why there is no plan, or none that can be run.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::trial::spec::SpecError;

/// The most trials a plan may have: all of them are in memory before the first, and all their records in a report.
pub const MAX_TRIALS: u64 = 1_000_000;

/// Why there is no plan. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("the plan {} cannot be read: {source}; {change}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
        /// What to change.
        change: String,
    },
    /// The file is no plan.
    #[error("{origin} is not a plan: {source}see `pagehint schema plan` for the keys and their values", source = .source.to_string().trim_end().to_owned() + "\n")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// No experiment has that name.
    #[error("there is no experiment {name}: `pagehint list` shows them")]
    NoSuchExperiment {
        /// The name.
        name: String,
    },
    /// A plan for something else.
    #[error("{origin} is a plan for {found}, not for {asked}: run {found}, or give another plan")]
    Other {
        /// Where it came from.
        origin: String,
        /// What it is for.
        found: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// A choice that the experiment does not look at.
    #[error("{key} means nothing to {experiment}: leave it out")]
    Meaningless {
        /// The key.
        key: String,
        /// The experiment.
        experiment: &'static str,
    },
    /// A choice that no trial looks at, as the others are.
    #[error(
        "--{key} changes no trial of this plan: leave it out, or choose {looked_at_by}, which looks at it"
    )]
    ChangesNothing {
        /// The key.
        key: String,
        /// What would look at it.
        looked_at_by: &'static str,
    },
    /// The same trial more than once a block.
    #[error(
        "{experiment} would run the same trial twice a block ({cell}): values that are listed differ in nothing it looks at; name one of them"
    )]
    Twice {
        /// The experiment.
        experiment: &'static str,
        /// Which trial.
        cell: String,
    },
    /// More trials than can be kept.
    #[error("the plan has {trials} trials, and {MAX_TRIALS} are the most: use fewer {unit}, or compare less")]
    TooMany {
        /// So many.
        trials: u64,
        /// What they are made of.
        unit: &'static str,
    },
    /// A key has a value that cannot be used.
    #[error("{key} is {value}: {change}")]
    Value {
        /// The key.
        key: Cow<'static, str>,
        /// Its value.
        value: String,
        /// What to change.
        change: String,
    },
    /// The same, of a file.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A rung that the plan names cannot be run on this host.
    #[error("{rung} cannot be run on this host ({reason}); leave {rung} out of rungs, or use another host")]
    NotHere {
        /// The rung.
        rung: Named<Rung>,
        /// What happened when it was tried.
        reason: String,
    },
    /// A trial of the plan cannot be run.
    #[error("a trial of {experiment} cannot be run ({cell}): {source}")]
    Trial {
        /// The experiment.
        experiment: &'static str,
        /// Which trial.
        cell: String,
        /// Why not.
        source: SpecError,
    },
    /// The machine counts instructions, and the question is one of time.
    #[error(
        "{experiment} cannot be asked of a machine that counts instructions ({why}): use a real one, or `pagehint lab --clock wall`"
    )]
    Instructions {
        /// The experiment.
        experiment: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// A key with a value that cannot be used.
///
/// # Errors
/// Always: [`PlanError::Value`].
pub fn bad<T>(key: impl Into<Cow<'static, str>>, value: impl ToString, change: &str) -> Result<T, PlanError> {
    Err(PlanError::Value { key: key.into(), value: value.to_string(), change: change.to_owned() })
}
