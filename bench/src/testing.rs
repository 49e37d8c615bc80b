//! Fakes for tests: a host, trials, executors that need no KVM, and whole runs with them.

mod coalescing;
mod companies;
pub(crate) mod engine;
mod engine_pipeline;
pub(crate) mod linux;
mod linux_pipeline;
mod model;
mod pages;
mod pipeline;
mod sequential;
pub(crate) mod timed;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use host::engine::{EngineOutcome, EngineSpec};
use host::kvm::{Counter, KvmError};
use host::linux::{LinuxError, LinuxOutcome};
use host::timed::{Observer, Outcome, TimedSpec};
use host::trial::TrialError;

use crate::archive::Archive;
use crate::experiment;
use crate::figure::check::Standing;
use crate::figure::interval::blocks_needed;
use crate::plan::Plan;
use crate::plan::keys::Keys;
use crate::report::summary::{Shown, Summary};
use crate::report::{Report, ReportError};
use crate::run::executor::{Executor, run_all};
use crate::run::journal::Journal;
use crate::run::listener::{Listener, Tally};
use crate::site::calls::Calls;
use crate::site::environment::Environment;
use crate::trial::linux::choices::LinuxTrial;
use crate::trial::record::TrialRecord;
use crate::trial::spec::Spec;

/// Hears how many trials were left after each.
struct Count(Vec<usize>);

impl Listener for Count {
    fn ended(&mut self, _: &TrialRecord, left: usize) {
        self.0.push(left);
    }
}

/// The quick plan of an experiment with some choices changed, as the fake host runs it.
pub(crate) fn plan(name: &str, keys: &Keys) -> Plan {
    plan_called("quick", name, keys)
}

/// The same of any built-in plan.
fn plan_called(plan: &str, name: &str, keys: &Keys) -> Plan {
    let experiment = experiment::named(name).unwrap();
    let plan = experiment.with(experiment.plan(Some(plan)).unwrap(), keys).unwrap();
    experiment.resolve(plan, 2, &Calls::on(&timed::facts())).unwrap()
}

/// Runs a plan into a directory.
pub(crate) fn run(
    directory: &Path,
    environment: &Environment,
    plan: &Plan,
    most: Option<Duration>,
    executor: &mut dyn Executor,
) -> Tally {
    let mut journal = Journal::create(directory, environment, plan).unwrap();
    let slots = experiment::named(&plan.experiment).unwrap().schedule(plan, environment.call());
    let (stop, mut count) = (AtomicBool::new(false), Count(Vec::new()));
    let (tally, kept) = run_all(&slots, most, executor, &stop, &mut journal, &mut count);
    kept.unwrap();
    assert_eq!(count.0.len(), tally.measured + tally.failed);
    tally
}

/// How a check came out.
pub(crate) fn standing(summary: &Summary, what: &str) -> Standing {
    summary.checks.iter().find(|check| check.what.contains(what)).expect(what).standing
}

/// However clear a difference is, a plan of too few blocks for its tables calls it none.
#[test]
fn built_in_plans_have_the_blocks_to_show_the_differences_they_ask_for() {
    let mut short = Vec::new();
    for experiment in experiment::ALL {
        for name in ["default", "quick"] {
            // What is compared with what does not depend on how often.
            let one = Keys { blocks: Some(1), ..Keys::default() };
            let asked = plan_called(name, experiment.name(), &Keys::default());
            let once =
                if asked.time().is_some() { continue } else { plan_called(name, experiment.name(), &one) };
            let directory = tempfile::tempdir().unwrap();
            let mut executors: [Box<dyn Executor>; 2] =
                [Box::new(timed::FakeExecutor::default()), Box::new(engine::FakeEngine::default())];
            let is_timed = |spec: &Spec| matches!(spec, Spec::Timed(_));
            let of_the_engine =
                !experiment.cells(&once.choices, timed::environment().call()).iter().any(is_timed);
            let executor = executors[usize::from(of_the_engine)].as_mut();
            run(directory.path(), &timed::environment(), &once, None, executor);
            let (found, _) = experiment.found(&Archive::open(directory.path()).unwrap());
            let needed = if found.comparisons() == 0 { 1 } else { blocks_needed(found.comparisons()) };
            if (asked.blocks() as usize) < needed {
                short.push(format!("{}-{name} needs {needed} blocks", experiment.name()));
            }
        }
    }
    assert!(short.is_empty(), "{short:?}");
}

/// A machine none of whose trials has an outcome.
struct Broken;

impl Executor for Broken {
    fn timed(&mut self, _: &TimedSpec, _: &mut dyn Observer) -> Result<Outcome, TrialError> {
        Err(TrialError::Kvm(KvmError::Missing))
    }

    fn engine(&mut self, _: &EngineSpec) -> Result<EngineOutcome, TrialError> {
        Err(TrialError::Kvm(KvmError::Missing))
    }

    fn linux(&mut self, _: &LinuxTrial) -> Result<LinuxOutcome, LinuxError> {
        Err(LinuxError::NoKernel)
    }

    fn counter(&self) -> Counter {
        Counter::Time
    }
}

#[test]
fn of_trials_without_an_outcome_nothing_holds_and_nothing_is_concluded() {
    for experiment in experiment::ALL {
        let plan = plan(experiment.name(), &Keys::default());
        let directory = tempfile::tempdir().unwrap();
        let most = plan.time().map(|_| Duration::ZERO);
        let tally = run(directory.path(), &timed::environment(), &plan, most, &mut Broken);
        assert!(tally.measured == 0 && tally.failed > 0, "{tally:?}");
        let Summary { checks, answer, .. } = rebuild(directory.path()).unwrap().summary;
        let holds: Vec<_> = checks.iter().filter(|check| check.standing == Standing::Holds).collect();
        assert!(holds.is_empty(), "{}: {holds:#?}", experiment.name());
        assert_eq!(answer, ["There is no answer: no trial has an outcome."], "{}", experiment.name());
    }
}

/// Derives everything from a run directory and writes it there.
pub(crate) fn rebuild(directory: &Path) -> Result<Shown, ReportError> {
    let report = Report::of(directory)?;
    pages::stands(&report);
    report.write(directory)?;
    Ok(report.shown)
}
