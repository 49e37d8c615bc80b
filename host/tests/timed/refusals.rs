//! What means nothing, or cannot be had here, is refused before anything starts, and called by its name.

use std::sync::Arc;

use abi::addr::Order;
use abi::layout::ARENA_MAX_PAGES;
use host::axes::{Carrier, Completion, Doorbell, HaltPoll, RingChoice, Servicer, Way};
use host::fault::{Fault, Planted};
use host::kvm::Counter;
use host::probe::{ClockSource, Facts, Unsteady};
use host::testing::specs::{TIMED, timed_over};
use host::timed::{self, TimedSpec, TimedSpecError};
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::{Checked, ignored};
use crate::company;
use crate::floor;
use crate::samples::Samples;

/// The tests of refusals.
pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let specs = SPECS.iter().map(|(name, change, error)| {
        Trial::test(format!("refuses::{name}"), move || is_called(&change(TIMED), error, facts))
    });
    let ways = WAYS.iter().map(|(name, change, says)| {
        let spec = TimedSpec { way: change(RING), ..TIMED };
        Trial::test(format!("refuses::{name}"), move || is_told(&spec, says, facts))
    });
    let companies = company::NONE.iter().map(|(name, spec, change)| {
        Trial::test(format!("refuses::{name}"), move || {
            let said = ended(spec, facts)?.to_string();
            assert!(said.contains(change), "{said}");
            Ok(())
        })
    });
    let hypercalls = [
        unless_answered(Doorbell::Hypercall, "refuses::hypercall-that-is-not-delivered", facts, |ended| {
            matches!(ended, TrialError::NoHypercall)
        }),
        unless_answered(
            Doorbell::HypercallKernel,
            "refuses::hypercall-that-kvm-does-not-answer",
            facts,
            |ended| matches!(ended, TrialError::NoKernelHypercall),
        ),
        unless_answered(
            Doorbell::XenHypercall,
            "refuses::xen-hypercall-that-is-not-delivered",
            facts,
            |ended| matches!(ended, TrialError::NoForeignCall { .. }),
        ),
        unless_answered(
            Doorbell::HypercallModule,
            "refuses::hypercall-module-that-is-not-loaded",
            facts,
            |ended| ended.to_string().contains("`pagehint lab` loads it"),
        ),
        unless_answered(
            Doorbell::HypervHypercall,
            "refuses::hyperv-hypercall-that-is-not-delivered",
            facts,
            |ended| matches!(ended, TrialError::NoForeignCall { .. }),
        ),
    ];
    let name = "refuses::vhost-that-is-not-loaded";
    let vhost = if facts.has_vhost() {
        ignored(name.into(), "it is loaded here")
    } else {
        Trial::test(name, move || {
            let way = Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll);
            let ended = ended(&timed_over(Way { servicer: Servicer::Vhost, ..way }), facts)?;
            assert!(
                matches!(&ended, TrialError::NoVhost { reason } if reason.contains("`pagehint lab` loads it"))
            );
            Ok(())
        })
    };
    let moved = Trial::test("refuses::clock-that-moved-meanwhile", move || {
        let planted = Planted::new(Fault::ClockMoved);
        let ended = timed::run_planted(&TIMED, facts, &Arc::default(), &mut Samples::default(), planted);
        assert!(matches!(ended, Err(TrialError::ClockMoved { ticks: 1000 })), "ended with {ended:?}");
        Ok(())
    });
    let unsteady = Trial::test("refuses::counter-that-is-not-steady", move || {
        let clock_source = ClockSource { invariant: Some(false), emulated: false, ..ClockSource::default() };
        let facts = Facts { clock_source, counter: Counter::Time, ..facts.clone() };
        let ended = ended(&TIMED, &facts)?;
        assert!(matches!(ended, TrialError::Unsteady(Unsteady::NotInvariant)), "ended with {ended:?}");
        Ok(())
    });
    specs.chain([moved, unsteady, vhost]).chain(companies).chain(ways).chain(hypercalls).collect()
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const MOST: u64 = ARENA_MAX_PAGES * 4 * KIB;

/// The least arena that serves the batches here.
const fn arena(bytes: u64) -> TimedSpecError {
    TimedSpecError::Arena { bytes, min: 4 * MIB, max: MOST }
}

/// A change that makes a sound trial senseless, and the error it must be called by.
type SpecCase = (&'static str, fn(TimedSpec) -> TimedSpec, TimedSpecError);

const SPECS: &[SpecCase] = &[
    ("empty-batch", |spec| TimedSpec { batch: 0, ..spec }, TimedSpecError::Batch { batch: 0 }),
    ("batch-over-511", |spec| TimedSpec { batch: 512, ..spec }, TimedSpecError::Batch { batch: 512 }),
    (
        "log-of-more-than-may-fit",
        |spec| TimedSpec { way: over(Carrier::Log, Doorbell::Port), batch: 256, ..spec },
        TimedSpecError::Gathered { batch: 256, carrier: Carrier::Log, most: 255 },
    ),
    (
        "more-writes-than-kvm-queues",
        |spec| TimedSpec { way: over(Carrier::Store, Doorbell::CoalescedPort), batch: 170, ..spec },
        TimedSpecError::Gathered { batch: 170, carrier: Carrier::Store, most: 169 },
    ),
    (
        "none-in-flight",
        |spec| TimedSpec { in_flight: 0, ..spec },
        TimedSpecError::InFlight { in_flight: 0, batch: 32 },
    ),
    (
        "nine-in-flight",
        |spec| TimedSpec { way: DEVICE, in_flight: 9, ..spec },
        TimedSpecError::InFlight { in_flight: 9, batch: 32 },
    ),
    (
        "more-in-flight-than-go-together",
        |spec| TimedSpec { way: DEVICE, in_flight: 8, batch: 64, ..spec },
        TimedSpecError::InFlight { in_flight: 8, batch: 64 },
    ),
    (
        "several-in-flight-to-the-vcpus-thread",
        |spec| TimedSpec { in_flight: 2, ..spec },
        TimedSpecError::OneByOne {
            in_flight: 2,
            carrier: Carrier::Ring,
            servicer: Servicer::Vcpu,
            why: "the vCPU's thread acts before the doorbell returns",
        },
    ),
    (
        "several-calls-in-flight",
        |spec| TimedSpec { way: over(Carrier::Batch, Doorbell::Port), in_flight: 2, ..spec },
        TimedSpecError::OneByOne {
            in_flight: 2,
            carrier: Carrier::Batch,
            servicer: Servicer::Vcpu,
            why: "only a ring is acknowledged later",
        },
    ),
    ("no-reports", |spec| TimedSpec { reports: 0, ..spec }, TimedSpecError::NoReports),
    ("arena-too-small", |spec| TimedSpec { arena: Some(2 * MIB), ..spec }, arena(2 * MIB)),
    ("arena-of-no-power-of-two", |spec| TimedSpec { arena: Some(12 * MIB), ..spec }, arena(12 * MIB)),
    ("arena-too-large", |spec| TimedSpec { arena: Some(2 * MOST), ..spec }, arena(2 * MOST)),
    (
        "batch-larger-than-the-arena",
        |spec| TimedSpec { arena: Some(4 * MIB), order: Order::HUGE, ..spec },
        TimedSpecError::Arena { bytes: 4 * MIB, min: 64 * MIB, max: MOST },
    ),
];

const fn over(carrier: Carrier, doorbell: Doorbell) -> Way {
    Way::plain(carrier, doorbell, Completion::Return)
}

const DEVICE: Way = Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll);
const RING: Way = Way::plain(Carrier::Ring, Doorbell::Mmio, Completion::Return);

/// A change that makes a sound way senseless, and what must be said of it.
type WayCase = (&'static str, fn(Way) -> Way, &'static str);

const WAYS: &[WayCase] = &[
    (
        "device-thread-without-an-ioeventfd",
        |way| Way { doorbell: Doorbell::Port, servicer: Servicer::Device, ..way },
        "doorbell port and servicer device do not go together: such a doorbell exits to the vCPU's thread; use \
         --servicer vcpu",
    ),
    (
        "ioeventfd-without-a-device-thread",
        |way| Way { doorbell: Doorbell::IoeventfdMmio, ..way },
        "doorbell ioeventfd-mmio and servicer vcpu do not go together: KVM signals an eventfd, and a \
         thread waits for it; use --servicer device or vhost",
    ),
    (
        "hypercall-from-ring-3",
        |way| Way { doorbell: Doorbell::Hypercall, guest_ring: RingChoice::Three, ..way },
        "doorbell hypercall and guest-ring 3 do not go together: KVM refuses hypercalls from ring 3; use \
         --guest-ring 0 or auto",
    ),
    (
        "hypercall-to-the-kernel-from-ring-3",
        |_| Way { guest_ring: RingChoice::Three, ..floor(Doorbell::HypercallKernel).way },
        "doorbell hypercall-kernel and guest-ring 3 do not go together: KVM refuses hypercalls from ring 3; use \
         --guest-ring 0 or auto",
    ),
    (
        "hypercall-to-the-kernel-with-a-ring",
        |way| Way { doorbell: Doorbell::HypercallKernel, servicer: Servicer::Kernel, ..way },
        "doorbell hypercall-kernel and carrier ring do not go together: KVM answers such a call itself and looks at no \
         ranges; use --carrier empty",
    ),
    (
        "registers-with-an-eventfd",
        |_| Way::plain(Carrier::Registers, Doorbell::IoeventfdPort, Completion::Return),
        "doorbell ioeventfd-port and carrier registers do not go together: an eventfd carries neither registers nor an \
         answer; use --carrier ring, packed, inflate or empty",
    ),
    (
        "sleep-without-a-halt",
        |way| Way { halt_poll: HaltPoll::Never, ..way },
        "completion return and halt-poll 0 do not go together: a guest that never halts is never polled for; use \
         --halt-poll host",
    ),
    (
        "batch-with-an-interrupt",
        |way| Way { carrier: Carrier::Batch, completion: Completion::Interrupt, ..way },
        "carrier batch and completion interrupt do not go together: only what is in a queue is acknowledged later; use \
         --completion return",
    ),
    (
        "queued-writes-of-a-batch-page",
        |_| over(Carrier::Batch, Doorbell::CoalescedPort),
        "doorbell coalesced-port and carrier batch do not go together: KVM queues what is written, and nothing \
         beside it; use --carrier store",
    ),
    (
        "a-hypercall-that-writes",
        |_| over(Carrier::Store, Doorbell::Hypercall),
        "carrier store and doorbell hypercall do not go together: the range is what is written; use --doorbell \
         port, mmio, coalesced-port or coalesced-mmio",
    ),
    (
        "log-with-an-eventfd",
        |_| over(Carrier::Log, Doorbell::IoeventfdMmio),
        "doorbell ioeventfd-mmio and carrier log do not go together: an eventfd carries neither registers nor an \
         answer; use --carrier ring, packed, inflate or empty",
    ),
    (
        "log-that-is-polled",
        |way| Way { completion: Completion::Poll, ..over(Carrier::Log, way.doorbell) },
        "carrier log and completion poll do not go together: the host acts on a log while the guest is in the \
         call; use --completion return",
    ),
    (
        "device-thread-and-a-return",
        |_| Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Return),
        "carrier ring, servicer device and completion return do not go together: the device thread acts after \
         the doorbell has returned; use --completion poll or interrupt",
    ),
];

/// How a trial ends that must not begin.
fn ended(spec: &TimedSpec, facts: &Facts) -> Result<TrialError, &'static str> {
    timed::run(spec, facts, &Arc::default(), &mut Samples::default()).err().ok_or("it was run")
}

fn is_called(spec: &TimedSpec, error: &TimedSpecError, facts: &Facts) -> Checked {
    let ended = ended(spec, facts)?;
    let found = match &ended {
        TrialError::Spec(error) => error.downcast_ref(),
        _ => None,
    };
    assert_eq!(found, Some(error), "ended with {ended:?}");
    Ok(())
}

fn is_told(spec: &TimedSpec, says: &str, facts: &Facts) -> Checked {
    let ended = ended(spec, facts)?;
    assert!(matches!(ended, TrialError::Spec(_)), "ended with {ended:?}");
    assert_eq!(ended.to_string(), says);
    Ok(())
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
    Trial::test(name, move || {
        let ended = ended(&timed_over(floor(doorbell).way), facts)?;
        assert!(is_its_own(&ended), "ended with {ended:?}");
        Ok(())
    })
}
