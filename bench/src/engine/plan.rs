//! A plan for the engine: an experiment and its choices. Layers, each over the one before: the built-in plan of the
//! experiment (`bench/plans/engine`), what makes it quick, a plan file, flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::axes::Axis;
use abi::engine::VCPUS_MAX;
use abi::engine::map::Map;
use host::axes::{Backing, Coalesce, Discard, RingChoice, Way};
use host::engine::{EngineSpec, Load, Reporting, Shuffle, Walk};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells;
use super::executor;
use super::experiment::Experiment;
use super::keys::{Keys, optional};
use crate::SCHEMA_VERSION;
use crate::axis::Named;
use crate::ladder::{CallBy, Rung, Transport};

/// The most blocks a plan may have.
const MAX_BLOCKS: u32 = 10_000;
/// A day.
const MAX_MINUTES: f64 = 24.0 * 60.0;
/// What a single trial has if nothing else is said: as in Linux, but for the delay, which is 2 s there and longer than
/// the window.
const CAPACITY: u16 = 32;
const BUDGET: u64 = 16;
const DELAY: Duration = Duration::from_millis(100);
const WARMUP: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(10);
/// Footprints are whole largest blocks.
const GRAIN: u64 = Order::MAX.pages() * PAGE_SIZE;

/// Which trials of the engine to run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnginePlan {
    /// Version of this format.
    pub schema_version: u32,
    /// What is asked.
    pub experiment: Named<Experiment>,
    /// What the run directory is called after.
    pub name: String,
    /// Everything that can be chosen.
    pub choices: Keys,
}

/// Why there is no plan. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum EnginePlanError {
    /// The file cannot be read.
    #[error("the plan {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no plan.
    #[error("{origin} is not a plan of the engine: {source}see `pagehint schema engine-plan` for the keys", source = .source.to_string().trim_end().to_owned() + "\n")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// A plan for something else.
    #[error("{origin} is a plan for {found}, not for {asked}: name {found}, or give another plan", found = .found.name(), asked = .asked.name())]
    Other {
        /// Where it came from.
        origin: String,
        /// What it is for.
        found: Experiment,
        /// What was asked for.
        asked: Experiment,
    },
    /// A choice that would change nothing.
    #[error("{key} means nothing to {experiment}: leave it out", experiment = .experiment.name())]
    Meaningless {
        /// The key.
        key: String,
        /// The experiment.
        experiment: Experiment,
    },
    /// A key has a value that cannot be used.
    #[error("{key} is {value}: {change}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to change.
        change: String,
    },
    /// A trial of the plan cannot be run.
    #[error("a trial of {experiment} cannot be run ({cell}): {source}", experiment = .experiment.name())]
    Trial {
        /// The experiment.
        experiment: Experiment,
        /// Which trial.
        cell: String,
        /// Why not.
        source: executor::Refusal,
    },
    /// The machine counts instructions.
    #[error(
        "the engine is measured in time and waits for it, and this machine counts instructions: use a real one, or `pagehint lab --clock wall`"
    )]
    Instructions,
}

impl EnginePlan {
    /// The built-in plan of an experiment, or its quick one.
    ///
    /// # Errors
    /// None in practice: a test reads them all.
    pub fn built_in(experiment: Experiment, quick: bool) -> Result<Self, EnginePlanError> {
        let (text, quick_text) = texts(experiment);
        let name = experiment.name().to_owned();
        let choices = parse_keys(&format!("the built-in plan {name}"), text)?;
        let plan = Self { schema_version: SCHEMA_VERSION, experiment: Named(experiment), name, choices };
        if !quick {
            return Ok(plan);
        }
        let name = format!("{}-quick", plan.name);
        let over = parse_keys(&format!("the built-in plan {name}"), quick_text)?;
        Ok(Self { name, ..plan.with(&over)? })
    }

    /// The same with what a plan file says.
    ///
    /// # Errors
    /// [`EnginePlanError`] if it cannot be read, is no plan, or is one for another experiment.
    pub fn with_file(self, path: &Path) -> Result<Self, EnginePlanError> {
        let file = Self::read(path)?;
        let (found, asked) = (file.experiment.0, self.experiment.0);
        if found != asked {
            return Err(EnginePlanError::Other { origin: path.display().to_string(), found, asked });
        }
        let plan = self.with(&file.choices)?;
        Ok(Self { name: file.name, schema_version: file.schema_version, ..plan })
    }

    /// The plan in a file, as it stands there.
    ///
    /// # Errors
    /// [`EnginePlanError`] if it cannot be read or is no plan; its values are not yet checked.
    pub fn read(path: &Path) -> Result<Self, EnginePlanError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| EnginePlanError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| EnginePlanError::Syntax {
            origin: path.display().to_string(),
            source: Box::new(source),
        })
    }

    /// The same with other choices; every one that is made must mean something to the experiment.
    ///
    /// # Errors
    /// [`EnginePlanError::Meaningless`].
    pub fn with(self, keys: &Keys) -> Result<Self, EnginePlanError> {
        let experiment = self.experiment.0;
        let mut table = table(&self.choices)?;
        for (key, value) in self::table(keys)? {
            if !table.contains_key(&key) && !optional(experiment).contains(&key.as_str()) {
                return Err(EnginePlanError::Meaningless { key, experiment });
            }
            table.insert(key, value);
        }
        let choices = Keys::deserialize(table).map_err(|source| EnginePlanError::Syntax {
            origin: "the choices".to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { choices, ..self })
    }

    /// The plan as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Numbers, strings and lists of them: there is nothing in a valid plan that TOML cannot hold.
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The plan as a host with so many processors runs it that calls its host by `call`: nothing is left open, and
    /// everything is checked before a virtual machine is started for it.
    ///
    /// # Errors
    /// [`EnginePlanError`] names the first key that will not do, or the first trial that cannot be run.
    pub fn on(mut self, processors: u32, call: CallBy) -> Result<Self, EnginePlanError> {
        let alone = self.experiment.0 == Experiment::Run && self.choices.load == Some(Named(Load::Comb));
        self.choices.vcpus.get_or_insert(if alone { 1 } else { processors.clamp(1, VCPUS_MAX) });
        self.validate_keys()?;
        for spec in cells::of(&self, call) {
            executor::validate(&spec).map_err(|source| EnginePlanError::Trial {
                experiment: self.experiment.0,
                cell: super::choices::Choices::from(&spec).tag(),
                source,
            })?;
        }
        Ok(self)
    }

    fn validate_keys(&self) -> Result<(), EnginePlanError> {
        let bad = |key, value: String, change: &str| {
            Err(EnginePlanError::Value { key, value, change: change.to_owned() })
        };
        let keys = &self.choices;
        if self.schema_version != SCHEMA_VERSION {
            let change = format!("this pagehint reads version {SCHEMA_VERSION}");
            return bad("schema-version", self.schema_version.to_string(), &change);
        }
        if !crate::plan::is_name(&self.name) {
            let change =
                "use 1 to 64 letters, digits, dashes, dots and underscores: a directory is called after it";
            return bad("name", format!("{:?}", self.name), change);
        }
        match keys.blocks {
            Some(blocks) if blocks == 0 || blocks > MAX_BLOCKS => {
                return bad("blocks", blocks.to_string(), &format!("use 1 to {MAX_BLOCKS}"));
            }
            _ => {}
        }
        if let Some(minutes) = keys.minutes
            && !(minutes > 0.0 && minutes <= MAX_MINUTES)
        {
            return bad("minutes", minutes.to_string(), &format!("use more than 0, up to {MAX_MINUTES}"));
        }
        for rung in keys.rungs.iter().flatten() {
            if !rung.0.names_pages() {
                return bad(
                    "rungs",
                    rung.to_string(),
                    "it names no pages; use hypercall-each or a later rung",
                );
            }
        }
        for (key, lengths) in [
            ("rungs", keys.rungs.as_ref().map(Vec::len)),
            ("units", keys.units.as_ref().map(Vec::len)),
            ("walks", keys.walks.as_ref().map(Vec::len)),
            ("shuffles", keys.shuffles.as_ref().map(Vec::len)),
            ("lengths", keys.lengths.as_ref().map(Vec::len)),
            ("orders", keys.orders.as_ref().map(Vec::len)),
            ("capacities", keys.capacities.as_ref().map(Vec::len)),
            ("delays-ms", keys.delays_ms.as_ref().map(Vec::len)),
            ("loads", keys.loads.as_ref().map(Vec::len)),
        ] {
            if lengths == Some(0) {
                return bad(key, "empty".to_owned(), "name at least one");
            }
        }
        let orders = [&keys.units, &keys.orders].into_iter().flatten().flatten();
        for order in orders.chain(keys.unit.iter()).chain(keys.min_order.iter()) {
            if let Err(error) = Order::new(u64::from(*order)) {
                return bad("an order", order.to_string(), &error.to_string());
            }
        }
        if self.experiment.0 == Experiment::Soak
            && let Some(load) = keys.loads.iter().flatten().find(|load| !load.0.is_timed())
        {
            return bad("loads", load.to_string(), "a soak takes loads that are timed: page_fault1, churn");
        }
        if self.experiment.0 == Experiment::Walk && keys.load.is_some_and(|load| !load.0.is_timed()) {
            return bad("load", "not timed".to_owned(), "the second part takes page_fault1 or churn");
        }
        if self.experiment.0 == Experiment::Walk
            && keys.walks.iter().flatten().all(|walk| !walk.0.walks_lists())
        {
            return bad(
                "walks",
                "without any that walks lists".to_owned(),
                "name rewalk, boundary or rotation",
            );
        }
        Ok(())
    }

    /// The seed, from which everything random follows.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.choices.seed.unwrap_or(1)
    }

    /// How long to go on, if it goes by time.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.choices.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }

    /// The rungs it names.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        self.choices.rungs.iter().flatten().map(|rung| rung.0)
    }

    /// A trial with the plan's choices over this rung. What it leaves open is as in an ordinary guest, or means nothing
    /// where nothing looks at it.
    #[must_use]
    pub fn spec(&self, rung: Rung, call: CallBy) -> EngineSpec {
        let keys = &self.choices;
        let Transport { carrier, doorbell, servicer, completion } = rung.transport(call);
        let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
        let order = |order: Option<u8>| Order::new(u64::from(order.unwrap_or_default())).unwrap_or_default();
        let vcpus = keys.vcpus.unwrap_or(1);
        let memory = keys.memory.unwrap_or_default();
        let ordinary = EngineSpec {
            way: Way {
                carrier: keys.carrier.map_or(carrier, |given| given.0),
                doorbell: keys.doorbell.map_or(doorbell, |given| given.0),
                servicer: keys.servicer.map_or(servicer, |given| given.0),
                completion: keys.completion.map_or(completion, |given| given.0),
                discard: keys.discard.map_or(Discard::DontNeed, |given| given.0),
                coalesce: keys.coalesce.map_or(Coalesce::Each, |given| given.0),
                backing: keys.backing.map_or(Backing::AnonThp, |given| given.0),
                guest_ring: keys.guest_ring.map_or(RingChoice::Auto, |given| given.0),
            },
            vcpus,
            memory,
            reporting: keys.reporting.map_or(Reporting::On, |given| given.0),
            walk: keys.walk.map_or(Walk::Rotation, |given| given.0),
            shuffle: Shuffle::None,
            min_order: order(keys.min_order),
            capacity: CAPACITY,
            queue_size: None,
            delay: DELAY,
            high_water: keys.walk.map_or(1, |walk| cells::high_water(walk.0)),
            budget: BUDGET,
            watermark: true,
            load: keys.load.map_or(Load::PageFault1, |given| given.0),
            unit: order(keys.unit),
            footprint: share_of(memory, vcpus, 4),
            rounds: 1,
            warmup: WARMUP,
            window: WINDOW,
            settle: ms(keys.settle_ms).unwrap_or(SETTLE),
            poison: keys.poison,
            offer_poison: false,
            watch: ms(keys.watch_ms),
            seed: 0,
        }
        .neutral();
        EngineSpec {
            shuffle: keys.shuffle.map_or(ordinary.shuffle, |given| given.0),
            capacity: keys.capacity.unwrap_or(ordinary.capacity),
            queue_size: keys.queue_size,
            delay: ms(keys.delay_ms).unwrap_or(ordinary.delay),
            high_water: keys.high_water.unwrap_or(ordinary.high_water),
            budget: keys.budget.unwrap_or(ordinary.budget),
            watermark: keys.watermark.unwrap_or(ordinary.watermark),
            footprint: keys.footprint.unwrap_or(ordinary.footprint),
            rounds: keys.rounds.unwrap_or(ordinary.rounds),
            warmup: ms(keys.warmup_ms).unwrap_or(ordinary.warmup),
            window: ms(keys.window_ms).unwrap_or(ordinary.window),
            offer_poison: keys.offer_poison.unwrap_or(ordinary.offer_poison),
            ..ordinary
        }
    }

    /// Bytes for each virtual processor when all of them together have one `part`th of what the engine manages.
    #[must_use]
    pub fn share(&self, part: u64) -> u64 {
        let vcpus = self.choices.vcpus.unwrap_or(1);
        self.choices.footprint.unwrap_or(share_of(self.choices.memory.unwrap_or_default(), vcpus, part))
    }
}

/// Whole largest blocks, at least one.
fn share_of(memory: u64, vcpus: u32, part: u64) -> u64 {
    let managed = Map::new(memory / PAGE_SIZE).managed() * PAGE_SIZE;
    let each = managed / part / u64::from(vcpus.max(1));
    (each / GRAIN * GRAIN).max(GRAIN)
}

fn table(keys: &Keys) -> Result<toml::Table, EnginePlanError> {
    toml::Table::try_from(keys).map_err(|error| EnginePlanError::Value {
        key: "a number",
        value: "too large".to_owned(),
        change: error.to_string(),
    })
}

fn parse_keys(origin: &str, text: &str) -> Result<Keys, EnginePlanError> {
    toml::from_str(text)
        .map_err(|source| EnginePlanError::Syntax { origin: origin.to_owned(), source: Box::new(source) })
}

/// The built-in plan of an experiment, and what makes it quick.
fn texts(experiment: Experiment) -> (&'static str, &'static str) {
    macro_rules! texts {
        ($name:literal) => {
            (
                include_str!(concat!("../../plans/engine/", $name, ".toml")),
                include_str!(concat!("../../plans/engine/", $name, "-quick.toml")),
            )
        };
    }
    match experiment {
        Experiment::PageFaults => texts!("page-faults"),
        Experiment::Walk => texts!("walk"),
        Experiment::Memhog => texts!("memhog"),
        Experiment::Rate => texts!("rate"),
        Experiment::Sweep => texts!("sweep"),
        Experiment::Soak => texts!("soak"),
        Experiment::Run => texts!("run"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(experiment: Experiment) -> EnginePlan {
        EnginePlan::built_in(experiment, false).unwrap()
    }

    #[test]
    fn built_in_plans_can_be_run_however_this_host_calls() {
        for experiment in Experiment::ALL {
            for quick in [false, true] {
                for call in [CallBy::Port, CallBy::Hypercall] {
                    for processors in [1, 2, 64] {
                        let plan = EnginePlan::built_in(*experiment, quick).unwrap();
                        plan.on(processors, call).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_plan_written_out_is_the_same_plan() {
        for experiment in Experiment::ALL {
            let plan = plan(*experiment).on(2, CallBy::Port).unwrap();
            assert_eq!(toml::from_str::<EnginePlan>(&plan.to_toml()).unwrap(), plan);
        }
    }

    #[test]
    fn a_choice_that_changes_nothing_is_refused() {
        let rounds = Keys { rounds: Some(3), ..Keys::default() };
        let error = plan(Experiment::PageFaults).with(&rounds).unwrap_err().to_string();
        assert!(error.contains("rounds means nothing to page-faults"), "{error}");
        assert_eq!(plan(Experiment::Memhog).with(&rounds).unwrap().choices.rounds, Some(3));
    }

    #[test]
    fn values_are_checked_before_anything_starts() {
        let refused = |experiment, keys: Keys| {
            let plan = plan(experiment).with(&keys).unwrap();
            plan.on(2, CallBy::Port).unwrap_err().to_string()
        };
        let keys = Keys::default;
        let cases = [
            (Experiment::PageFaults, Keys { blocks: Some(0), ..keys() }, "blocks is 0"),
            (
                Experiment::PageFaults,
                Keys { rungs: Some(vec![Named(Rung::Floor)]), ..keys() },
                "names no pages",
            ),
            (Experiment::PageFaults, Keys { rungs: Some(vec![]), ..keys() }, "at least one"),
            (Experiment::PageFaults, Keys { units: Some(vec![11]), ..keys() }, "order 11"),
            (Experiment::PageFaults, Keys { capacity: Some(0), ..keys() }, "capacity"),
            (Experiment::PageFaults, Keys { delay_ms: Some(0), ..keys() }, "delay"),
            (
                Experiment::Run,
                Keys { capacity: Some(2), walk: Some(Named(Walk::Synchronous)), ..keys() },
                "means nothing",
            ),
            (Experiment::Soak, Keys { minutes: Some(f64::NAN), ..keys() }, "minutes"),
            (Experiment::Soak, Keys { loads: Some(vec![Named(Load::Comb)]), ..keys() }, "timed"),
            (Experiment::Walk, Keys { walks: Some(vec![Named(Walk::Synchronous)]), ..keys() }, "rewalk"),
            (Experiment::Run, Keys { vcpus: Some(9), ..keys() }, "8"),
        ];
        for (experiment, keys, expected) in cases {
            let said = refused(experiment, keys);
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn a_file_for_another_experiment_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        std::fs::write(&path, plan(Experiment::Rate).to_toml()).unwrap();
        let error = plan(Experiment::Walk).with_file(&path).unwrap_err().to_string();
        assert!(error.contains("for rate, not for walk"), "{error}");
        plan(Experiment::Rate).with_file(&path).unwrap();
        std::fs::write(
            &path,
            "experiment = \"rate\"\nschema-version = 2\nname = \"x\"\n[choices]\nbach = 3\n",
        )
        .unwrap();
        let error = plan(Experiment::Rate).with_file(&path).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("bach"), "{error}");
    }

    #[test]
    fn shares_are_whole_blocks_and_never_nothing() {
        assert_eq!(share_of(0, 1, 4), GRAIN);
        let half = share_of(512 << 20, 2, 2);
        assert!(half.is_multiple_of(GRAIN) && half > 100 << 20 && half <= 128 << 20, "{half}");
    }
}
