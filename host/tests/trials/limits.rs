//! What a trial does not do: outlast its stop flag, begin with choices that mean nothing, grow, or drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abi::addr::Order;
use abi::axes::{Carrier, Completion};
use abi::layout::ARENA_MAX_PAGES;
use host::TrialError;
use host::axes::{Doorbell, RingChoice, Servicer};
use host::facts::Facts;
use host::trial::{Sample, SpecError, TrialSpec};
use libtest_mimic::Trial;

use crate::accounts::floor;
use crate::common::{Checked, Transport, ignored};
use crate::sound;
use crate::trial::Samples;

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
    let ring = transports.iter().find(|transport| transport.carrier == Carrier::Ring);
    let Some(ring) = ring else { unreachable!("most transports are rings") };
    let spec = ring.spec();
    // First of all: a panic of another test would leave its backtrace in memory.
    let name = format!("{}::20000-reports-without-growth-or-drift", ring.name);
    let mut tests = vec![Trial::test(name, move || neither_grows_nor_drifts(spec, facts))];
    for transport in transports {
        let spec = TrialSpec { reports: u64::MAX, ..transport.spec() };
        for (name, after) in [("stops-when-told", 150), ("stops-when-told-before", 0)] {
            let name = format!("{}::{name}", transport.name);
            let after = Duration::from_millis(after);
            tests.push(Trial::test(name, move || stops_promptly(&spec, facts, after)));
        }
    }
    tests.extend(CASES.iter().map(|(name, change, error)| {
        Trial::test(format!("refuses::{name}"), move || refuses(change(spec), error, facts))
    }));
    tests.extend([
        unless_answered(Doorbell::Hypercall, "refuses::hypercall-that-is-not-delivered", facts, |ended| {
            matches!(ended, TrialError::NoHypercall)
        }),
        unless_answered(
            Doorbell::HypercallKernel,
            "refuses::hypercall-that-kvm-does-not-answer",
            facts,
            |ended| matches!(ended, TrialError::NoKernelHypercall),
        ),
    ]);
    tests
}

/// A trial with a doorbell that does not answer here must end with its own error.
fn unless_answered(
    doorbell: Doorbell,
    name: &str,
    facts: &'static Facts,
    is_its_own: fn(&TrialError) -> bool,
) -> Trial {
    if facts.answers(doorbell) {
        return ignored(name.to_owned(), "the doorbell answers here");
    }
    Trial::test(name, move || refuses_doorbell(doorbell, facts, is_its_own))
}

/// Raises the flag some time after the trial began.
fn stops_promptly(spec: &TrialSpec, facts: &Facts, after: Duration) -> Checked {
    let stop = Arc::new(AtomicBool::new(after.is_zero()));
    let flag = Arc::clone(&stop);
    let raising = std::thread::spawn(move || {
        std::thread::sleep(after);
        // Relaxed: the flag carries nothing with it.
        flag.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let ended = host::run(spec, facts, &stop, &mut Samples::default());
    let stopped = Instant::now();
    let raised = raising.join().map_err(|_| "the thread that raises the flag panicked")?;
    let took = stopped.saturating_duration_since(raised);
    assert!(matches!(ended, Err(TrialError::Stopped)), "ended with {ended:?}");
    assert!(took < PROMPT, "took {took:?} to stop");
    Ok(())
}

/// A change that makes a sound spec senseless, and the error it must be called by.
type Case = (&'static str, fn(TrialSpec) -> TrialSpec, SpecError);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const MOST: u64 = ARENA_MAX_PAGES * 4 * KIB;

/// The least arena that serves the batches here.
const fn arena(bytes: u64) -> SpecError {
    SpecError::Arena { bytes, min: 4 * MIB, max: MOST }
}

const CASES: &[Case] = &[
    ("empty-batch", |spec| TrialSpec { batch: 0, ..spec }, SpecError::Batch { batch: 0 }),
    ("batch-over-511", |spec| TrialSpec { batch: 512, ..spec }, SpecError::Batch { batch: 512 }),
    ("no-reports", |spec| TrialSpec { reports: 0, ..spec }, SpecError::NoReports),
    (
        "device-thread-without-an-ioeventfd",
        |spec| TrialSpec { doorbell: Doorbell::Port, servicer: Servicer::Device, ..spec },
        SpecError::WrongServicer { doorbell: Doorbell::Port, needs: Servicer::Vcpu },
    ),
    (
        "ioeventfd-without-a-device-thread",
        |spec| TrialSpec { doorbell: Doorbell::IoeventfdMmio, servicer: Servicer::Vcpu, ..spec },
        SpecError::WrongServicer { doorbell: Doorbell::IoeventfdMmio, needs: Servicer::Device },
    ),
    (
        "hypercall-from-ring-3",
        |spec| TrialSpec { doorbell: Doorbell::Hypercall, guest_ring: RingChoice::Three, ..spec },
        SpecError::HypercallInRing3,
    ),
    (
        "hypercall-to-the-kernel-from-ring-3",
        |_| TrialSpec { guest_ring: RingChoice::Three, ..floor(Doorbell::HypercallKernel).spec() },
        SpecError::HypercallInRing3,
    ),
    (
        "hypercall-to-the-kernel-with-a-ring",
        |spec| TrialSpec { doorbell: Doorbell::HypercallKernel, servicer: Servicer::Kernel, ..spec },
        SpecError::Mismatch {
            carrier: Carrier::Ring,
            other: "hypercall-kernel",
            why: "KVM answers such a call itself and looks at no ranges; use --carrier empty",
        },
    ),
    (
        "registers-with-an-eventfd",
        |spec| TrialSpec {
            carrier: Carrier::Registers,
            doorbell: Doorbell::IoeventfdPort,
            servicer: Servicer::Device,
            ..spec
        },
        SpecError::Mismatch {
            carrier: Carrier::Registers,
            other: "ioeventfd-port",
            why: "an eventfd carries no registers; use doorbell hypercall, port or mmio, or carrier ring",
        },
    ),
    (
        "batch-with-an-interrupt",
        |spec| TrialSpec { carrier: Carrier::Batch, completion: Completion::Interrupt, ..spec },
        SpecError::Mismatch {
            carrier: Carrier::Batch,
            other: "interrupt",
            why: "only a ring is acknowledged later; use --completion return",
        },
    ),
    (
        "device-thread-and-a-return",
        |spec| TrialSpec {
            doorbell: Doorbell::IoeventfdMmio,
            servicer: Servicer::Device,
            completion: Completion::Return,
            ..spec
        },
        SpecError::Mismatch {
            carrier: Carrier::Ring,
            other: "return",
            why: "the device thread acts after the doorbell has returned; use --completion poll or interrupt",
        },
    ),
    ("arena-too-small", |spec| TrialSpec { arena: Some(2 * MIB), ..spec }, arena(2 * MIB)),
    ("arena-of-no-power-of-two", |spec| TrialSpec { arena: Some(12 * MIB), ..spec }, arena(12 * MIB)),
    ("arena-too-large", |spec| TrialSpec { arena: Some(2 * MOST), ..spec }, arena(2 * MOST)),
    (
        "batch-larger-than-the-arena",
        |spec| TrialSpec { arena: Some(4 * MIB), order: Order::HUGE, ..spec },
        SpecError::Arena { bytes: 4 * MIB, min: 64 * MIB, max: MOST },
    ),
];

fn refuses(spec: TrialSpec, error: &SpecError, facts: &Facts) -> Checked {
    let stop = Arc::new(AtomicBool::new(false));
    let mut samples = Samples::default();
    let ended = host::run(&spec, facts, &stop, &mut samples);
    assert!(matches!(&ended, Err(TrialError::Spec(found)) if found == error), "ended with {ended:?}");
    Ok(())
}

fn refuses_doorbell(doorbell: Doorbell, facts: &Facts, is_its_own: fn(&TrialError) -> bool) -> Checked {
    let spec = floor(doorbell).spec();
    let stop = Arc::new(AtomicBool::new(false));
    let ended = host::run(&spec, facts, &stop, &mut Samples::default());
    assert!(ended.as_ref().is_err_and(is_its_own), "ended with {ended:?}");
    Ok(())
}

fn neither_grows_nor_drifts(spec: TrialSpec, facts: &Facts) -> Checked {
    let spec = TrialSpec { batch: 1, arena: None, warmup: 500, reports: LONG, ..spec };
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
