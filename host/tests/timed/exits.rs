//! Exits to user space: as designed, and as KVM says.

use abi::wire::frames;
use host::axes::{Axis, Carrier, Completion, Doorbell, HaltPoll, RingChoice, Way};
use host::kvm::{Exits, Flavour};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Outcome, TimedSpec};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::{over_floors, sound};

/// Ranges in a report: one, a few, and all there can be.
const BATCHES: [u16; 3] = [1, 7, 511];
/// What a payload is built for that runs in ring 0 everywhere.
const BARE_TARGET: &str = "x86_64-unknown-none";

/// Exits over each transport, and over a doorbell with nothing in it.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    transports.iter().flat_map(|transport| over(transport, facts)).chain(over_floors(over, facts)).collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let exits = |what: String, spec: TimedSpec| {
        Trial::test(format!("{}::exits-{what}", transport.name), move || exits_are_as_designed(&spec, facts))
    };
    let spec = timed_over(transport.way);
    // The floor carries no batch.
    let batches = if transport.way.carrier == Carrier::Empty { &BATCHES[..1] } else { &BATCHES };
    // A guest that sleeps before each report: its naps are in no count of the transport's.
    let idle = exits("idle".into(), TimedSpec { idle: 2000, batch: 1, ..spec });
    let batches =
        batches.iter().map(|batch| exits(format!("batch-{batch}"), TimedSpec { batch: *batch, ..spec }));
    let rings = [RingChoice::Zero, RingChoice::Three].map(|guest_ring| {
        let what = format!("guest-ring-{}", guest_ring.name());
        let way = Way { guest_ring, ..spec.way };
        match cannot_run_in(guest_ring, transport, facts) {
            Some(reason) => ignored(format!("{}::exits-{what}", transport.name), reason),
            None => exits(what, TimedSpec { way, batch: 8, reports: 16, ..spec }),
        }
    });
    batches.chain(rings).chain([idle]).collect()
}

/// Why a trial cannot be run in a guest ring, if it cannot.
fn cannot_run_in(ring: RingChoice, transport: &Transport, facts: &Facts) -> Option<&'static str> {
    match ring {
        RingChoice::Three if transport.way.doorbell.is_hypercall() => {
            Some("KVM refuses hypercalls from ring 3")
        }
        RingChoice::Zero if facts.ring0_emulated && facts.payload_target != BARE_TARGET => {
            Some("KVM's emulator does not know all of a payload for the host's target")
        }
        _ => None,
    }
}

/// Exits to user space that a trial's reports must cause.
fn designed(spec: &TimedSpec) -> Exits {
    let calls = match spec.way.carrier {
        // As many to take back what was given away.
        Carrier::Inflate => 2 * spec.reports * frames::lists(spec.batch.into(), spec.order),
        Carrier::CallAndRing => spec.reports * (u64::from(spec.batch) + 1),
        Carrier::Registers | Carrier::Store | Carrier::Request => spec.reports * u64::from(spec.batch),
        _ => spec.reports,
    };
    match spec.way.doorbell {
        Doorbell::Hypercall => Exits { hypercall: calls, ..Exits::default() },
        Doorbell::Port => Exits { port: calls, ..Exits::default() },
        Doorbell::Mmio => Exits { mmio: calls, ..Exits::default() },
        _ => Exits::default(),
    }
}

fn exits_are_as_designed(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(spec, facts)?;
    let Exits { control, interrupted, .. } = outcome.common.exits;
    assert_eq!(outcome.common.exits, Exits { control, interrupted, ..designed(spec) }, "exits");
    let ranges = if spec.way.carrier == Carrier::Empty { 0 } else { spec.reports * u64::from(spec.batch) };
    assert_eq!(outcome.ranges, ranges, "ranges");
    if spec.way.completion == Completion::Interrupt {
        let reports = spec.warmup + spec.reports + 2;
        let each = if spec.way.carrier == Carrier::Inflate {
            2 * frames::lists(spec.batch.into(), spec.order)
        } else {
            1
        };
        assert_eq!(outcome.interrupts, each * reports, "interrupts for {reports} reports");
    } else {
        assert_eq!(outcome.interrupts, 0, "interrupts nobody asked for");
    }
    assert_eq!(outcome.idles, if spec.idle == 0 { 0 } else { spec.reports }, "naps");
    let of = |carrier| if spec.way.carrier == carrier { ranges } else { 0 };
    assert_eq!(outcome.common.announced, of(Carrier::CallAndRing), "ranges announced");
    let pages = of(Carrier::Inflate) * spec.order.pages();
    assert_eq!(outcome.common.deflated_pages, pages, "pages taken back");
    agrees_with_kvm(spec, &outcome, facts);
    Ok(())
}

/// KVM's own statistics: a return to user space reloads its floating point state, whatever the reason.
pub(crate) fn agrees_with_kvm(spec: &TimedSpec, outcome: &Outcome, facts: &Facts) {
    let Exits { hypercall, port, mmio, control, interrupted } = outcome.common.exits;
    let said = |name| outcome.common.kvm_stats.iter().find(|(stat, _)| stat == name).map(|(_, count)| *count);
    if outcome.common.kvm_stats.is_empty() {
        println!("this KVM keeps no statistics");
        return;
    }
    let returns = hypercall + port + mmio + control + interrupted + outcome.idles;
    assert_eq!(said("fpu_reload"), Some(returns), "returns to user space, by KVM's count and ours");
    if spec.way.halt_poll == HaltPoll::Never {
        assert_eq!(said("halt_successful_poll"), Some(0), "halts that KVM spun for");
    }
    assert_eq!(said("mmio_exits"), Some(mmio), "MMIO exits, by KVM's count and ours");
    if matches!(facts.flavour, Flavour::Vmx | Flavour::Svm) {
        // Those that KVM answers itself are in its count and in no exit of ours.
        let in_kernel = if spec.way.doorbell == Doorbell::HypercallKernel { outcome.calls } else { 0 };
        assert_eq!(said("hypercalls"), Some(hypercall + in_kernel), "hypercalls, by KVM's count and ours");
    }
}
