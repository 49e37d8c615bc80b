//! Finds out what this host can do, by starting small guests with deadlines.

use std::path::Path;
use std::sync::PoisonError;

use abi::axes::{Axis, Bell, Carrier, GuestRing, Program};
use abi::notes;
use abi::step::Step;
use kvm_bindings::{
    KVM_CAP_BINARY_STATS_FD, KVM_CAP_COALESCED_PIO, KVM_CAP_HALT_POLL, KVM_CAP_IOEVENTFD_ANY_LENGTH,
};
use kvm_ioctls::{Cap, Kvm};

use crate::axes::{Doorbell, Servicer};
use crate::kvm::{
    self, ExitError, KvmError, Machine, PAYLOAD_TARGET, Pinned, Placement, Statistics, counter,
};

mod clock_source;
mod facts;
mod floor;
mod floors;
mod guest;
mod pages;
mod waits;

pub use clock_source::{ClockSource, Unsteady};
use facts::{ANY_LENGTH, HALT_POLL, VHOST};
pub use facts::{Answered, DoorbellFact, Facts};
pub use floor::{Floor, FloorFact, Spread};
use guest::{Probe, ProbeError, RINGS, Stopwatch, probe_boot};

/// How often the short loop is timed.
const SHORT_LOOPS: u32 = 3;
/// An instruction of a loop that takes more ticks than this is not executed by the processor: some ten
/// nanoseconds where the counter counts time, and one where it counts instructions.
const EMULATED_TICKS: f64 = 50.0;

/// Finds out what this host can do. Starts a dozen small guests.
///
/// # Errors
/// [`KvmError`] if there is no usable KVM at all.
pub fn probe() -> Result<Facts, KvmError> {
    let kvm = kvm::open()?;
    let placement = Placement::choose(1, Servicer::Vcpu);
    let pinned = Pinned::to(placement.vcpu(0));
    let still = still(&kvm)?;
    let instruction_ticks = [GuestRing::Zero, GuestRing::Three].map(|ring| instruction_ticks(&kvm, ring));
    let ring0_emulated = instruction_ticks[0].is_some_and(|ticks| ticks > EMULATED_TICKS);
    let hypercall = hypercall_instruction();
    let mut doorbells = Vec::new();
    for doorbell in Doorbell::ALL.iter().copied().filter(|doorbell| doorbell.rings()) {
        for guest_ring in [GuestRing::Zero, GuestRing::Three] {
            let answered = try_doorbell(&kvm, doorbell, guest_ring, hypercall);
            doorbells.push(DoorbellFact { doorbell, guest_ring, answered });
        }
    }
    let mut placed = placement.placed();
    placed.remarks.extend(pinned.pin().astray());
    drop(pinned);
    let floors = floors::floors(&kvm, &doorbells);
    Ok(Facts {
        flavour: kvm::flavour(),
        capabilities: capabilities(&kvm),
        max_vcpus: u32::try_from(kvm.get_max_vcpus()).unwrap_or(u32::MAX),
        hypercall,
        doorbells,
        floors,
        instruction_ticks,
        ring0_emulated,
        counter: counter(),
        tsc_khz: still.tsc_khz().unwrap_or(0),
        tsc_offset: still.tsc_offset().map(|offset| offset.0),
        payload_target: PAYLOAD_TARGET,
        placed,
        clock_source: ClockSource::here(),
    })
}

/// A machine whose guest has left again. Where not even that can be had, nothing is tried one by one: every doorbell
/// would be said not to answer.
fn still(kvm: &Kvm) -> Result<Machine, KvmError> {
    let no_guest = |reason: &dyn std::fmt::Display| KvmError::NoGuest { reason: reason.to_string() };
    let boot = probe_boot(Program::Obey, GuestRing::Three, Bell::CallPort);
    let mut probe = Probe::build(kvm, boot, None).map_err(|error| no_guest(&error))?;
    let mut nothing = Stopwatch::new(&probe.ram, Vec::new());
    match probe.run(&mut nothing) {
        Err(error @ (ProbeError::Watchdog(_) | ProbeError::Exit(ExitError::NoThread { .. }))) => {
            Err(no_guest(&error))
        }
        // A guest that fails by itself may come up in another mode.
        _ => Ok(probe.machine),
    }
}

fn capabilities(kvm: &Kvm) -> Vec<(&'static str, bool)> {
    [
        ("KVM_CAP_EXIT_HYPERCALL", Cap::ExitHypercall),
        ("KVM_CAP_IOEVENTFD", Cap::Ioeventfd),
        ("KVM_CAP_IRQFD", Cap::Irqfd),
        ("KVM_CAP_IRQCHIP", Cap::Irqchip),
        ("KVM_CAP_SYNC_REGS", Cap::SyncRegs),
        ("KVM_CAP_IMMEDIATE_EXIT", Cap::ImmediateExit),
        ("KVM_CAP_COALESCED_MMIO", Cap::CoalescedMmio),
        ("KVM_CAP_DIRTY_LOG_RING", Cap::DirtyLogRing),
    ]
    .map(|(name, cap)| (name, kvm.check_extension(cap)))
    .into_iter()
    .chain(
        [
            ("KVM_CAP_BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD),
            (HALT_POLL, KVM_CAP_HALT_POLL),
            ("KVM_CAP_COALESCED_PIO", KVM_CAP_COALESCED_PIO),
            (ANY_LENGTH, KVM_CAP_IOEVENTFD_ANY_LENGTH),
        ]
        .map(|(name, cap)| (name, kvm.check_extension_raw(cap.into()) > 0)),
    )
    .chain([(VHOST, Path::new(kvm::VHOST_DEVICE).exists())])
    .collect()
}

/// `vmmcall` on AMD and its relatives, else `vmcall`.
fn hypercall_instruction() -> Bell {
    let vendor = core::arch::x86_64::__cpuid(0);
    let is = |name: &[u8; 12]| {
        let words = [vendor.ebx, vendor.edx, vendor.ecx];
        words.iter().flat_map(|word| word.to_le_bytes()).eq(*name)
    };
    if is(b"AuthenticAMD") || is(b"HygonGenuine") { Bell::Vmmcall } else { Bell::Vmcall }
}

/// Rings a doorbell some times, with a deadline.
fn try_doorbell(kvm: &Kvm, doorbell: Doorbell, guest_ring: GuestRing, hypercall: Bell) -> Answered {
    if let Some(module) = doorbell.module().filter(|module| !kvm::module::is_loaded(module)) {
        return Answered::Not { reason: kvm::not_loaded(module) };
    }
    let boot = probe_boot(Program::Knock, guest_ring, doorbell.bell(Carrier::Empty, hypercall));
    let mut probe = match Probe::build(kvm, boot, Some(doorbell)) {
        Ok(probe) => probe,
        Err(error) => return Answered::Not { reason: error.to_string() },
    };
    let mut stopwatch = Stopwatch::new(&probe.ram, Vec::new());
    let counted = HypercallCount::begin(&probe.machine);
    if let Err(error) = probe.run(&mut stopwatch) {
        return Answered::Not { reason: error.to_string() };
    }
    // An answer of KVM's own shows nowhere but in the guest, which counts those that are errors.
    let refused = probe.ram.read(notes::REFUSED).unwrap_or(RINGS);
    if refused > 0 {
        return Answered::Not { reason: format!("KVM refused {refused} of {RINGS} calls") };
    }
    let heard = match doorbell.servicer() {
        Servicer::Vcpu if doorbell.is_coalesced() => queued(&probe),
        Servicer::Vcpu => stopwatch.calls,
        Servicer::Device => signals(&probe),
        // Of a doorbell that there is not nothing is tried, and none has a worker of the kernel's unless that is chosen.
        Servicer::Polling | Servicer::Vhost => 0,
        // Where KVM keeps no statistics the guest's word must do: its calls returned, and none was refused.
        Servicer::Kernel => counted.and_then(|counted| counted.end()).unwrap_or(RINGS),
    };
    if heard == RINGS {
        Answered::After { round_trip_ticks: stopwatch.took / RINGS }
    } else {
        Answered::Not { reason: format!("the guest rang {RINGS} times and {heard} arrived") }
    }
}

/// The hypercalls of a vCPU as KVM counts them, from some moment on.
struct HypercallCount {
    statistics: Statistics,
    before: Vec<u64>,
}

impl HypercallCount {
    /// From now on; `None` where KVM keeps no statistics.
    fn begin(machine: &Machine) -> Option<Self> {
        let statistics = machine.statistics()?;
        let before = statistics.read().ok()?;
        Some(Self { statistics, before })
    }

    /// Until now; `None` if KVM keeps no such statistic.
    fn end(&self) -> Option<u64> {
        let after = self.statistics.read().ok()?;
        let changes = self.statistics.difference(&self.before, &after);
        changes.into_iter().find_map(|(name, change)| (name == "hypercalls").then_some(change))
    }
}

/// How often the kick was signalled.
fn signals(probe: &Probe) -> u64 {
    // One signal of our own keeps the read from blocking.
    probe.machine.kick.write(1).and_then(|()| probe.machine.kick.read()).map_or(0, |signals| signals - 1)
}

/// How many writes KVM has queued.
fn queued(probe: &Probe) -> u64 {
    let Some(queued) = &probe.machine.queued else { return 0 };
    let mut queued = queued.lock().unwrap_or_else(PoisonError::into_inner);
    std::iter::from_fn(|| queued.take()).count() as u64
}

/// Ticks an instruction of a simple loop takes.
fn instruction_ticks(kvm: &Kvm, ring: GuestRing) -> Option<f64> {
    let timed = |iterations: u32| {
        let mut probe = Probe::build(kvm, probe_boot(Program::Obey, ring, Bell::CallPort), None).ok()?;
        let steps = vec![Step::Count { iterations: iterations.into() }, Step::Count { iterations: 1 }];
        let mut stopwatch = Stopwatch::new(&probe.ram, steps);
        probe.run(&mut stopwatch).ok()?;
        let [.., short, long] = stopwatch.step_ticks.as_slice() else { return None };
        #[expect(clippy::cast_precision_loss, reason = "ticks of a deadline stay far below 2^52")]
        let ticks = long.saturating_sub(*short) as f64;
        Some(ticks / (2.0 * f64::from(iterations)))
    };
    // A short loop tells an emulator; only a processor is quick enough for a long one, which tells more. The best
    // of some: where the processor itself is emulated the first passes are slow.
    let short = (0..SHORT_LOOPS).filter_map(|_| timed(1000)).min_by(f64::total_cmp)?;
    if short > EMULATED_TICKS { Some(short) } else { timed(3_000_000) }
}
