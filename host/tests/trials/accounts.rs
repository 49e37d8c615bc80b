//! Exits and time: as designed, as KVM says, and all of it explained.

use abi::axes::{Carrier, Completion};
use host::axes::{Axis, Discard, Doorbell, RingChoice};
use host::facts::{Facts, Flavour};
use host::trial::{Exits, Outcome, Sample, TrialSpec};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::sound;

/// Ranges in a report: one, a few, and all there can be.
const BATCHES: [u16; 3] = [1, 7, 511];
/// What a payload is built for that runs in ring 0 everywhere.
const BARE_TARGET: &str = "x86_64-unknown-none";
/// The share of a report's time that the phases must explain, in percent.
const EXPLAINED: u64 = 95;
/// A busy machine may preempt the host between two stamps.
const ATTEMPTS: u32 = 3;

/// Exits and phases over each transport.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let floors = Doorbell::ALL.iter().flat_map(|doorbell| over_nothing(*doorbell, facts));
    transports.iter().flat_map(|transport| over(transport, facts)).chain(floors).collect()
}

/// A doorbell with nothing in it.
pub(crate) fn floor(doorbell: Doorbell) -> Transport {
    Transport {
        name: format!("floor-{}", doorbell.name()),
        carrier: Carrier::Empty,
        doorbell,
        servicer: doorbell.servicer(),
        completion: Completion::Return,
    }
}

/// The tests of a floor; ignored where the doorbell does not answer.
fn over_nothing(doorbell: Doorbell, facts: &'static Facts) -> Vec<Trial> {
    let tests = over(&floor(doorbell), facts);
    if facts.answers(doorbell) {
        return tests;
    }
    tests
        .iter()
        .map(|test| ignored(test.name().to_owned(), "this KVM does not answer the doorbell"))
        .collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let exits = |what: String, spec: TrialSpec| {
        Trial::test(format!("{}::exits-{what}", transport.name), move || exits_are_as_designed(&spec, facts))
    };
    let spec = transport.spec();
    // The floor carries no batch.
    let batches = if transport.carrier == Carrier::Empty { &BATCHES[..1] } else { &BATCHES };
    let batches =
        batches.iter().map(|batch| exits(format!("batch-{batch}"), TrialSpec { batch: *batch, ..spec }));
    let rings = [RingChoice::Zero, RingChoice::Three].map(|guest_ring| {
        let what = format!("guest-ring-{}", guest_ring.name());
        match cannot_run_in(guest_ring, transport, facts) {
            Some(reason) => ignored(format!("{}::exits-{what}", transport.name), reason),
            None => exits(what, TrialSpec { guest_ring, batch: 8, reports: 16, ..spec }),
        }
    });
    let phases = Discard::ALL.iter().map(|discard| {
        let spec = TrialSpec { discard: *discard, reports: 100, ..spec };
        let name = format!("{}::phases-explain-the-time-discard-{}", transport.name, discard.name());
        Trial::test(name, move || phases_explain_the_time(&spec, facts))
    });
    batches.chain(rings).chain(phases).collect()
}

/// Why a trial cannot be run in a guest ring, if it cannot.
fn cannot_run_in(ring: RingChoice, transport: &Transport, facts: &Facts) -> Option<&'static str> {
    match ring {
        RingChoice::Three if transport.doorbell.is_hypercall() => Some("KVM refuses hypercalls from ring 3"),
        RingChoice::Zero if facts.ring0_emulated && facts.payload_target != BARE_TARGET => {
            Some("KVM's emulator does not know all of a payload for the host's target")
        }
        _ => None,
    }
}

/// Exits to user space that a trial's reports must cause.
fn designed(spec: &TrialSpec) -> Exits {
    let calls = match spec.carrier {
        Carrier::Registers => spec.reports * u64::from(spec.batch),
        Carrier::Empty | Carrier::Batch | Carrier::Ring => spec.reports,
    };
    match spec.doorbell {
        Doorbell::Hypercall => Exits { hypercall: calls, ..Exits::default() },
        Doorbell::Port => Exits { port: calls, ..Exits::default() },
        Doorbell::Mmio => Exits { mmio: calls, ..Exits::default() },
        Doorbell::IoeventfdPort | Doorbell::IoeventfdMmio | Doorbell::HypercallKernel => Exits::default(),
    }
}

fn exits_are_as_designed(spec: &TrialSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(spec, facts)?;
    let Exits { control, interrupted, .. } = outcome.exits;
    assert_eq!(outcome.exits, Exits { control, interrupted, ..designed(spec) }, "exits");
    let ranges = if spec.carrier == Carrier::Empty { 0 } else { spec.reports * u64::from(spec.batch) };
    assert_eq!(outcome.ranges, ranges, "ranges");
    if spec.completion == Completion::Interrupt {
        let reports = spec.warmup + spec.reports + 2;
        assert_eq!(outcome.interrupts, reports, "one interrupt a report");
    } else {
        assert_eq!(outcome.interrupts, 0, "interrupts nobody asked for");
    }
    agrees_with_kvm(spec, &outcome, facts);
    Ok(())
}

/// KVM's own statistics: a return to user space reloads its floating point state, whatever the reason.
fn agrees_with_kvm(spec: &TrialSpec, outcome: &Outcome, facts: &Facts) {
    let Exits { hypercall, port, mmio, control, interrupted } = outcome.exits;
    let said = |name| outcome.kvm_stats.iter().find(|(stat, _)| stat == name).map(|(_, count)| *count);
    if outcome.kvm_stats.is_empty() {
        println!("this KVM keeps no statistics");
        return;
    }
    let returns = hypercall + port + mmio + control + interrupted;
    assert_eq!(said("fpu_reload"), Some(returns), "returns to user space, by KVM's count and ours");
    assert_eq!(said("mmio_exits"), Some(mmio), "MMIO exits, by KVM's count and ours");
    if matches!(facts.flavour, Flavour::Vmx | Flavour::Svm) {
        // Those that KVM answers itself are in its count and in no exit of ours.
        let in_kernel = if spec.doorbell == Doorbell::HypercallKernel { outcome.calls } else { 0 };
        assert_eq!(said("hypercalls"), Some(hypercall + in_kernel), "hypercalls, by KVM's count and ours");
    }
}

fn phases_explain_the_time(spec: &TrialSpec, facts: &Facts) -> Checked {
    let mut shares = Vec::new();
    for _ in 0..ATTEMPTS {
        let (_, samples) = sound(spec, facts)?;
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
        let (explained, total) = (sum(Sample::explained), sum(|sample| sample.total));
        assert!(explained <= total, "phases do not overlap: {explained} of {total}");
        if explained * 100 >= total * EXPLAINED {
            return Ok(());
        }
        shares.push(explained * 1000 / total);
    }
    Err(format!("phases explain only {shares:?} thousandths").into())
}
