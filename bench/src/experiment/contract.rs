//! What an experiment is: a question, the trials that answer it, and what is found in them.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use super::told::Told;
use crate::archive::Archive;
use crate::axes::rung::CallBy;
use crate::figure::check::Check;
use crate::figure::curve::Series;
use crate::figure::interval::{Interval, MARGIN};
use crate::figure::power::Said;
use crate::figure::table::Grid;
use crate::figure::tail::Tail;
use crate::figure::unit::ratio;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::trial::spec::Spec;

/// An experiment, by what it says of itself. Its folder has everything that is about it; its row in [`super::ALL`] makes
/// it known.
pub trait Asks: Sync {
    /// What plans and files call it.
    const NAME: &'static str;
    /// What the command line calls it.
    const COMMAND: &'static str = Self::NAME;
    /// The question it answers.
    const QUESTION: &'static str;
    /// Its built-in plans: name and choices in TOML. The first is its default, the others are laid over that. `quick` is
    /// what `--quick` takes, `lab` what the lab takes.
    const PLANS: &'static [(&'static str, &'static str)];
    /// Keys it looks at although its default plan leaves them open.
    const BESIDE: &'static [&'static str];
    /// Whether every report has to name pages.
    const NAMES_PAGES: bool = true;
    /// Why it cannot be asked of a machine whose counter counts instructions, if it cannot.
    const NOT_COUNTED: Option<&'static str> = None;

    /// What it finds.
    type Found: Findings + Serialize + JsonSchema + 'static;

    /// What is compared with what: every trial of a block, for a host that is called by `call`. The seeds are the
    /// schedule's.
    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec>;

    /// Whether the choices mean something to this experiment, beyond each being a value of its kind.
    ///
    /// # Errors
    /// [`PlanError::Value`] names the first that does not.
    fn check(_: &Keys) -> Result<(), PlanError> {
        Ok(())
    }
}

/// [`Asks`] as a value.
pub trait Experiment: Sync {
    /// [`Asks::NAME`].
    fn name(&self) -> &'static str;
    /// [`Asks::COMMAND`].
    fn command(&self) -> &'static str;
    /// [`Asks::QUESTION`].
    fn question(&self) -> &'static str;
    /// [`Asks::PLANS`].
    fn plans(&self) -> &'static [(&'static str, &'static str)];
    /// [`Asks::BESIDE`].
    fn beside(&self) -> &'static [&'static str];
    /// [`Asks::NAMES_PAGES`].
    fn names_pages(&self) -> bool;
    /// [`Asks::NOT_COUNTED`].
    fn not_counted(&self) -> Option<&'static str>;
    /// [`Asks::cells`].
    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec>;
    /// [`Asks::check`].
    ///
    /// # Errors
    /// As that.
    fn check(&self, keys: &Keys) -> Result<(), PlanError>;
    /// What the trials of a run show, and the same as it stands in `summary.json`.
    fn found(&self, archive: &Archive) -> (Box<dyn Findings>, Value);
    /// The schema of the latter.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
}

impl<A: Asks> Experiment for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn command(&self) -> &'static str {
        A::COMMAND
    }

    fn question(&self) -> &'static str {
        A::QUESTION
    }

    fn plans(&self) -> &'static [(&'static str, &'static str)] {
        A::PLANS
    }

    fn beside(&self) -> &'static [&'static str] {
        A::BESIDE
    }

    fn names_pages(&self) -> bool {
        A::NAMES_PAGES
    }

    fn not_counted(&self) -> Option<&'static str> {
        A::NOT_COUNTED
    }

    fn cells(&self, keys: &Keys, call: CallBy) -> Vec<Spec> {
        A::cells(keys, call)
    }

    fn check(&self, keys: &Keys) -> Result<(), PlanError> {
        A::check(keys)
    }

    fn found(&self, archive: &Archive) -> (Box<dyn Findings>, Value) {
        let found = A::Found::of(archive);
        // Our own types: string keys throughout and no writer that could fail.
        let json = serde_json::to_value(&found).unwrap_or_else(|error| Value::String(error.to_string()));
        (Box::new(found), json)
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<A::Found>()
    }
}

/// A comparison that a run is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Crux {
    /// What is compared with what.
    pub what: String,
    /// The difference.
    pub interval: Interval,
    /// What is said of it.
    pub said: Said,
}

impl Crux {
    /// How far its interval reaches to either side, as a share of what the difference is held against; `None` if it is of
    /// too few blocks.
    #[must_use]
    pub fn reach(&self) -> Option<f64> {
        let half = (self.interval.high - self.interval.low) / 2.0;
        self.interval.is_known().then(|| MARGIN * ratio(half, self.said.margin))
    }
}

/// How far the widest of them reaches; `None` if there is none, or one of too few blocks.
#[must_use]
pub fn widest(cruxes: &[Crux]) -> Option<f64> {
    let reaches: Option<Vec<f64>> = cruxes.iter().map(Crux::reach).collect();
    reaches?.into_iter().reduce(f64::max)
}

/// What an experiment found; how that is told is [`Told`].
pub trait Findings: Told {
    /// What the trials of a run show.
    fn of(archive: &Archive) -> Self
    where
        Self: Sized;

    /// Its tables, the most important first.
    fn tables(&self) -> Vec<Grid>;

    /// Tables that only the report has.
    fn details(&self) -> Vec<Grid> {
        Vec::new()
    }

    /// The most comparisons that one of its tables is corrected for; 0 if it compares nothing.
    fn comparisons(&self) -> usize {
        0
    }

    /// The comparisons that the run is about, if it can say which; what `until` and `require` are asked of.
    fn cruxes(&self) -> Vec<Crux> {
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

    /// Distributions by nines, if it has any.
    fn tails(&self) -> Vec<Tail> {
        Vec::new()
    }

    /// How its tables are to be read: lines of a list in Markdown.
    fn how_to_read(&self) -> String {
        HOW_TO_READ.to_owned()
    }
}

/// How tables of the engine's experiments are to be read.
pub const HOW_TO_READ: &str = "\
- *n* is the number of blocks, each of which ran every cell once in an order drawn by the seed; a change is the middle over blocks of the change in \
that block, with its 95 % interval over blocks. `~` marks a change that cannot be told from none by an exact signed-rank test, corrected for the comparisons of the table.
- *operations a second* are what every virtual processor did in its window, added up. *absent* is a guest without reporting compiled in; *off* has it \
and does not use it.
- Blocks are buddy blocks of the order said; quantiles are of all trials of a cell together.
";
