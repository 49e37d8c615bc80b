//! Running trials of the engine one by one: the seam between the experiment and KVM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use host::engine::{EngineOutcome, EngineSpec};
use host::kvm::Counter;
use host::probe::Facts;
use host::trial::TrialError;

use super::record::{EngineEnding, EngineMeasured, EngineRecord};
use super::tallies::Tallies;
use crate::executor::{Listener, Tally};
use crate::journal::{Journal, JournalError};
use crate::record::Stretch;
use crate::schedule::Slot;

/// Why a specification is refused.
pub type Refusal = host::engine::EngineSpecError;

/// Whether a trial can be run, before anything is started.
///
/// # Errors
/// [`Refusal`], with what to change.
pub fn validate(spec: &EngineSpec) -> Result<(), Refusal> {
    spec.validate()
}

/// Runs one trial of the engine. The real one is [`KvmEngine`]; tests have one that needs no KVM.
pub trait Engine {
    /// Runs the trial.
    ///
    /// # Errors
    /// [`TrialError`] if it has no outcome.
    fn run(&mut self, spec: &EngineSpec) -> Result<EngineOutcome, TrialError>;
}

/// Runs trials on `/dev/kvm`.
pub struct KvmEngine<'a> {
    /// What this host can do.
    pub facts: &'a Facts,
    /// Raised when the run is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Engine for KvmEngine<'_> {
    fn run(&mut self, spec: &EngineSpec) -> Result<EngineOutcome, TrialError> {
        host::engine::run(spec, self.facts, &self.stop)
    }
}

/// Runs a schedule, up to the first trial that begins after `most` if there is such a limit. Every trial is in the
/// run directory before the next one starts; a trial that fails is recorded with its error and the run goes on.
///
/// # Errors
/// [`JournalError`] if the run directory cannot be written: then there is no point in going on.
pub fn run_all(
    slots: &[Slot<EngineSpec>],
    most: Option<Duration>,
    engine: &mut dyn Engine,
    stop: &AtomicBool,
    journal: &mut Journal,
    listener: &mut dyn Listener,
) -> Result<Tally, JournalError> {
    let began = Instant::now();
    let mut tally = Tally::default();
    for (done, slot) in slots.iter().enumerate() {
        if done > 0 && most.is_some_and(|most| began.elapsed() >= most) {
            break;
        }
        // Relaxed: the flag carries nothing with it.
        let ended = if stop.load(Ordering::Relaxed) { None } else { run_one(slot, engine) };
        let Some((record, tallies)) = ended else {
            tally.missing = slots.len() - done;
            break;
        };
        match record.ending {
            EngineEnding::Measured(_) => tally.measured += 1,
            EngineEnding::Failed { .. } => tally.failed += 1,
        }
        journal.append(&record, &tallies.tagged(&record.choices))?;
        listener.ended(&record, slots.len() - done - 1);
    }
    Ok(tally)
}

/// Runs one trial and makes its record; `None` if it was stopped.
pub fn run_one(slot: &Slot<EngineSpec>, engine: &mut dyn Engine) -> Option<(EngineRecord, Tallies)> {
    let spec = EngineSpec { seed: slot.seed, ..slot.cell };
    let started = SystemTime::now();
    let clock = Instant::now();
    let (ending, tallies, counter) = match engine.run(&spec) {
        Ok(outcome) => {
            let tallies = Tallies::of(&outcome.tallies);
            let measured = EngineMeasured::new(&outcome);
            (EngineEnding::Measured(Box::new(measured)), tallies, outcome.counter)
        }
        Err(TrialError::Stopped) => return None,
        Err(error) => (EngineEnding::Failed { error: error.to_string() }, Tallies::default(), Counter::Time),
    };
    let took = clock.elapsed();
    let stretch = (counter == Counter::Time).then_some(Stretch { started, took });
    Some((EngineRecord::new(slot.trial, slot.block, &spec, stretch, ending), tallies))
}
