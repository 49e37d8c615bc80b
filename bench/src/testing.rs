//! Fakes for tests: a host, trials, executors that need no KVM, and whole runs with them.

pub(crate) mod engine;
mod engine_pipeline;
mod pipeline;
pub(crate) mod timed;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::experiment;
use crate::figure::check::Standing;
use crate::plan::Plan;
use crate::plan::keys::Keys;
use crate::report::summary::{Shown, Summary};
use crate::report::{Report, ReportError};
use crate::run::executor::{Executor, run_all};
use crate::run::journal::Journal;
use crate::run::listener::{Listener, Tally};
use crate::site::calls::Calls;
use crate::site::environment::Environment;
use crate::trial::record::TrialRecord;

/// Hears how many trials were left after each.
struct Count(Vec<usize>);

impl Listener for Count {
    fn ended(&mut self, _: &TrialRecord, left: usize) {
        self.0.push(left);
    }
}

/// The quick plan of an experiment with some choices changed, as the fake host runs it.
pub(crate) fn plan(name: &str, keys: &Keys) -> Plan {
    let experiment = experiment::named(name).unwrap();
    let plan = experiment.with(experiment.plan(Some("quick")).unwrap(), keys).unwrap();
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
    let tally = run_all(&slots, most, executor, &stop, &mut journal, &mut count).unwrap();
    assert_eq!(count.0.len(), tally.measured + tally.failed);
    tally
}

/// How a check came out.
pub(crate) fn standing(summary: &Summary, what: &str) -> Standing {
    summary.checks.iter().find(|check| check.what.contains(what)).expect(what).standing
}

/// Derives everything from a run directory and writes it there.
pub(crate) fn rebuild(directory: &Path) -> Result<Shown, ReportError> {
    let report = Report::of(directory)?;
    report.write(directory)?;
    Ok(report.shown)
}
