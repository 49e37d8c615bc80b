//! What the stopwatch costs, weighed on empty calls. `cargo bench --bench floor` holds it against a loop that has none.

use host::axes::Doorbell;
use host::fault::{Fault, Planted, SLOW};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Outcome, Sample, Stopwatch, TimedSpec, Weight};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::designed::agrees_with_kvm;
use crate::over_floors;
use crate::samples::{Samples, trial};

/// Calls in a burst, and kinds of burst: what [`abi::timed::burst`] says.
const CALLS: u64 = 32;
const KINDS: u64 = 4;
/// Rounds of a trial.
const ROUNDS: u64 = 40;
/// A busy machine may preempt the host in the middle of a burst.
const ATTEMPTS: u32 = 4;
/// By how much of what is planted a weight may miss it: other processes take their turns.
const MISSES: f64 = 0.5;

/// Over every doorbell with nothing in it.
pub(crate) fn tests(_: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    over_floors(over, facts)
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let spec =
        TimedSpec { reports: ROUNDS * CALLS, stopwatch: Stopwatch::Weighed, ..timed_over(transport.way) };
    if spec.validate().is_err() {
        return Vec::new();
    }
    let test = |name: &str, run: fn(&TimedSpec, &Facts) -> Checked| {
        Trial::test(format!("{}::{name}", transport.name), move || run(&spec, facts))
    };
    let mut tests = vec![test("the-stopwatch-is-weighed", is_weighed)];
    if spec.way.doorbell != Doorbell::HypercallKernel {
        tests.push(test("a-heavy-stopwatch-weighs-more", a_heavy_one_weighs_more));
    }
    tests
}

fn weigh(
    spec: &TimedSpec,
    planted: Planted,
    facts: &Facts,
) -> Result<(Outcome, Weight, Vec<Sample>), libtest_mimic::Failed> {
    let mut samples = Samples::of(spec);
    let outcome = trial(spec, facts, planted, &mut samples)?;
    let weight = outcome.stopwatch.ok_or("it was not weighed")?;
    Ok((outcome, weight, samples.0))
}

/// Every burst has its calls, by our count and KVM's, and what adds work adds time.
fn is_weighed(spec: &TimedSpec, facts: &Facts) -> Checked {
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        let (outcome, weight, samples) = weigh(spec, Planted::NONE, facts)?;
        assert_eq!((outcome.reports, samples.len() as u64), (ROUNDS * CALLS, ROUNDS * CALLS), "reports");
        assert_eq!(outcome.calls, ROUNDS * KINDS * CALLS, "calls");
        let kernel = spec.way.doorbell == Doorbell::HypercallKernel;
        assert_eq!(outcome.common.exits.transport(), if kernel { 0 } else { outcome.calls }, "exits");
        assert_eq!((outcome.disordered, outcome.common.refused.total(), outcome.ranges), (0, 0, 0));
        agrees_with_kvm(spec, &outcome, facts);
        assert_eq!(weight.rounds, ROUNDS, "rounds");
        let named = matches!(spec.way.doorbell, Doorbell::Port | Doorbell::Mmio);
        assert_eq!(weight.registers.is_some(), named, "registers to fetch");
        println!("{weight:?}");
        if weight.bare > 0.0 && weight.once > 0.0 && weight.each > 0.0 {
            return Ok(());
        }
        said.push(weight);
    }
    Err(format!("a stopwatch that costs nothing: {said:?}").into())
}

/// What is planted in the stopwatch is found in its weight, and not in a call without it.
fn a_heavy_one_weighs_more(spec: &TimedSpec, facts: &Facts) -> Checked {
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        let (_, light, _) = weigh(spec, Planted::NONE, facts)?;
        let (_, heavy, _) = weigh(spec, Planted::new(Fault::HeavyStopwatch), facts)?;
        let slow = SLOW as f64;
        let found = |heavy: f64, light: f64| ((heavy - light) / slow - 1.0).abs() < MISSES;
        if found(heavy.once, light.once)
            && found(heavy.each, light.each)
            && (heavy.bare - light.bare).abs() < MISSES * slow
        {
            return Ok(());
        }
        said.push((light, heavy));
    }
    Err(format!("{SLOW} ticks more a stamp: {said:?}").into())
}
