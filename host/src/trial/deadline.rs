//! Nothing is waited for without a deadline, and nothing begins that is to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::TrialError;
use crate::kvm::{Pulse, Watchdog};

/// What any guest may take without a sign of progress.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing is begun once `stop` is raised.
pub(crate) fn unless_stopped(stop: &AtomicBool) -> Result<(), TrialError> {
    // Relaxed: the flag carries nothing with it.
    if stop.load(Ordering::Relaxed) { Err(TrialError::Stopped) } else { Ok(()) }
}

/// How long a guest may take over nothing that has so many pages, each with its share of what it does to all of them.
pub(crate) fn patience(pages: u64, for_each: Duration) -> Duration {
    PATIENCE + for_each * u32::try_from(pages).unwrap_or(u32::MAX)
}

/// Watches the calling thread, which will run a processor, until the watchdog is dropped.
pub(crate) fn watched(
    pulse: &Arc<Pulse>,
    patience: Duration,
    stop: &Arc<AtomicBool>,
) -> Result<Watchdog, TrialError> {
    Watchdog::new(Arc::clone(pulse), patience, Arc::clone(stop)).map_err(TrialError::Watchdog)
}
