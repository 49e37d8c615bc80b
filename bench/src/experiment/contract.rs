//! What an experiment is: a question, the trials that answer it, and what is found in them.

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::archive::Archive;
use crate::axes::rung::CallBy;
use crate::figure::check::Check;
use crate::figure::curve::Series;
use crate::figure::table::Grid;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::site::calls::Calls;
use crate::trial::spec::Spec;

/// An experiment. Its folder has everything that is about it; its row in [`super::ALL`] makes it known.
pub trait Experiment: Sync {
    /// What plans and files call it.
    fn name(&self) -> &'static str;

    /// What the command line calls it.
    fn command(&self) -> &'static str {
        self.name()
    }

    /// The question it answers.
    fn question(&self) -> &'static str;

    /// Its built-in plans: name and choices in TOML. The first is its default, the others are laid over that. `quick` is
    /// what `--quick` takes, `lab` what the lab takes.
    fn plans(&self) -> &'static [(&'static str, &'static str)];

    /// Keys it looks at although its default plan leaves them open.
    fn beside(&self) -> &'static [&'static str];

    /// Chooses what is left open by what the host is: the rungs it can run, its processors.
    fn fill(&self, keys: &mut Keys, processors: u32, calls: &Calls);

    /// Whether the choices mean something to this experiment, beyond each being a value of its kind.
    ///
    /// # Errors
    /// [`PlanError::Value`] names the first that does not.
    fn check(&self, keys: &Keys) -> Result<(), PlanError>;

    /// What is compared with what: every trial of a block, for a host that is called by `call`. The seeds are the
    /// schedule's.
    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec>;

    /// Whether it can be asked of a machine whose counter counts instructions.
    ///
    /// # Errors
    /// Why not.
    fn in_instructions(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// Under which choices the answer holds, as part of a sentence; empty if there is no answer to put it before.
    fn scope(&self, keys: &Keys) -> String;

    /// What the trials of a run show.
    fn found(&self, archive: &Archive) -> Box<dyn Findings>;

    /// The schema of [`Findings::json`].
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
}

/// What an experiment found.
pub trait Findings {
    /// Its tables, the most important first.
    fn tables(&self) -> Vec<Grid>;

    /// Tables that only the report has.
    fn details(&self) -> Vec<Grid> {
        Vec::new()
    }

    /// The answer, in sentences that the intervals support.
    fn sentences(&self) -> Vec<String> {
        Vec::new()
    }

    /// What must hold for this experiment, beside what must for its trials.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    /// Curves over time, if it has any.
    fn curves(&self) -> Vec<Series> {
        Vec::new()
    }

    /// How its tables are to be read: lines of a list in Markdown.
    fn how_to_read(&self) -> String;

    /// As it stands in `summary.json`.
    fn json(&self) -> Value;
}

/// For [`Findings::json`].
#[must_use]
pub fn json(found: &impl Serialize) -> Value {
    // Our own types: string keys throughout and no writer that could fail.
    serde_json::to_value(found).unwrap_or_else(|error| Value::String(error.to_string()))
}
