//! Exits to user space as they are designed, and as KVM counts them.

use abi::wire::frames;
use host::axes::{Carrier, Completion, Doorbell, HaltPoll, RingChoice};
use host::fault::Planted;
use host::kvm::{Exits, Flavour};
use host::probe::Facts;
use host::timed::{Outcome, Sample, TimedSpec};
use host::trial::TrialError;

use crate::samples::{Samples, trial};

/// What a payload is built for that runs in ring 0 everywhere.
const BARE_TARGET: &str = "x86_64-unknown-none";

/// Runs a trial in which nothing may be wrong.
pub(crate) fn sound(spec: &TimedSpec, facts: &Facts) -> Result<(Outcome, Vec<Sample>), TrialError> {
    let mut samples = Samples::of(spec);
    let outcome = trial(spec, facts, Planted::NONE, &mut samples)?;
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.reported_digest, outcome.taken_digest, "pages reported and taken");
    assert_eq!(outcome.common.refused.total(), 0, "ranges refused");
    assert_eq!(outcome.common.madvise_failures, 0, "calls that failed: {:?}", outcome.common.madvise_error);
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    assert_eq!(outcome.disordered, 0, "reports whose stamps are not in order");
    assert_eq!(outcome.reports, spec.reports, "reports");
    assert_eq!(samples.0.len() as u64, spec.reports, "samples");
    Ok((outcome, samples.0))
}

/// Why a trial cannot be run in a guest ring, if it cannot.
pub(crate) fn cannot_run_in(ring: RingChoice, doorbell: Doorbell, facts: &Facts) -> Option<&'static str> {
    match ring {
        RingChoice::Three if doorbell.is_hypercall() => Some("KVM refuses hypercalls from ring 3"),
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
        Doorbell::Hypercall | Doorbell::XenHypercall | Doorbell::HypervHypercall => {
            Exits { hypercall: calls, ..Exits::default() }
        }
        Doorbell::Port => Exits { port: calls, ..Exits::default() },
        Doorbell::Mmio => Exits { mmio: calls, ..Exits::default() },
        _ => Exits::default(),
    }
}

/// Exits, ranges, interrupts and naps.
pub(crate) fn exits_are_as_designed(spec: &TimedSpec, outcome: &Outcome, facts: &Facts) {
    let Exits { control, interrupted, .. } = outcome.common.exits;
    // Where reports gather there is an exit when there is no room, which is not said beforehand.
    if spec.way.gathers().is_none() {
        assert_eq!(outcome.common.exits, Exits { control, interrupted, ..designed(spec) }, "exits");
    }
    let ranges = if spec.way.carrier == Carrier::Empty { 0 } else { spec.reports * u64::from(spec.batch) };
    assert_eq!(outcome.ranges, ranges, "ranges");
    if spec.way.completion == Completion::Interrupt {
        let together = u64::from(spec.in_flight);
        let reports = spec.warmup + spec.reports + 2 * together;
        let some = if spec.way.carrier == Carrier::Inflate && together <= 1 {
            // One that is pending when the next is raised, a queue later, is one.
            let each = 2 * frames::lists(spec.batch.into(), spec.order);
            reports..=each * reports
        } else {
            // One that is pending when the next is raised is one. So it is of a report alone, if the guest looks before it halts
            // and the device thread was not let run between its answer and its interrupt.
            reports.div_ceil(together.max(2))..=reports
        };
        assert!(
            some.contains(&outcome.interrupts),
            "{} interrupts for {reports} reports",
            outcome.interrupts
        );
    } else {
        assert_eq!(outcome.interrupts, 0, "interrupts nobody asked for");
    }
    assert_eq!(outcome.idles, if spec.idle == 0 { 0 } else { spec.reports }, "naps");
    let of = |carrier| if spec.way.carrier == carrier { ranges } else { 0 };
    assert_eq!(outcome.common.announced, of(Carrier::CallAndRing), "ranges announced");
    let pages = of(Carrier::Inflate) * spec.order.pages();
    assert_eq!(outcome.common.deflated_pages, pages, "pages taken back");
    agrees_with_kvm(spec, outcome, facts);
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
    // KVM does not count Xen's.
    if matches!(facts.flavour, Flavour::Vmx | Flavour::Svm) && spec.way.doorbell != Doorbell::XenHypercall {
        // Those that KVM answers itself are in its count and in no exit of ours.
        let answered = [Doorbell::HypercallKernel, Doorbell::HypercallModule];
        let in_kernel = if answered.contains(&spec.way.doorbell) { outcome.calls } else { 0 };
        assert_eq!(said("hypercalls"), Some(hypercall + in_kernel), "hypercalls, by KVM's count and ours");
    }
}
