//! Every experiment, and how one is called up.
//!
//! To add one: its folder with an implementation of [`Experiment`], its plans in `bench/plans`, and its row in [`ALL`].

pub mod batch;
pub mod coalescing;
pub mod collateral;
pub mod contract;
pub mod cpu;
pub mod discards;
pub mod engine;
mod flags;
pub mod flush;
pub mod ladder;
pub mod least;
pub mod linux;
pub mod memhog;
pub mod page_faults;
pub mod rate;
pub mod same;
pub mod single;
pub mod soak;
pub mod stall;
pub mod sweep;
pub mod told;
pub mod vectored;
pub mod walk;

use std::collections::BTreeSet;
use std::path::Path;

use abi::layout::VCPUS_MAX;
use host::engine::Load;

use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::figure::number::mib;
use crate::figure::unit::{Unit, float};
use crate::plan::keys::Keys;
use crate::plan::schedule::{Slot, interleaved};
use crate::plan::until::MOST_BLOCKS;
use crate::plan::{MAX_TRIALS, Plan, PlanError, bad, keys_of, table};
use crate::site::calls::Calls;
use crate::trial::checks::Planned;
use crate::trial::spec::Spec;
use contract::Experiment;

/// Every experiment, in the order in which the command lists them.
pub const ALL: [&dyn Experiment; 19] = [
    &ladder::Ladder,
    &batch::Batches,
    &discards::Discards,
    &vectored::Vectored,
    &collateral::Collateral,
    &coalescing::Coalescing,
    &stall::Stall,
    &cpu::Cpu,
    &page_faults::PageFaults,
    &walk::Walks,
    &memhog::Memhog,
    &flush::Flush,
    &rate::Rates,
    &sweep::Sweep,
    &soak::Soak,
    &linux::LinuxGuests,
    &same::Same,
    &single::OneTimed,
    &single::OneEngine,
];

/// The experiment of that name.
///
/// # Errors
/// [`PlanError::NoSuchExperiment`].
pub fn named(name: &str) -> Result<&'static dyn Experiment, PlanError> {
    let found = ALL.into_iter().find(|experiment| experiment.name() == name);
    found.ok_or_else(|| PlanError::NoSuchExperiment { name: name.to_owned() })
}

impl dyn Experiment + '_ {
    /// The built-in plan called `name`, or the default one.
    ///
    /// # Errors
    /// [`PlanError::Value`] if there is none of that name.
    pub fn plan(&self, name: Option<&str>) -> Result<Plan, PlanError> {
        let [(_, default), others @ ..] = self.plans() else { return Err(self.no_plan("default")) };
        let choices = parse(self.name(), default)?;
        let plan = Plan {
            schema_version: SCHEMA_VERSION,
            experiment: self.name().to_owned(),
            name: self.name().to_owned(),
            choices,
        };
        let Some(name) = name.filter(|name| *name != "default") else { return Ok(plan) };
        let (_, over) = others.iter().find(|(known, _)| *known == name).ok_or_else(|| self.no_plan(name))?;
        let plan = self.with(plan, &parse(name, over)?)?;
        Ok(Plan { name: format!("{}-{name}", self.name()), ..plan })
    }

    /// The plan that is meant: a built-in one by its name, or a file.
    ///
    /// # Errors
    /// [`PlanError`] if it is neither, or a file for another experiment.
    pub fn plan_at(&self, path: &Path) -> Result<Plan, PlanError> {
        let name = path.to_str().filter(|name| !path.exists() && self.has_plan(name));
        if let Some(name) = name {
            return self.plan(Some(name));
        }
        let file = Plan::read(path).map_err(|error| match error {
            PlanError::Read { path, source, .. } => {
                let change = format!("give a TOML file, or one of the built-in plans: {}", self.plan_names());
                PlanError::Read { path, source, change }
            }
            error => error,
        })?;
        if file.experiment != self.name() {
            return Err(PlanError::Other {
                origin: path.display().to_string(),
                found: named(&file.experiment)?.command(),
                asked: self.command(),
            });
        }
        let plan = self.with(self.plan(None)?, &file.choices)?;
        Ok(Plan { name: file.name, schema_version: file.schema_version, ..plan })
    }

    /// The plan as a host runs it: nothing is left open, and everything is checked before a virtual machine is started
    /// for it.
    ///
    /// # Errors
    /// [`PlanError`] names the first key that will not do, or the first trial that cannot be run.
    pub fn resolve(&self, mut plan: Plan, processors: u32, calls: &Calls) -> Result<Plan, PlanError> {
        plan.validate()?;
        self.fill(&mut plan.choices, processors, calls);
        self.check(&plan.choices)?;
        for rung in plan.choices.rungs() {
            if self.names_pages() && !rung.names_pages() {
                return bad("rungs", Named(rung), "it names no pages; use hypercall-each or a later rung");
            }
            if let Some(reason) = calls.refusal(rung) {
                return Err(PlanError::NotHere { rung: Named(rung), reason: reason.to_owned() });
            }
        }
        let (cells, mut seen) = (self.cells(&plan.choices, calls.by), BTreeSet::new());
        for spec in &cells {
            let (experiment, cell) = (self.command(), spec.choices());
            spec.validate().map_err(|source| PlanError::Trial { experiment, cell: cell.tag(), source })?;
            if !seen.insert(cell) {
                return Err(PlanError::Twice { experiment, cell: cell.tag() });
            }
        }
        let trials = blocks(&plan, &cells).saturating_mul(cells.len() as u64);
        if trials > MAX_TRIALS {
            let unit = if plan.time().is_some() { "minutes" } else { "blocks" };
            return Err(PlanError::TooMany { trials, unit });
        }
        Ok(plan)
    }

    /// A plan with other choices; every one that is made must be among those the plan has, or those named beside.
    ///
    /// # Errors
    /// [`PlanError::Meaningless`].
    pub fn with(&self, plan: Plan, keys: &Keys) -> Result<Plan, PlanError> {
        let mut all = table(&plan.choices)?;
        for (key, value) in table(keys)? {
            if !all.contains_key(&key) && !self.beside().contains(&key.as_str()) {
                return Err(PlanError::Meaningless { key, experiment: self.command() });
            }
            all.insert(key, value);
        }
        Ok(Plan { choices: keys_of(all)?, ..plan })
    }

    /// Whether it can be asked of a machine whose counter counts instructions.
    ///
    /// # Errors
    /// [`PlanError::Instructions`].
    pub fn can_be_counted(&self) -> Result<(), PlanError> {
        match self.not_counted() {
            Some(why) => Err(PlanError::Instructions { experiment: self.command(), why }),
            None => Ok(()),
        }
    }

    /// Chooses what is left open by what the host is: the rungs it can run, its processors.
    fn fill(&self, keys: &mut Keys, processors: u32, calls: &Calls) {
        if self.looks_at("rungs") {
            keys.rungs.get_or_insert_with(|| calls.rungs().map(Named).collect());
        }
        // A timed trial has one processor unless more are asked for.
        if self.looks_at("vcpus") && self.looks_at("memory") {
            // A comb is one list, and made by one processor.
            let is_comb = keys.load == Some(Named(Load::Comb));
            keys.vcpus.get_or_insert(if is_comb { 1 } else { processors.clamp(1, VCPUS_MAX) });
        }
    }

    /// Under which choices an answer holds, as part of a sentence.
    #[must_use]
    pub fn scope(&self, keys: &Keys) -> String {
        let reports = keys.batch.zip(keys.workload).map(|(batch, workload)| {
            let orders = keys.orders.as_deref().unwrap_or(keys.order.as_slice()).iter();
            let orders: Vec<String> = orders.map(u8::to_string).collect();
            let order = if orders.is_empty() { "0".to_owned() } else { orders.join(" or ") };
            format!("{batch} ranges of order {order} a report and the {workload} workload")
        });
        let memory = keys
            .memory
            .map(|memory| format!("{} vCPUs and {} of memory", keys.vcpus.unwrap_or(1), mib(float(memory))));
        let asleep = keys.idle_us.filter(|idle| *idle > 0);
        let asleep = asleep
            .map(|idle| format!("{} of sleep before each", Unit::Nanoseconds.show(f64::from(idle) * 1e3)));
        reports.into_iter().chain(asleep).chain(memory).collect::<Vec<_>>().join(", ")
    }

    /// The trials of a plan in their order; more of them than there is time for, if it goes by time.
    #[must_use]
    pub fn schedule(&self, plan: &Plan, call: CallBy) -> Vec<Slot<Spec>> {
        let cells = self.cells(&plan.choices, call);
        // A plan that was resolved has no more; one that was written by hand since may.
        let most = MAX_TRIALS / (cells.len() as u64).max(1);
        let blocks = u32::try_from(blocks(plan, &cells).min(most)).unwrap_or(u32::MAX);
        interleaved(cells, blocks, plan.seed())
    }

    /// How much of it is to be run.
    #[must_use]
    pub fn planned(&self, plan: &Plan, call: CallBy) -> Planned {
        let trials = || self.cells(&plan.choices, call).len().saturating_mul(plan.blocks() as usize);
        plan.time().map_or_else(|| Planned::Trials(trials()), Planned::For)
    }

    /// Whether a built-in plan is called so.
    #[must_use]
    pub fn has_plan(&self, name: &str) -> bool {
        self.plans().iter().any(|(known, _)| *known == name)
    }

    /// Whether a key means something to it.
    #[must_use]
    pub fn looks_at(&self, key: &str) -> bool {
        let plans = self.plans().first().map(|(_, text)| text.parse::<toml::Table>());
        self.beside().contains(&key)
            || plans.is_some_and(|plan| plan.is_ok_and(|plan| plan.contains_key(key)))
    }

    fn plan_names(&self) -> String {
        self.plans().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn no_plan(&self, name: &str) -> PlanError {
        let change = format!("{} has {}; or give a file", self.command(), self.plan_names());
        PlanError::Value { key: "--plan".into(), value: name.to_owned(), change }
    }
}

/// The blocks of a plan; those that there may be time for at the most, if it goes by time.
fn blocks(plan: &Plan, cells: &[Spec]) -> u64 {
    if plan.choices.until.is_some() {
        return u64::from(MOST_BLOCKS);
    }
    let Some(time) = plan.time() else { return u64::from(plan.blocks()) };
    let a_block: u128 = cells.iter().map(|spec| spec.least_time().as_millis()).sum();
    u64::try_from(time.as_millis() / a_block.max(1) + 1).unwrap_or(u64::MAX)
}

fn parse(name: &str, text: &str) -> Result<Keys, PlanError> {
    toml::from_str(text).map_err(|source| PlanError::Syntax {
        origin: format!("the built-in plan {name}"),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::calls::InKernel;

    /// A host whose KVM answers no hypercall itself.
    fn silent(by: CallBy) -> Calls {
        Calls {
            by,
            in_kernel: InKernel::Not { reason: "the guest shut down".into() },
            halt_poll: Some(true),
            addresses: None,
            vhost: None,
            silent: Vec::new(),
        }
    }

    #[test]
    fn names_and_commands_are_one_experiments_each() {
        let names: BTreeSet<&str> = ALL.iter().map(|experiment| experiment.name()).collect();
        let commands: BTreeSet<&str> = ALL.iter().map(|experiment| experiment.command()).collect();
        assert_eq!((names.len(), commands.len()), (ALL.len(), ALL.len()));
        assert!(ALL.iter().all(|experiment| experiment.question().ends_with('?')));
        assert!(named("no-such").is_err_and(|error| error.to_string().contains("pagehint list")));
    }

    #[test]
    fn built_in_plans_can_be_run_however_this_host_calls() {
        for experiment in ALL {
            for (name, _) in experiment.plans() {
                for by in [CallBy::Port, CallBy::Hypercall] {
                    for calls in [
                        silent(by),
                        Calls { halt_poll: Some(true), in_kernel: InKernel::Answers, ..Calls::untried(by) },
                        Calls::untried(by),
                    ] {
                        for processors in [1, 2, 64] {
                            let plan = experiment.plan(Some(name)).unwrap();
                            let plan = experiment.resolve(plan, processors, &calls).unwrap();
                            assert_eq!(toml::from_str::<Plan>(&plan.to_toml()).unwrap(), plan);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_cell_is_there_twice_and_tags_tell_them_apart() {
        for experiment in ALL {
            let calls = silent(CallBy::Port);
            let plan = experiment.resolve(experiment.plan(None).unwrap(), 2, &calls).unwrap();
            let cells = experiment.cells(&plan.choices, CallBy::Port);
            assert!(!cells.is_empty(), "{}", experiment.name());
            let tags: BTreeSet<String> = cells.iter().map(|spec| spec.choices().tag()).collect();
            let choices: BTreeSet<_> = cells.iter().map(Spec::choices).collect();
            assert_eq!((tags.len(), choices.len()), (cells.len(), cells.len()), "{}", experiment.name());
            assert!(tags.iter().all(|tag| !tag.contains([' ', ','])));
        }
    }

    #[test]
    fn a_plan_for_another_experiment_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.toml");
        let rate = named("rate").unwrap();
        std::fs::write(&path, rate.plan(None).unwrap().to_toml()).unwrap();
        let error = named("walk").unwrap().plan_at(&path).unwrap_err().to_string();
        assert!(error.contains("for rate, not for walk"), "{error}");
        rate.plan_at(&path).unwrap();
        let error = rate.plan_at(Path::new("no-such-plan")).unwrap_err().to_string();
        assert!(error.contains("default, quick"), "{error}");
    }

    #[test]
    fn what_an_experiment_would_pass_over_is_refused() {
        let refused = |name: &str, keys: &str| {
            let experiment = named(name).unwrap();
            let plan = experiment.with(experiment.plan(None).unwrap(), &toml::from_str(keys).unwrap());
            experiment.resolve(plan.unwrap(), 2, &silent(CallBy::Port)).unwrap_err().to_string()
        };
        for name in ["same", "rate", "walk"] {
            let said = refused(name, "rungs = [\"virtio\", \"hypercall-batch\"]");
            assert_eq!(said, "rungs is a list of 2: this is asked of one transport: name one", "{name}");
        }
        for (name, key) in [("sweep", "load"), ("walk", "load"), ("soak", "loads")] {
            let value = if key == "load" { "\"memhog\"" } else { "[\"churn\", \"memhog\"]" };
            let said = refused(name, &format!("{key} = {value}"));
            assert!(said.starts_with(&format!("{key} is memhog: this takes loads that go on")), "{said}");
        }
    }

    #[test]
    fn a_plan_runs_no_cell_twice_and_no_more_trials_than_can_be_kept() {
        let resolve = |name: &str, keys: &str| {
            let experiment = named(name).unwrap();
            let plan = experiment.with(experiment.plan(None).unwrap(), &toml::from_str(keys).unwrap());
            experiment.resolve(plan.unwrap(), 2, &silent(CallBy::Port)).map_err(|error| error.to_string())
        };
        let said = resolve("sweep", "walk = \"synchronous\"").unwrap_err();
        assert!(said.contains("the same trial twice"), "{said}");
        resolve("sweep", "walk = \"synchronous\"\ncapacities = [1]").unwrap();
        let (most, said) =
            (resolve("soak", "minutes = 1440.0"), resolve("soak", "minutes = 1440.0\nwindow-ms = 1"));
        most.unwrap();
        let said = said.unwrap_err();
        assert!(said.contains("1000000 are the most") && said.contains("minutes"), "{said}");
        let said = resolve("sweep", "blocks = 10000").unwrap_err();
        assert!(said.contains("trials, and 1000000 are the most") && said.contains("blocks"), "{said}");
    }

    #[test]
    fn a_rung_the_host_cannot_run_is_refused_with_the_reason() {
        let ladder = named("ladder").unwrap();
        let keys: Keys = toml::from_str("rungs = [\"in-kernel\", \"floor\"]").unwrap();
        let plan = || ladder.with(ladder.plan(None).unwrap(), &keys).unwrap();
        let said = ladder.resolve(plan(), 2, &silent(CallBy::Port)).unwrap_err().to_string();
        assert!(said.contains("the guest shut down") && said.contains("leave in-kernel out"), "{said}");
        ladder.resolve(plan(), 2, &Calls::untried(CallBy::Port)).unwrap();
    }
}
