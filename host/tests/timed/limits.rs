//! What a trial does not do: outlast its stop flag, grow, or drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::axes::Carrier;
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{self, Sample, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::samples::Samples;
use crate::sound;

/// How long a trial may go on once it is to stop.
const PROMPT: Duration = Duration::from_millis(500);
/// What the harness may have beside guest memory.
const MEMORY: u64 = 64 << 20;
/// Reports of a long trial, and how much its end may differ from its beginning, in percent.
const LONG: u64 = 20_000;
const DRIFT: u64 = 10;
/// A busy machine may slow either end of a long trial.
const ATTEMPTS: u32 = 3;

/// The tests of limits.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let ring = transports.iter().find(|transport| transport.way.carrier == Carrier::Ring);
    let Some(ring) = ring else { unreachable!("most transports are rings") };
    let spec = timed_over(ring.way);
    // First of all: a panic of another test would leave its backtrace in memory.
    let name = format!("{}::20000-reports-without-growth-or-drift", ring.name);
    let mut tests = vec![Trial::test(name, move || neither_grows_nor_drifts(spec, facts))];
    for transport in transports {
        let spec = TimedSpec { reports: u64::MAX, ..timed_over(transport.way) };
        for (name, after) in [("stops-when-told", 150), ("stops-when-told-before", 0)] {
            let name = format!("{}::{name}", transport.name);
            let after = Duration::from_millis(after);
            tests.push(Trial::test(name, move || stops_promptly(&spec, facts, after)));
        }
    }
    tests
}

/// Raises the flag some time after the trial began.
fn stops_promptly(spec: &TimedSpec, facts: &Facts, after: Duration) -> Checked {
    let stop = Arc::new(AtomicBool::new(after.is_zero()));
    let flag = Arc::clone(&stop);
    let raising = std::thread::spawn(move || {
        std::thread::sleep(after);
        // Relaxed: the flag carries nothing with it.
        flag.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let ended = timed::run(spec, facts, &stop, &mut Samples::default());
    let stopped = Instant::now();
    let raised = raising.join().map_err(|_| "the thread that raises the flag panicked")?;
    let took = stopped.saturating_duration_since(raised);
    assert!(matches!(ended, Err(TrialError::Stopped)), "ended with {ended:?}");
    assert!(took < PROMPT, "took {took:?} to stop");
    Ok(())
}

fn neither_grows_nor_drifts(spec: TimedSpec, facts: &Facts) -> Checked {
    let spec = TimedSpec { batch: 1, arena: None, warmup: 500, reports: LONG, ..spec };
    let mut medians = Vec::new();
    for _ in 0..ATTEMPTS {
        let (outcome, samples) = sound(&spec, facts)?;
        let beside = outcome.memory_beside_ram;
        assert!(beside < MEMORY, "{beside} bytes beside guest memory");
        let tenth = samples.len() / 10;
        let first = median(&samples[..tenth]);
        let last = median(&samples[samples.len() - tenth..]);
        if first.abs_diff(last) * 100 <= first * DRIFT {
            return Ok(());
        }
        medians.push((first, last));
    }
    Err(format!("medians of first and last tenth in ticks: {medians:?}").into())
}

fn median(samples: &[Sample]) -> u64 {
    let mut totals: Vec<_> = samples.iter().map(|sample| sample.total).collect();
    totals.sort_unstable();
    totals[totals.len() / 2]
}
