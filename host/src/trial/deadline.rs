//! Nothing is waited for without a deadline, and nothing begins that is to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::TrialError;
use crate::kvm::{self, Counter, Cpu, Pulse};
use crate::probe::Facts;

/// What any guest may take without a sign of progress.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing is begun once `stop` is raised.
pub(crate) fn unless_stopped(stop: &AtomicBool) -> Result<(), TrialError> {
    // Relaxed: the flag carries nothing with it.
    if stop.load(Ordering::Relaxed) { Err(TrialError::Stopped) } else { Ok(()) }
}

/// Nothing is timed by a counter that tells no time; where it counts instructions nobody asks it to.
pub(crate) fn steady(facts: &Facts) -> Result<(), TrialError> {
    match facts.counter {
        Counter::Time => Ok(facts.clock_source.steady()?),
        Counter::Instructions => Ok(()),
    }
}

/// How long a guest may take over nothing that has so many pages, each with its share of what it does to all of them.
pub(crate) fn patience(pages: u64, for_each: Duration) -> Duration {
    PATIENCE + for_each * u32::try_from(pages).unwrap_or(u32::MAX)
}

/// Runs a processor on the calling thread and watches it meanwhile, from `place` if one is given: see
/// [`crate::kvm::watched`].
pub(crate) fn watched<T>(
    pulse: &Pulse,
    patience: Duration,
    stop: &AtomicBool,
    place: Option<Cpu>,
    run: impl FnOnce() -> Result<T, TrialError>,
) -> Result<T, TrialError> {
    kvm::watched(pulse, patience, stop, place, run).map_err(TrialError::Watchdog)?
}
