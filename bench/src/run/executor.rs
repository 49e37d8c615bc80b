//! Running trials one by one: the seam between the experiment and KVM.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use host::engine::{EngineOutcome, EngineSpec};
use host::kvm::Counter;
use host::linux::{LinuxError, LinuxOutcome};
use host::probe::Facts;
use host::timed::{Observer, Outcome, TimedSpec};
use host::trial::TrialError;

use super::journal::{Journal, JournalError};
use super::listener::{Listener, Tally};
use super::slowdown::Slowdown;
use crate::plan::schedule::Slot;
use crate::site::sentinel::Sentinel;
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::engine::tallies::Tallies;
use crate::trial::linux::choices::{Boots, LinuxTrial};
use crate::trial::linux::measured::LinuxMeasured;
use crate::trial::record::{Body, Ending, Stretch, TrialRecord};
use crate::trial::spec::{Series, Spec};
use crate::trial::timed::measured::TimedMeasured;
use crate::trial::timed::phases::PhaseHistograms;

/// Runs one trial. The real one is [`KvmExecutor`]; tests have one that needs no KVM.
pub trait Executor {
    /// Runs a timed trial and hands every measured report to `observer`.
    ///
    /// # Errors
    /// [`TrialError`] if it has no outcome.
    fn timed(&mut self, spec: &TimedSpec, observer: &mut dyn Observer) -> Result<Outcome, TrialError>;

    /// Runs a trial of the engine.
    ///
    /// # Errors
    /// [`TrialError`] if it has no outcome.
    fn engine(&mut self, spec: &EngineSpec) -> Result<EngineOutcome, TrialError>;

    /// Runs a trial of a Linux guest.
    ///
    /// # Errors
    /// [`LinuxError`] if it has no outcome; [`TrialError::Stopped`] in it if it was stopped.
    fn linux(&mut self, trial: &LinuxTrial) -> Result<LinuxOutcome, LinuxError>;

    /// What the counter of its machine counts.
    fn counter(&self) -> Counter;

    /// Who slows trials down, if anybody does.
    fn slowdown(&mut self) -> Option<&mut Slowdown> {
        None
    }

    /// Who looks at the machine before and after a trial, if anybody does.
    fn sentinel(&mut self) -> Option<&mut Sentinel> {
        None
    }
}

/// Runs trials on `/dev/kvm`.
pub struct KvmExecutor<'a> {
    /// What this host can do.
    pub facts: &'a Facts,
    /// Raised when the run is to stop.
    pub stop: Arc<AtomicBool>,
    /// Who slows trials down; nobody but in a build for that.
    pub slowdown: Option<Slowdown>,
    /// Who looks at the machine; nobody where nothing tells the time.
    pub sentinel: Option<Sentinel>,
    /// What Linux guests boot, if any are to be run, and whether what they say is shown.
    pub guest: Option<(Boots, bool)>,
}

impl Executor for KvmExecutor<'_> {
    fn timed(&mut self, spec: &TimedSpec, observer: &mut dyn Observer) -> Result<Outcome, TrialError> {
        host::timed::run(spec, self.facts, &self.stop, observer)
    }

    fn engine(&mut self, spec: &EngineSpec) -> Result<EngineOutcome, TrialError> {
        host::engine::run(spec, self.facts, &self.stop)
    }

    fn linux(&mut self, trial: &LinuxTrial) -> Result<LinuxOutcome, LinuxError> {
        // Whoever plans such trials sees to it; see `cli/experiment.rs`.
        let (boots, shows) = self.guest.as_ref().ok_or(LinuxError::NoKernel)?;
        let mut hear = |line: &str| {
            if *shows {
                // Should nobody hear it, the trial is run all the same.
                let _ = writeln!(std::io::stderr(), "| {line}");
            }
        };
        let ran = host::linux::run(&trial.spec(boots), self.facts, &self.stop, &mut hear);
        // Relaxed: the flag carries nothing with it. A guest that is kicked out dies of that.
        if self.stop.load(Ordering::Relaxed) { Err(TrialError::Stopped.into()) } else { ran }
    }

    fn counter(&self) -> Counter {
        self.facts.counter
    }

    fn slowdown(&mut self) -> Option<&mut Slowdown> {
        self.slowdown.as_mut()
    }

    fn sentinel(&mut self) -> Option<&mut Sentinel> {
        self.sentinel.as_mut()
    }
}

/// What is measured of single samples, trial after trial. Those of timed trials are allocated once, before the first.
struct Samples {
    phases: Option<PhaseHistograms>,
    tallies: Tallies,
}

impl Samples {
    fn new(slots: &[Slot<Spec>], counter: Counter) -> Self {
        let is_timed = slots.iter().any(|slot| matches!(slot.cell, Spec::Timed(_)));
        Self { phases: is_timed.then(|| PhaseHistograms::new(counter)), tallies: Tallies::default() }
    }

    /// Those of the last trial.
    fn series(&self, spec: &Spec) -> Box<dyn Iterator<Item = (Series, &Histogram<u64>)> + '_> {
        match spec {
            Spec::Timed(_) => {
                let phases = self.phases.iter().flat_map(PhaseHistograms::series);
                Box::new(phases.map(|(phase, histogram)| (Series::Phase(phase), histogram)))
            }
            Spec::Engine(_) => {
                Box::new(self.tallies.series().map(|(tally, histogram)| (Series::Tally(tally), histogram)))
            }
            Spec::Linux(_) => Box::new(std::iter::empty()),
        }
    }
}

/// When a run began, by either clock. The one on the wall may be set back meanwhile, and no trial may seem to have begun
/// before the one before it: it is read once.
#[derive(Clone, Copy)]
struct Began {
    at: SystemTime,
    clock: Instant,
}

/// Runs a schedule, up to the first trial that begins after `most` if there is such a limit. Every trial is in the
/// run directory before the next one starts; a trial that fails is recorded with its error and the run goes on. It does
/// not if the run directory cannot be written, which is what comes beside the tally then; the last trial counts all the
/// same.
pub fn run_all(
    slots: &[Slot<Spec>],
    most: Option<Duration>,
    executor: &mut dyn Executor,
    stop: &AtomicBool,
    journal: &mut Journal,
    listener: &mut dyn Listener,
) -> (Tally, Result<(), JournalError>) {
    let began = Began { at: SystemTime::now(), clock: Instant::now() };
    let mut samples = Samples::new(slots, executor.counter());
    let mut tally = Tally::default();
    for (done, slot) in slots.iter().enumerate() {
        if done > 0 && most.is_some_and(|most| began.clock.elapsed() >= most) {
            break;
        }
        // Relaxed: the flag carries nothing with it.
        let ended =
            if stop.load(Ordering::Relaxed) { None } else { run_one(slot, began, executor, &mut samples) };
        let Some(record) = ended else {
            tally.missing = if most.is_some() { 1 } else { slots.len() - done };
            break;
        };
        match record.error() {
            None => tally.measured += 1,
            Some(_) => tally.failed += 1,
        }
        let left = slots.len() - done - 1;
        if let Err(error) = journal.append(&record, samples.series(&slot.cell)) {
            tally.missing = left;
            return (tally, Err(error));
        }
        listener.ended(&record, left);
    }
    (tally, Ok(()))
}

/// Runs one trial and makes its record; `None` if it was stopped.
fn run_one(
    slot: &Slot<Spec>,
    began: Began,
    executor: &mut dyn Executor,
    samples: &mut Samples,
) -> Option<TrialRecord> {
    let spec = slot.cell.seeded(slot.seed);
    let slowed_ns = executor.slowdown().and_then(Slowdown::before_a_trial);
    let before = executor.sentinel().map(Sentinel::before);
    let clock = Instant::now();
    let started = began.at + clock.duration_since(began.clock);
    let body = match measure(&spec, executor, samples) {
        Ok(body) => body,
        Err(TrialError::Stopped) => return None,
        Err(error) => Body::failed(spec.choices(), error.to_string()),
    };
    let took = clock.elapsed();
    let stretch = (executor.counter() == Counter::Time).then_some(Stretch { started, took });
    let surroundings = before.and_then(|before| Some(executor.sentinel()?.after(&before)));
    let record = TrialRecord::new(slot.trial, slot.block, slot.seed, stretch, body);
    let record = TrialRecord { slowed_ns, surroundings, ..record };
    if let Some(slowdown) = executor.slowdown() {
        slowdown.heard(&record);
    }
    Some(record)
}

fn measure(spec: &Spec, executor: &mut dyn Executor, samples: &mut Samples) -> Result<Body, TrialError> {
    match spec {
        Spec::Timed(spec) => {
            let counter = executor.counter();
            let phases = samples.phases.get_or_insert_with(|| PhaseHistograms::new(counter));
            phases.reset(spec.reports);
            let outcome = executor.timed(spec, phases)?;
            let measured = TimedMeasured::new(&outcome, phases);
            Ok(Body::Timed { choices: spec.into(), ending: Ending::Measured(Box::new(measured)) })
        }
        Spec::Engine(spec) => {
            let outcome = executor.engine(spec)?;
            samples.tallies = Tallies::of(&outcome.tallies);
            let measured = EngineMeasured::new(&outcome);
            Ok(Body::Engine { choices: spec.into(), ending: Ending::Measured(Box::new(measured)) })
        }
        Spec::Linux(trial) => {
            let measured = match executor.linux(trial) {
                Err(LinuxError::Trial(error)) => return Err(error),
                Err(error) => Err(error.to_string()),
                Ok(outcome) => LinuxMeasured::new(&outcome),
            };
            let ending = match measured {
                Ok(measured) => Ending::Measured(Box::new(measured)),
                Err(error) => Ending::Failed { error },
            };
            Ok(Body::Linux { choices: trial.choices, ending })
        }
    }
}
