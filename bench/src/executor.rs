//! Running trials one by one: the seam between the experiment and KVM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use host::axes::Way;
use host::kvm::Counter;
use host::probe::Facts;
use host::timed::{Observer, Outcome, TimedSpec};
use host::trial::TrialError;

use crate::export::hlog;
use crate::histogram::PhaseHistograms;
use crate::journal::{Journal, JournalError, Trial};
use crate::ladder::{CallBy, Rung, Transport};
use crate::plan::Plan;
use crate::record::{Ending, Measured, Spec, Stretch, TrialRecord};
use crate::schedule::Slot;

/// Runs one trial. The real one is [`KvmExecutor`]; tests have one that needs no KVM.
pub trait Executor {
    /// Runs the trial and hands every measured report to `observer`.
    ///
    /// # Errors
    /// [`TrialError`] if it has no outcome.
    fn run(&mut self, spec: &TimedSpec, observer: &mut dyn Observer) -> Result<Outcome, TrialError>;

    /// What the counter of its machine counts.
    fn counter(&self) -> Counter;
}

/// Runs trials on `/dev/kvm`.
pub struct KvmExecutor<'a> {
    /// What this host can do.
    pub facts: &'a Facts,
    /// Raised when the run is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Executor for KvmExecutor<'_> {
    fn run(&mut self, spec: &TimedSpec, observer: &mut dyn Observer) -> Result<Outcome, TrialError> {
        host::timed::run(spec, self.facts, &self.stop, observer)
    }

    fn counter(&self) -> Counter {
        self.facts.counter
    }
}

/// Hears how a run goes, between trials.
pub trait Listener {
    /// `trial` has just been written; `left` trials are to come.
    fn ended(&mut self, trial: &dyn Trial, left: usize);
}

/// How a run went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Trials with an outcome.
    pub measured: usize,
    /// Trials without.
    pub failed: usize,
    /// Trials that were not begun or were cut off, because the run was stopped.
    pub missing: usize,
}

/// Runs a schedule. Every trial is in the run directory before the next one starts; a trial that fails is
/// recorded with its error and the run goes on.
///
/// # Errors
/// [`JournalError`] if the run directory cannot be written: then there is no point in going on.
pub fn run_all(
    plan: &Plan,
    call: CallBy,
    slots: &[Slot],
    executor: &mut dyn Executor,
    stop: &AtomicBool,
    journal: &mut Journal,
    listener: &mut dyn Listener,
) -> Result<Tally, JournalError> {
    let mut histograms = PhaseHistograms::new(executor.counter());
    let mut tally = Tally::default();
    for (done, slot) in slots.iter().enumerate() {
        let spec = plan.spec(slot.cell.rung, slot.cell.discard, call, slot.seed);
        let ended = if stop.load(Ordering::Relaxed) {
            None
        } else {
            run_one(slot.trial, slot.block, &spec, executor, &mut histograms)
        };
        let Some(record) = ended else {
            tally.missing = slots.len() - done;
            break;
        };
        match record.ending {
            Ending::Measured(_) => tally.measured += 1,
            Ending::Failed { .. } => tally.failed += 1,
        }
        journal.append(&record, &hlog::tagged(&record, &histograms))?;
        listener.ended(&record, slots.len() - done - 1);
    }
    Ok(tally)
}

/// Runs one trial and makes its record; `None` if it was stopped.
pub fn run_one(
    trial: u32,
    block: u32,
    spec: &TimedSpec,
    executor: &mut dyn Executor,
    histograms: &mut PhaseHistograms,
) -> Option<TrialRecord> {
    histograms.reset(spec.reports);
    let started = SystemTime::now();
    let clock = Instant::now();
    let ending = match executor.run(spec, histograms) {
        Ok(outcome) => Ending::Measured(Box::new(Measured::new(&outcome, histograms))),
        Err(TrialError::Stopped) => return None,
        Err(error) => Ending::Failed { error: error.to_string() },
    };
    let took = clock.elapsed();
    let stretch = (executor.counter() == Counter::Time).then_some(Stretch { started, took });
    let Way { carrier, doorbell, servicer, completion, .. } = spec.way;
    let rung = Rung::of(Transport { carrier, doorbell, servicer, completion });
    Some(TrialRecord::new(trial, block, rung, Spec::from(*spec), stretch, ending))
}
