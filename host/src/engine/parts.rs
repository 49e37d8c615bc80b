//! Memory, machine and device of a trial, and a service for each processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::axes::{Afterwards, Bell, GuestRing, Program, Workload};
use abi::boot::BootInfo;
use abi::engine::GuestFault;
use abi::engine::info::EngineInfo;
use abi::engine::map::Map;
use abi::layout::ENGINE;

use super::Spent;
use super::spec::EngineSpec;
use crate::affinity::Placement;
use crate::assembly::{afterwards, bell, check_hypercall, guest_ring, is_fenced, memory, transport};
use crate::axes::{Axis, Backing, Carrier, Discard, Servicer};
use crate::balloon::Balloon;
use crate::error::TrialError;
use crate::facts::Facts;
use crate::fault::Planted;
use crate::kvm;
use crate::machine::{Blueprint, Machine};
use crate::proof::ProofError;
use crate::ram::GuestRam;
use crate::reclaim::{Advice, Reclaimer, Taken, advise};
use crate::residency;
use crate::service::Service;
use crate::stamps::Stamps;
use crate::trial::Refused;
use crate::worker::{Worker, WorkerError};

/// The parts, ready to run.
pub(super) struct Parts {
    pub(super) machine: Machine,
    pub(super) ram: Arc<GuestRam>,
    pub(super) map: Map,
    pub(super) guest_ring: GuestRing,
    pub(super) bell: Bell,
    pub(super) balloon: Arc<Mutex<Balloon>>,
    pub(super) services: Services,
    pub(super) tsc_khz: u32,
}

impl Parts {
    /// Checks the choices and builds what they ask for.
    pub(super) fn new(
        spec: &EngineSpec,
        facts: &Facts,
        image: &[u8],
        planted: Planted,
        fault: GuestFault,
        placement: Option<Placement>,
    ) -> Result<Self, TrialError> {
        spec.validate()?;
        spec.validate_processors(facts.max_vcpus)?;
        check_hypercall(spec.doorbell, spec.servicer, facts)?;
        let kvm = kvm::open()?;
        let boot = boot_info(spec, facts);
        let ram = memory(boot.arena_pages, spec.backing)?;
        let map = spec.map();
        if spec.backing == Backing::AnonThp {
            check_huge(&ram, map)?;
        }
        let machine = Machine::new(&Blueprint {
            kvm: &kvm,
            ram: Arc::clone(&ram),
            image,
            boot,
            vcpus: spec.vcpus,
            ioeventfd: spec.doorbell.is_ioeventfd(),
        })?;
        check_clocks(&machine)?;
        let tsc_khz = machine.tsc_khz().ok_or(TrialError::NoClock)?;
        ram.write_words(ENGINE, &engine_info(spec, fault, tsc_khz).to_words())?;

        let interrupt = machine.interrupt.try_clone().map_err(WorkerError::Start)?;
        let mut balloon = Balloon::new(Arc::clone(&ram), interrupt, planted);
        if spec.offer_poison {
            balloon = balloon.offering_poison();
        }
        let balloon = Arc::new(Mutex::new(balloon));
        let service = || {
            Service::new(
                transport(spec.carrier, &ram, &balloon),
                Reclaimer::new(Arc::clone(&ram), spec.discard, spec.coalesce, planted),
                Arc::new(Stamps::default()),
                planted,
            )
        };
        let services = match spec.servicer {
            Servicer::Device => {
                let processor = placement.map(|placement| placement.device);
                let pulse = Arc::clone(&machine.pulse);
                Services::Device(Worker::start(service(), &machine.kick, pulse, processor)?)
            }
            // There is one ring for all, and it has one service, as a device has one lock.
            Servicer::Vcpu | Servicer::Kernel if spec.carrier == Carrier::Ring => {
                Services::Vcpu(vec![Arc::new(Mutex::new(service()))])
            }
            Servicer::Vcpu | Servicer::Kernel => {
                Services::Vcpu((0..spec.vcpus).map(|_| Arc::new(Mutex::new(service()))).collect())
            }
        };
        let (guest_ring, bell) = (boot.guest_ring, boot.bell);
        Ok(Self { machine, ram, map, guest_ring, bell, balloon, services, tsc_khz })
    }
}

/// Who serves the doorbells.
pub(super) enum Services {
    /// The thread of each processor. Where each has its own service, nobody but the account at both ends of the
    /// measured part ever waits for its lock.
    Vcpu(Vec<Arc<Mutex<Service>>>),
    /// The device thread.
    Device(Worker),
}

/// What all services did so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    pub(super) taken: Taken,
    pub(super) refused: Refused,
    pub(super) spent: Spent,
}

impl Served {
    fn add(&mut self, service: &Service) {
        let (taken, spent) = (service.taken(), service.spent());
        self.taken.madvise_calls += taken.madvise_calls;
        self.taken.discarded_pages += taken.discarded_pages;
        self.taken.madvise_failures += taken.madvise_failures;
        self.refused.add(&service.refused());
        self.spent.fetch += spent.fetch;
        self.spent.discard += spent.discard;
        self.spent.complete += spent.complete;
    }
}

impl Services {
    /// The service of processor `vcpu`, if it has one.
    pub(super) fn of(&self, vcpu: usize) -> Option<Arc<Mutex<Service>>> {
        match self {
            Self::Vcpu(services) => services.get(vcpu).or(services.first()).map(Arc::clone),
            Self::Device(_) => None,
        }
    }

    /// What they did so far, each looked at between two of its calls.
    pub(super) fn served(&self) -> Served {
        let mut served = Served::default();
        match self {
            Self::Vcpu(services) => services.iter().for_each(|service| served.add(&lock(service))),
            Self::Device(worker) => worker.with(|service| served.add(service)),
        }
        served
    }

    /// How a run ended: if the device thread gave up, that is why.
    pub(super) fn error_or(&self, ran: Result<(), TrialError>) -> Result<(), TrialError> {
        match self {
            Self::Device(worker) => worker.error().map_or(ran, |error| Err(error.into())),
            Self::Vcpu(_) => ran,
        }
    }
}

/// A service whose lock was poisoned by a panic elsewhere still has its counts.
pub(super) fn lock(service: &Mutex<Service>) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

fn boot_info(spec: &EngineSpec, facts: &Facts) -> BootInfo {
    let guest_ring = guest_ring(spec.guest_ring, spec.doorbell, facts);
    BootInfo {
        program: Program::Engine,
        guest_ring,
        carrier: spec.carrier,
        bell: bell(spec.carrier, spec.doorbell, facts.hypercall),
        completion: spec.completion,
        afterwards: if is_returned(spec) { afterwards(spec.discard) } else { Afterwards::Kept },
        // The engine has workloads of its own.
        workload: Workload::Sequential,
        order: spec.min_order,
        batch: spec.capacity.into(),
        queue_size: spec.queue_size().into(),
        arena_pages: spec.memory / PAGE_SIZE,
        warmup: 0,
        reports: 0,
        seed: spec.seed,
        fenced: is_fenced(guest_ring, facts),
    }
}

/// Whether the host gives reported pages back: not if it discards nothing, and not if the guest fills free pages with
/// something that a discard would not leave.
pub(super) const fn is_returned(spec: &EngineSpec) -> bool {
    matches!(spec.discard, Discard::DontNeed) && matches!(spec.poison, None | Some(0))
}

fn engine_info(spec: &EngineSpec, fault: GuestFault, tsc_khz: u32) -> EngineInfo {
    let ticks = |duration: Duration| {
        // The durations are a day at the most: see `EngineSpec::validate`.
        u64::try_from(duration.as_nanos() * u128::from(tsc_khz) / 1_000_000).unwrap_or(u64::MAX)
    };
    EngineInfo {
        vcpus: spec.vcpus.into(),
        reporting: spec.reporting,
        walk: spec.walk,
        shuffle: spec.shuffle,
        min_order: spec.min_order,
        capacity: spec.capacity.into(),
        delay: ticks(spec.delay),
        high_water: spec.high_water,
        budget: spec.budget,
        watermark: spec.watermark,
        load: spec.load,
        unit: spec.unit,
        footprint: spec.footprint / PAGE_SIZE,
        rounds: spec.rounds,
        window: ticks(spec.window),
        warmup: ticks(spec.warmup),
        settle: ticks(spec.settle),
        poisoned: spec.poison.is_some(),
        poison: u64::from_ne_bytes([spec.poison.unwrap_or(0); 8]),
        fault,
        ticks_per_us: u64::from(tsc_khz / 1000).max(1),
    }
}

/// What one processor stamps another compares: their clocks must be one.
fn check_clocks(machine: &Machine) -> Result<(), TrialError> {
    let first = machine.tsc_offset().ok_or(TrialError::NoClock)?;
    for processor in machine.processors() {
        let offset = processor.tsc_offset().ok_or(TrialError::NoClock)?;
        if offset != first {
            return Err(TrialError::ClocksDiffer { ticks: offset.0.abs_diff(first.0) });
        }
    }
    Ok(())
}

/// If huge pages were asked for, the first touch of a block must give one. It is given back.
fn check_huge(ram: &GuestRam, map: Map) -> Result<(), TrialError> {
    let block = map.block(0, Order::MAX);
    ram.write(block.gpa(), 1)?;
    let huge = residency::huge_bytes(ram).map_err(ProofError::Pagemap)?;
    let backing = Backing::AnonThp.name();
    advise(ram, block, Advice::DontNeed).map_err(|source| TrialError::Backing { backing, source })?;
    if huge == 0 { Err(TrialError::NoHugePages) } else { Ok(()) }
}
