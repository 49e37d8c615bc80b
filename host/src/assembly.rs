//! Puts the parts of a trial together: memory, machine, device, and whoever serves the doorbell.

use std::sync::{Arc, Mutex};

use abi::addr::bytes_of;
use abi::axes::{Afterwards, Bell, Carrier, GuestRing, Program};
use abi::boot::BootInfo;
use abi::layout::ARENA;

use crate::affinity::Placement;
use crate::axes::{Axis, Backing, Discard, Doorbell, RingChoice, Servicer};
use crate::balloon::Balloon;
use crate::error::TrialError;
use crate::facts::Facts;
use crate::fault::Planted;
use crate::kvm;
use crate::machine::{Blueprint, Machine};
use crate::ram::GuestRam;
use crate::reclaim::{Advice, Reclaimer, advise};
use crate::server::Server;
use crate::service::Service;
use crate::stamps::Stamps;
use crate::transport::{BatchPage, Empty, Registers, Ring, Transport};
use crate::trial::TrialSpec;
use crate::worker::{Worker, WorkerError};

/// The parts, ready to run.
pub(crate) struct Assembly {
    pub(crate) machine: Machine,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) boot: BootInfo,
    pub(crate) balloon: Arc<Mutex<Balloon>>,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) server: Server,
}

impl Assembly {
    /// Checks the choices and builds what they ask for; `image` will run `program`.
    pub(crate) fn new(
        spec: &TrialSpec,
        facts: &Facts,
        program: Program,
        image: &[u8],
        planted: Planted,
        placement: Option<Placement>,
    ) -> Result<Self, TrialError> {
        spec.validate()?;
        check_hypercall(spec.doorbell, spec.servicer, facts)?;
        let kvm = kvm::open()?;
        let boot = boot_info(spec, facts, program);
        let ram = memory(spec.arena_pages(), spec.backing)?;
        let ioeventfd = spec.doorbell.is_ioeventfd();
        let machine =
            Machine::new(&Blueprint { kvm: &kvm, ram: Arc::clone(&ram), image, boot, vcpus: 1, ioeventfd })?;

        let interrupt = machine.interrupt.try_clone().map_err(WorkerError::Start)?;
        let balloon = Arc::new(Mutex::new(Balloon::new(Arc::clone(&ram), interrupt, planted)));
        let stamps = Arc::new(Stamps::default());
        let service = Service::new(
            transport(spec.carrier, &ram, &balloon),
            Reclaimer::new(Arc::clone(&ram), spec.discard, spec.coalesce, planted),
            Arc::clone(&stamps),
            planted,
        );
        let server = match spec.servicer {
            Servicer::Vcpu => Server::Vcpu(Box::new(service)),
            Servicer::Kernel => Server::Kernel(Box::new(service)),
            Servicer::Device => {
                let processor = placement.map(|placement| placement.device);
                let pulse = Arc::clone(&machine.pulse);
                Server::Device(Worker::start(service, &machine.kick, pulse, processor)?)
            }
        };
        Ok(Self { machine, ram, boot, balloon, stamps, server })
    }
}

/// Turns the choices into what the guest is told.
fn boot_info(spec: &TrialSpec, facts: &Facts, program: Program) -> BootInfo {
    let guest_ring = guest_ring(spec.guest_ring, spec.doorbell, facts);
    BootInfo {
        program,
        guest_ring,
        carrier: spec.carrier,
        bell: bell(spec.carrier, spec.doorbell, facts.hypercall),
        completion: spec.completion,
        afterwards: afterwards(spec.discard),
        workload: spec.workload,
        order: spec.order,
        batch: u64::from(spec.batch),
        queue_size: u64::from(spec.queue_size()),
        arena_pages: spec.arena_pages(),
        warmup: spec.warmup,
        reports: spec.reports,
        seed: spec.seed,
        fenced: is_fenced(guest_ring, facts),
    }
}

/// The mode the payload runs in.
pub(crate) fn guest_ring(choice: RingChoice, doorbell: Doorbell, facts: &Facts) -> GuestRing {
    match choice {
        RingChoice::Zero => GuestRing::Zero,
        RingChoice::Three => GuestRing::Three,
        RingChoice::Auto if doorbell.is_hypercall() || !facts.ring0_emulated => GuestRing::Zero,
        RingChoice::Auto => GuestRing::Three,
    }
}

/// What discarded pages hold.
pub(crate) const fn afterwards(discard: Discard) -> Afterwards {
    match discard {
        Discard::None => Afterwards::Kept,
        Discard::DontNeed => Afterwards::Zeroed,
    }
}

/// Whether the guest may fence before it reads its clock.
pub(crate) fn is_fenced(guest_ring: GuestRing, facts: &Facts) -> bool {
    !(guest_ring == GuestRing::Zero && facts.ring0_emulated)
}

/// Whether the hypercall a doorbell may be is delivered here.
pub(crate) fn check_hypercall(
    doorbell: Doorbell,
    servicer: Servicer,
    facts: &Facts,
) -> Result<(), TrialError> {
    if !doorbell.is_hypercall() || facts.answers(doorbell) {
        return Ok(());
    }
    Err(match servicer {
        Servicer::Kernel => TrialError::NoKernelHypercall,
        Servicer::Vcpu | Servicer::Device => TrialError::NoHypercall,
    })
}

/// The instruction that rings a doorbell: a ring is kicked where its device listens, a call is made where
/// calls are taken.
pub(crate) const fn bell(carrier: Carrier, doorbell: Doorbell, hypercall: Bell) -> Bell {
    match (doorbell, carrier) {
        (Doorbell::Hypercall, _) => hypercall,
        (Doorbell::HypercallKernel, _) if matches!(hypercall, Bell::Vmmcall) => Bell::VmmcallToKernel,
        (Doorbell::HypercallKernel, _) => Bell::VmcallToKernel,
        (Doorbell::Port, _) => Bell::CallPort,
        (Doorbell::Mmio, Carrier::Ring) | (Doorbell::IoeventfdMmio, _) => Bell::NotifyRegister,
        (Doorbell::Mmio, _) => Bell::CallStore,
        (Doorbell::IoeventfdPort, _) => Bell::KickPort,
    }
}

/// Guest memory for a trial: everything below the arena, and the arena.
pub(crate) fn memory(arena_pages: u64, backing: Backing) -> Result<Arc<GuestRam>, TrialError> {
    let ram = GuestRam::new(ARENA.0 + bytes_of(arena_pages))?;
    set_backing(&ram, backing)?;
    Ok(Arc::new(ram))
}

/// Advises the kernel to back all of guest memory as the trial says.
pub(crate) fn set_backing(ram: &GuestRam, backing: Backing) -> Result<(), TrialError> {
    let advice = match backing {
        Backing::Anon => Advice::NoHugePage,
        Backing::AnonThp => Advice::HugePage,
    };
    let backing = backing.name();
    advise(ram, ram.whole(), advice).map_err(|source| TrialError::Backing { backing, source })
}

/// The transport is chosen here, once.
pub(crate) fn transport(
    carrier: Carrier,
    ram: &Arc<GuestRam>,
    balloon: &Arc<Mutex<Balloon>>,
) -> Box<dyn Transport> {
    match carrier {
        Carrier::Empty => Box::new(Empty::default()),
        Carrier::Registers => Box::new(Registers::new(Arc::clone(ram))),
        Carrier::Batch => Box::new(BatchPage::new(Arc::clone(ram))),
        Carrier::Ring => Box::new(Ring::new(Arc::clone(balloon))),
    }
}
