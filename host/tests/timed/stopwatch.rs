//! What the stopwatch costs: weighed on empty calls, and held against a loop that has none.

use std::time::Duration;

use host::axes::Doorbell;
use host::fault::{Fault, Planted, SLOW};
use host::kvm::Counter;
use host::probe::Facts;
use host::testing::parts::Knocker;
use host::timed::{Outcome, Sample, Stopwatch, TimedSpec, Weight};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::exits::agrees_with_kvm;
use crate::over_floors;
use crate::samples::{Samples, trial};

/// Calls in a burst, and kinds of burst: what [`abi::timed::burst`] says.
const CALLS: u64 = 32;
const KINDS: u64 = 4;
/// Rounds of a trial.
const ROUNDS: u64 = 40;
/// A busy machine may preempt the host in the middle of a burst.
const ATTEMPTS: u32 = 4;
/// Turns of the bare loop and a weighed trial.
const TURNS: usize = 9;
/// Bursts of the bare loop in a turn, and rings in one: few enough that most are not preempted, and enough that
/// entering and leaving a burst does not show.
const BURSTS: usize = 5;
const KNOCKS: u64 = 200;
/// By how much of a bare round trip a report less its stopwatch may differ from it. It still has the dispatch of a
/// call, its service and the deadline, which the bare loop has not.
const AGREE: f64 = 0.10;

/// Over every doorbell with nothing in it.
pub(crate) fn tests(_: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    over_floors(over, facts)
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let spec = TimedSpec { reports: ROUNDS * CALLS, stopwatch: Stopwatch::Weighed, ..transport.spec() };
    if spec.validate().is_err() {
        return Vec::new();
    }
    let test = |name: &str, run: fn(&TimedSpec, &Facts) -> Checked| {
        Trial::test(format!("{}::{name}", transport.name), move || run(&spec, facts))
    };
    let mut tests = vec![test("the-stopwatch-is-weighed", is_weighed)];
    if spec.way.doorbell != Doorbell::HypercallKernel {
        tests.push(test("a-heavy-stopwatch-weighs-more", a_heavy_one_weighs_more));
        tests.push(test("a-report-less-its-stopwatch-is-a-bare-loop", agrees_with_a_bare_loop));
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
        assert_eq!(outcome.exits.transport(), if kernel { 0 } else { outcome.calls }, "exits");
        assert_eq!((outcome.disordered, outcome.refused.total(), outcome.ranges), (0, 0, 0));
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
        let found = |heavy: f64, light: f64| ((heavy - light) / slow - 1.0).abs() < 0.1;
        if found(heavy.once, light.once)
            && found(heavy.each, light.each)
            && (heavy.bare - light.bare).abs() < 0.1 * slow
        {
            return Ok(());
        }
        said.push((light, heavy));
    }
    Err(format!("{SLOW} ticks more a stamp: {said:?}").into())
}

/// What is left of a report when its stopwatch is taken off is what the least loop there is takes: two programs, two
/// exit loops and two clocks that share nothing but the doorbell. So it is with a stopwatch that costs more than the
/// call.
fn agrees_with_a_bare_loop(spec: &TimedSpec, facts: &Facts) -> Checked {
    if facts.counter == Counter::Instructions {
        println!("the bare loop is timed by a clock, and this machine has none");
        return Ok(());
    }
    for planted in [Planted::NONE, Planted::new(Fault::HeavyStopwatch)] {
        agrees(spec, planted, facts)?;
    }
    Ok(())
}

fn agrees(spec: &TimedSpec, planted: Planted, facts: &Facts) -> Checked {
    let knocks = TimedSpec { reports: KNOCKS, stopwatch: Stopwatch::Used, ..*spec };
    let ticks = |took: Duration| took.as_secs_f64() * f64::from(facts.tsc_khz) * 1000.0;
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        let (mut bare, mut net, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let mut knocker = Knocker::new(&knocks, facts)?;
        for _ in 0..TURNS {
            for _ in 0..BURSTS {
                bare.push(ticks(knocker.bare()?) / KNOCKS as f64);
            }
            let (_, weight, samples) = weigh(spec, planted, facts)?;
            let total = median(samples.iter().map(|sample| sample.total as f64).collect());
            raw.push(total);
            net.push(total - weight.once);
        }
        let [bare, net, raw] = [bare, net, raw].map(median);
        println!("{planted:?}: bare {bare:.0}, less its stopwatch {net:.0}, as stamped {raw:.0} ticks");
        if (net / bare - 1.0).abs() < AGREE {
            return Ok(());
        }
        said.push((bare, net, raw));
    }
    Err(format!("bare, less the stopwatch, as stamped, in ticks: {said:?}").into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
