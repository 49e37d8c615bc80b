//! The time of a report: stamps are where they are said to be, by delays of a known length planted beside each of them.
//!
//! That neighbouring stamps add up to the whole says nothing: gaps between them are the phases by definition.

use host::axes::{Axis, Carrier, Completion, Discard, Doorbell, Way};
use host::fault::{Fault, Planted, SLOW};
use host::probe::Facts;
use host::testing::specs::TIMED;
use host::timed::{Sample, TimedSpec};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::designed::sound;
use crate::over_floors;
use crate::samples::{self, Samples};

/// The share of a report's time that may lie between no two stamps of a phase, in percent.
const BETWEEN: u64 = 5;
/// A busy machine may preempt the host between two stamps.
const ATTEMPTS: u32 = 4;
/// By how much of a delay a phase without it may change, in percent.
const ELSEWHERE: u64 = 20;
/// What of a delay must be found in its phase, in percent.
const HERE: std::ops::RangeInclusive<u64> = 85..=130;

/// A figure of a sample, and what it is called.
type Part = (&'static str, fn(&Sample) -> u64);

const PARTS: [Part; 8] = [
    ("prepare", |sample| sample.prepare),
    ("transit", |sample| sample.transit),
    ("wake", |sample| sample.wake),
    ("fetch", |sample| sample.fetch),
    ("discard", |sample| sample.discard),
    ("complete", |sample| sample.complete),
    ("resume", |sample| sample.resume),
    ("remainder", Sample::remainder),
];

/// Where a delay is planted, and the phase in which it must appear.
const DELAYS: [(Fault, &str); 9] = [
    (Fault::SlowPrepare, "prepare"),
    (Fault::SlowNotify, "transit"),
    (Fault::SlowWake, "wake"),
    (Fault::SlowDispatch, "remainder"),
    (Fault::SlowFetch, "fetch"),
    (Fault::SlowDiscard, "discard"),
    (Fault::SlowComplete, "complete"),
    (Fault::SlowResume, "resume"),
    (Fault::SlowSight, "resume"),
];

/// Phases over each transport, and over a doorbell with nothing in it; delays over one that returns when it is served
/// and one that a device thread serves.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let phases = transports.iter().flat_map(|transport| over(transport, facts));
    let served = Transport::new("batch-sync", Carrier::Batch, Doorbell::Mmio, Completion::Return);
    let polled = Transport::new("ring-async", Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll);
    let delays = [served, polled].into_iter().flat_map(|transport| delayed(&transport, facts));
    phases.chain(over_floors(over, facts)).chain(delays).collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |discard: &Discard| {
        let way = Way { discard: *discard, ..transport.way };
        let spec = TimedSpec { way, reports: 100, ..TIMED };
        let name = format!("{}::stamps-telescope-discard-{}", transport.name, discard.name());
        Trial::test(name, move || stamps_telescope(&spec, facts))
    };
    [Discard::None, Discard::DontNeed].iter().map(test).collect()
}

/// Phases do not overlap, and leave little out.
fn stamps_telescope(spec: &TimedSpec, facts: &Facts) -> Checked {
    let mut shares = Vec::new();
    for _ in 0..ATTEMPTS {
        let (_, samples) = sound(spec, facts)?;
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
        let (explained, total) = (sum(Sample::explained), sum(|sample| sample.total));
        assert!(explained <= total, "phases do not overlap: {explained} of {total}");
        if (total - explained) * 100 <= total * BETWEEN {
            return Ok(());
        }
        shares.push((total - explained) * 1000 / total);
    }
    Err(format!("{shares:?} thousandths of a report are in no phase").into())
}

fn delayed(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    // Nothing is discarded: what flushing a running processor costs varies by more than a delay.
    let way = Way { discard: Discard::None, ..transport.way };
    let spec = TimedSpec { way, reports: 100, ..TIMED };
    let test = |(fault, phase): &(Fault, &'static str)| {
        let (fault, phase) = (*fault, *phase);
        let name = format!("{}::{fault:?}-is-in-{phase}", transport.name);
        match without(fault, spec.way.doorbell.is_ioeventfd()) {
            Some(reason) => ignored(name, reason),
            None => Trial::test(name, move || Ok(is_in(&spec, Planted::new(fault), phase, facts)?)),
        }
    };
    // Two stamps in one place move the discard into fetch: the test above must see that.
    let late = Trial::test(format!("{}::a-late-stamp-is-noticed", transport.name), move || {
        match is_in(&spec, Planted::both(Fault::SlowDiscard, Fault::LateStamp), "discard", facts) {
            Err(said) if said.contains("fetch") => Ok(()),
            other => Err(format!("a stamp in the wrong place went unnoticed: {other:?}").into()),
        }
    });
    DELAYS.iter().map(test).chain([late]).collect()
}

/// Why there is no such delay where a device thread serves, or where none does.
fn without(fault: Fault, device: bool) -> Option<&'static str> {
    match (fault, device) {
        (Fault::SlowWake, false) => Some("nobody is woken"),
        (Fault::SlowResume, true) => Some("the guest has seen it before: nothing of the report waits for it"),
        _ => None,
    }
}

/// Whether the planted delay is found in that phase and nowhere else, by medians against a run without it.
fn is_in(spec: &TimedSpec, planted: Planted, phase: &str, facts: &Facts) -> Result<(), String> {
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        let [before, after] = [Planted::NONE, planted].map(|planted| medians(spec, planted, facts));
        let (before, after) = (before?, after?);
        let wrong: Vec<String> = PARTS
            .iter()
            .zip(before.iter().zip(&after))
            .filter_map(|((name, _), (before, after))| {
                let right = if *name == phase {
                    after > before && HERE.contains(&((after - before) * 100 / SLOW))
                } else {
                    after.abs_diff(*before) * 100 <= ELSEWHERE * SLOW
                };
                (!right).then(|| format!("{name} {before} -> {after}"))
            })
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        said.push(wrong.join(", "));
    }
    Err(format!("a delay of {SLOW} ticks in {phase}: {}", said.join("; ")))
}

/// The median of every part.
fn medians(spec: &TimedSpec, planted: Planted, facts: &Facts) -> Result<[u64; 8], String> {
    let mut samples = Samples::of(spec);
    let outcome = samples::trial(spec, facts, planted, &mut samples).map_err(|error| error.to_string())?;
    if outcome.disordered > 0 {
        return Err(format!("{} reports out of order", outcome.disordered));
    }
    Ok(PARTS.map(|(_, of)| {
        let mut ticks: Vec<u64> = samples.0.iter().map(of).collect();
        ticks.sort_unstable();
        ticks[ticks.len() / 2]
    }))
}
