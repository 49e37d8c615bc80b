//! A plan: an experiment and its choices. Layers, each over the one before: the built-in plan of the experiment
//! (`bench/plans`), another built-in one or a plan file, flags.

mod error;
pub mod estimate;
pub mod keys;
pub mod schedule;
pub mod spec;
pub mod until;

use std::io;
use std::path::Path;
use std::time::Duration;

use abi::addr::Order;
use host::engine::Load;
use schemars::JsonSchema;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
pub use error::{MAX_TRIALS, PlanError, bad};
use keys::Keys;
use until::{MOST_BLOCKS, Span, Until};

/// The most blocks a plan may have.
const MAX_BLOCKS: u32 = 100_000;
/// A day.
const MAX_MINUTES: f64 = 24.0 * 60.0;
/// The same.
const MAX_DELAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Which trials to run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub schema_version: u32,
    /// What is asked: the name of an experiment.
    pub experiment: String,
    /// What the run directory is called after.
    pub name: String,
    /// Everything that can be chosen.
    pub choices: Keys,
}

impl Plan {
    /// The plan in a file, as it stands there.
    ///
    /// # Errors
    /// [`PlanError`] if it cannot be read or is no plan; its values are not yet checked.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        Self::parse(std::fs::read(path), path)
    }

    /// The plan in a file that has been read, with values that can be used.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::validate`], with the file.
    pub fn parse_valid(text: io::Result<Vec<u8>>, path: &Path) -> Result<Self, PlanError> {
        let plan = Self::parse(text, path)?;
        let invalid = |source| PlanError::Invalid { path: path.to_owned(), source: Box::new(source) };
        plan.validate().map_err(invalid)?;
        Ok(plan)
    }

    /// The version is looked at before anything else: a file of another version may differ in everything but that.
    fn parse(text: io::Result<Vec<u8>>, path: &Path) -> Result<Self, PlanError> {
        let utf8 =
            |text| String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        let text = text.and_then(utf8).map_err(|source| PlanError::Read {
            path: path.to_owned(),
            source,
            change: "put the file back that the run began with".to_owned(),
        })?;
        let syntax =
            |source| PlanError::Syntax { origin: path.display().to_string(), source: Box::new(source) };
        let table: toml::Table = text.parse().map_err(syntax)?;
        let version = table.get("schema-version").and_then(toml::Value::as_integer);
        match version.filter(|version| *version != i64::from(SCHEMA_VERSION)) {
            Some(version) => bad_version(version, &path.display().to_string()),
            None => toml::from_str(&text).map_err(syntax),
        }
    }

    /// The plan as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Numbers, strings and lists of them: there is nothing in a valid plan that TOML cannot hold.
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The seed, from which everything random follows.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.choices.seed.unwrap_or(1)
    }

    /// Rounds, if the plan does not go by time.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.choices.blocks.unwrap_or(1)
    }

    /// How long to go on, if it goes by time.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.choices.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }

    /// Whether it goes on until its intervals are narrow, and its tests are those of such a run.
    #[must_use]
    pub fn is_sequential(&self) -> bool {
        matches!(self.choices.until, Some(Until::Narrow(_)))
    }

    /// The most time of a run that adds blocks until it knows enough.
    #[must_use]
    pub fn within(&self) -> Span {
        match self.choices.until {
            Some(Until::Over(span)) => span,
            _ => self.choices.within.unwrap_or(Span::HALF_AN_HOUR),
        }
    }

    /// Whether every key has a value that can be used, whatever the experiment.
    ///
    /// # Errors
    /// [`PlanError::Value`] names the first that has not.
    pub fn validate(&self) -> Result<(), PlanError> {
        let keys = &self.choices;
        if self.schema_version != SCHEMA_VERSION {
            return bad_version(self.schema_version, "it");
        }
        if !is_name(&self.name) {
            let change =
                "use 1 to 64 letters, digits, dashes, dots and underscores: a directory is called after it";
            return bad("name", format!("{:?}", self.name), change);
        }
        if i64::try_from(self.seed()).is_err() {
            return bad("seed", self.seed(), "use at most 9223372036854775807, TOML's largest integer");
        }
        if self.blocks() == 0 || self.blocks() > MAX_BLOCKS {
            return bad("blocks", self.blocks(), &format!("use 1 to {MAX_BLOCKS}"));
        }
        until(self)?;
        if let Some(minutes) = keys.minutes
            && !(minutes > 0.0 && minutes <= MAX_MINUTES)
        {
            return bad("minutes", minutes, &format!("use more than 0, up to {MAX_MINUTES}"));
        }
        for (key, value) in table(keys)? {
            let Some(values) = value.as_array() else { continue };
            let different = values.iter().enumerate().filter(|(at, value)| !values[..*at].contains(value));
            let (different, len) = (different.count(), values.len());
            if different == 0 || different != len {
                let value = format!("a list of {len}, {different} of them different");
                return bad(key, value, "name each once, and at least one");
            }
        }
        if let Some(delay) = keys.delays_ms.iter().flatten().find(|delay| **delay > MAX_DELAY_MS) {
            return bad("delays-ms", delay, &format!("use at most {MAX_DELAY_MS}, a day"));
        }
        let orders: [(_, &[u8]); 5] = [
            ("units", keys.units.as_deref().unwrap_or_default()),
            ("orders", keys.orders.as_deref().unwrap_or_default()),
            ("unit", keys.unit.as_slice()),
            ("min-order", keys.min_order.as_slice()),
            ("order", keys.order.as_slice()),
        ];
        for (key, order) in
            orders.into_iter().flat_map(|(key, orders)| orders.iter().map(move |order| (key, *order)))
        {
            if let Err(error) = Order::new(u64::from(order)) {
                return bad(key, order, &error.to_string());
            }
        }
        Ok(())
    }
}

/// What goes with `until`, and what means nothing without it.
fn until(plan: &Plan) -> Result<(), PlanError> {
    let keys = &plan.choices;
    match (keys.until, keys.within) {
        (None, Some(within)) => bad("within", within, "it is the most that until may take: give until too"),
        (Some(Until::Over(span)), Some(within)) => {
            bad("within", within, &format!("until {span} is a time already: leave out one"))
        }
        (Some(_), _) if plan.blocks() > MOST_BLOCKS => {
            bad("blocks", plan.blocks(), &format!("with until, use 1 to {MOST_BLOCKS}"))
        }
        _ => Ok(()),
    }
}

/// Writes what a plan gives and not what it leaves open, which only TOML leaves out by itself.
///
/// # Errors
/// As the serializer, and if a number is larger than TOML's.
pub fn given<S: Serializer>(plan: &Plan, serializer: S) -> Result<S::Ok, S::Error> {
    toml::Table::try_from(plan).map_err(S::Error::custom)?.serialize(serializer)
}

/// Refuses rungs beside the first, where one is asked of.
///
/// # Errors
/// [`PlanError::Value`].
pub fn one_rung(keys: &Keys) -> Result<(), PlanError> {
    match keys.rungs().count() {
        0 | 1 => Ok(()),
        many => bad("rungs", format!("a list of {many}"), "this is asked of one transport: name one"),
    }
}

/// Refuses a rung of whose reports one in hundreds makes the call, where medians are compared.
///
/// # Errors
/// [`PlanError::Value`].
pub fn each_report_calls(keys: &Keys) -> Result<(), PlanError> {
    match keys.rungs().find(|rung| rung.exits_a_report(1, Order::PAGE).is_none()) {
        Some(rung) => bad(
            "rungs",
            Named(rung),
            "one report in hundreds makes its call, which no median shows; ask `pagehint coalescing`, which compares means",
        ),
        None => Ok(()),
    }
}

/// Refuses a load that is over when its memory has been freed, where one has to go on for a window.
///
/// # Errors
/// [`PlanError::Value`].
pub fn timed_loads(key: &'static str, loads: &[Named<Load>]) -> Result<(), PlanError> {
    match loads.iter().find(|load| !load.0.is_timed()) {
        Some(load) => bad(key, load, "this takes loads that go on for a window: page_fault1, churn"),
        None => Ok(()),
    }
}

/// Whether a directory can be called after it.
fn is_name(name: &str) -> bool {
    let speaks = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 64 && name.chars().all(speaks)
}

fn bad_version<T>(version: impl ToString, of: &str) -> Result<T, PlanError> {
    let change = format!("this pagehint reads version {SCHEMA_VERSION}; use the one that wrote {of}");
    bad("schema-version", version, &change)
}

/// The keys that are given, as a plan file has them.
///
/// # Errors
/// [`PlanError::Value`] names the number that no TOML can hold.
pub fn table(keys: &Keys) -> Result<toml::Table, PlanError> {
    toml::Table::try_from(keys).map_err(|error| {
        let is_too_large = |value: &serde_json::Value| match value {
            serde_json::Value::Array(values) => {
                values.iter().any(|value| i64::try_from(value.as_u64().unwrap_or_default()).is_err())
            }
            value => i64::try_from(value.as_u64().unwrap_or_default()).is_err(),
        };
        let json = serde_json::to_value(keys).unwrap_or_default();
        let key = json.as_object().into_iter().flatten().find(|(_, value)| is_too_large(value));
        let (key, value) = key.map_or(("a choice".to_owned(), error.to_string()), |(key, value)| {
            (key.clone(), value.to_string())
        });
        PlanError::Value { key: key.into(), value, change: format!("use at most {}", i64::MAX) }
    })
}

/// The keys of such a table.
///
/// # Errors
/// [`PlanError::Syntax`] if one has a value of another kind.
pub fn keys_of(table: toml::Table) -> Result<Keys, PlanError> {
    Keys::deserialize(table)
        .map_err(|source| PlanError::Syntax { origin: "the choices".to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::rung::Rung;

    fn plan() -> Plan {
        let choices = Keys { blocks: Some(2), batch: Some(7), arena: Some(64 << 20), ..Keys::default() };
        Plan { schema_version: SCHEMA_VERSION, experiment: "ladder".into(), name: "test".into(), choices }
    }

    #[test]
    fn a_plan_written_out_is_the_same_plan() {
        let mut plan = plan();
        plan.choices.seed = Some(i64::MAX as u64);
        assert_eq!(toml::from_str::<Plan>(&plan.to_toml()).unwrap(), plan);
    }

    #[test]
    fn values_are_checked() {
        let refused = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            plan.validate().unwrap_err().to_string()
        };
        plan().validate().unwrap();
        let rungs = |rungs: &[Rung]| Some(rungs.iter().copied().map(Named).collect());
        assert!(refused(&|plan| plan.schema_version = 2).contains("reads version 3"));
        assert!(refused(&|plan| plan.name = "../up".into()).contains("letters"));
        assert!(refused(&|plan| plan.choices.seed = Some(u64::MAX)).contains("9223372036854775807"));
        assert!(refused(&|plan| plan.choices.blocks = Some(0)).contains("blocks is 0"));
        assert!(refused(&|plan| plan.choices.minutes = Some(f64::NAN)).contains("minutes"));
        assert!(refused(&|plan| plan.choices.rungs = Some(vec![])).contains("at least one"));
        assert!(
            refused(&|plan| plan.choices.rungs = rungs(&[Rung::Floor; 2])).contains("1 of them different")
        );
        assert!(refused(&|plan| plan.choices.pcps = Some(vec![])).contains("pcps is a list of 0"));
        assert!(refused(&|plan| plan.choices.units = Some(vec![11])).contains("order 11"));
    }

    #[test]
    fn a_key_that_is_none_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        let text = "experiment = \"rate\"\nschema-version = 3\nname = \"x\"\n[choices]\nbach = 3\n";
        std::fs::write(&path, text).unwrap();
        let error = Plan::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("bach"), "{error}");
        std::fs::write(&path, text.replace("version = 3", "version = 2")).unwrap();
        let error = Plan::read(&path).unwrap_err().to_string();
        assert!(error.contains("schema-version is 2") && error.contains("plan.toml"), "{error}");
    }
}
