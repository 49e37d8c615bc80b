//! What a trial does not do: outlast its stop flag, grow, or drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::axes::Carrier;
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{self, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::designed::sound;
use crate::samples::Samples;

/// How long a trial may go on once it is to stop: a tenth of a second, and longer where two processors have more to do
/// than this.
const PROMPT: Duration = Duration::from_secs(2);
/// What the harness may have beside guest memory.
const MEMORY: u64 = 64 << 20;
/// Reports of a long trial, the slices it is cut into, and how much dearer than the cheapest slice of its first half the
/// cheapest of its second may be, in percent.
const LONG: u64 = 20_000;
const SLICES: usize = 20;
const DRIFT: u64 = 10;
/// A busy machine may slow a whole half of a long trial.
const ATTEMPTS: u32 = 3;

/// The tests of limits.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let ring = transports.iter().find(|transport| transport.way.carrier == Carrier::Ring);
    let Some(ring) = ring else { unreachable!("most transports are rings") };
    let spec = timed_over(ring.way);
    // First of all: a panic of another test would leave its backtrace in memory.
    let name = format!("{}::20000-reports-without-growth-or-drift", ring.name);
    let mut tests = vec![
        Trial::test(name, move || neither_grows_nor_drifts(spec, facts)),
        Trial::test("drift-is-told-from-a-machine-of-two-speeds", drift_is_told_from_two_speeds),
    ];
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
    let mut halves = Vec::new();
    for _ in 0..ATTEMPTS {
        let (outcome, samples) = sound(&spec, facts)?;
        let beside = outcome.memory_beside_ram;
        assert!(beside < MEMORY, "{beside} bytes beside guest memory");
        let totals: Vec<_> = samples.iter().map(|sample| sample.total).collect();
        let (first, second) = cheapest_of_halves(&totals);
        if !drifts(first, second) {
            return Ok(());
        }
        halves.push((first, second));
    }
    Err(format!("cheapest slices of first and second half in ticks: {halves:?}").into())
}

/// What grows with the reports makes every later slice dearer; a machine that changes its speed leaves a cheap slice in
/// either half.
fn drifts(first: u64, second: u64) -> bool {
    second * 100 > first * (100 + DRIFT)
}

/// The lowest median of the slices of either half.
fn cheapest_of_halves(totals: &[u64]) -> (u64, u64) {
    let medians: Vec<_> = totals.chunks(totals.len().div_ceil(SLICES)).map(median).collect();
    let (first, second) = medians.split_at(medians.len() / 2);
    let cheapest = |half: &[u64]| half.iter().copied().min().unwrap_or_default();
    (cheapest(first), cheapest(second))
}

fn median(totals: &[u64]) -> u64 {
    let mut totals = totals.to_vec();
    totals.sort_unstable();
    totals[totals.len() / 2]
}

fn drift_is_told_from_two_speeds() -> Checked {
    // As seen: all of the first tenth at one speed, all of the last at the other.
    let two_speeds = |report: u64| if (report / 1500).is_multiple_of(2) { 77_000 } else { 108_000 };
    let growing = |report: u64| two_speeds(report) + report;
    let told = |cost: &dyn Fn(u64) -> u64| {
        let (first, second) = cheapest_of_halves(&(0..LONG).map(cost).collect::<Vec<_>>());
        drifts(first, second)
    };
    assert!(!told(&two_speeds), "two speeds are no drift");
    assert!(told(&growing), "a quarter dearer at the end, and not noticed");
    Ok(())
}
