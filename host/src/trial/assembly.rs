//! Puts the parts of a trial together: memory, machine, device, and whoever serves the doorbells.

use std::io;
use std::sync::Arc;

use abi::addr::bytes_of;
use abi::axes::Carrier;
use abi::boot::BootInfo;
use abi::layout::ARENA;
use abi::timed::company::Company;

use super::error::TrialError;
use crate::axes::{Coalesce, Discard, HaltPoll, Match, Servicer, Way};
use crate::balloon::{Balloon, SharedBalloon, Vhost};
use crate::fault::{Fault, Planted};
use crate::kvm::{self, Blueprint, BuildError, Machine, Placed, Placement, TscOffset};
use crate::memory::{GuestRam, try_discard};
use crate::probe::Facts;
use crate::reclaim::{Reclaimer, SharedPutOff};
use crate::serve::{InKernel, Server, Service, Services, Stamps, Worker, WorkerError};
use crate::transport;

/// What is to be put together.
pub(crate) struct Wanted<'a> {
    /// How reports travel and what is done with them.
    pub(crate) way: Way,
    /// What every processor is told; how much memory there is among it.
    pub(crate) boot: BootInfo,
    /// Processors, at least one.
    pub(crate) vcpus: u32,
    /// Whether they are the company of a timed trial.
    pub(crate) company: Option<Company>,
    /// Whether the balloon offers `VIRTIO_BALLOON_F_PAGE_POISON`.
    pub(crate) offer_poison: bool,
    /// What the processors run.
    pub(crate) image: &'a [u8],
    /// The bug planted in the host, if any.
    pub(crate) planted: Planted,
    /// Where the threads run, and what memory is near to them.
    pub(crate) placement: &'a Placement,
}

/// The parts, ready to run as soon as somebody serves.
pub(crate) struct Assembly {
    pub(crate) machine: Machine,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) boot: BootInfo,
    pub(crate) balloon: SharedBalloon,
    /// Where discards that are put off are remembered.
    pub(crate) put_off: Option<SharedPutOff>,
    way: Way,
    vcpus: u32,
    planted: Planted,
    pub(crate) placement: Placement,
    /// Whether memory is bound to the node of the placement; `None` where there is but one.
    bound: Option<io::Result<()>>,
}

impl Assembly {
    /// Builds what is wanted, if this host can have it.
    pub(crate) fn new(wanted: &Wanted<'_>, facts: &Facts) -> Result<Self, TrialError> {
        let Wanted { way, boot, vcpus, company, offer_poison, image, planted, placement } = *wanted;
        check_hypercall(&way, facts)?;
        check_halt_poll(&way, facts)?;
        check_match(&way, facts)?;
        check_vhost(&way, facts)?;
        let kvm = kvm::open()?;
        // Everything below the arena, the arena, and what the processors of a company have for themselves.
        let own = company.map_or(0, Company::areas);
        let ram = Arc::new(GuestRam::backed(ARENA.0 + bytes_of(boot.arena_pages) + own, way.backing)?);
        try_discard(&ram, way.discard)?;
        // Before the first page of it is touched.
        let bound = placement.node().map(|node| ram.bind(node));
        let machine = Machine::new(&Blueprint {
            kvm: &kvm,
            ram: Arc::clone(&ram),
            image,
            boot,
            vcpus,
            company,
            ioeventfd: way.doorbell.matches(),
            coalesced: way.doorbell.is_coalesced(),
            halt_poll: way.halt_poll,
        })?;

        let interrupt = machine.interrupt.try_clone().map_err(WorkerError::Start)?;
        let balloon = Balloon::new(Arc::clone(&ram), interrupt, planted);
        let balloon = if offer_poison { balloon.offering_poison() } else { balloon };
        let balloon = balloon.offering(way.ring_features);
        let balloon = if way.carrier == Carrier::PackedRing { balloon.offering_packed() } else { balloon };
        let balloon = if way.doorbell.rings() { balloon } else { balloon.wanting_no_kicks() };
        let balloon = if way.carrier == Carrier::Inflate { balloon.of_frames() } else { balloon };
        let balloon = match machine.listener().map_err(WorkerError::Start)? {
            Some(listener) => balloon.heard_by(listener),
            None => balloon,
        };
        let balloon = match way.servicer {
            Servicer::Vhost => balloon.served_by(Vhost::open(&ram, &machine.kick, &machine.interrupt)?),
            Servicer::Vcpu | Servicer::Device | Servicer::Kernel | Servicer::Polling => balloon,
        };
        let balloon = SharedBalloon::new(balloon, &machine.pulse);
        let put_off = (way.discard == Discard::Deferred).then(|| SharedPutOff::new(&ram, planted));
        Ok(Self {
            machine,
            ram,
            boot,
            balloon,
            put_off,
            way,
            vcpus,
            planted,
            placement: placement.clone(),
            bound,
        })
    }

    /// Who serves the doorbell of the only processor, and stamps there.
    pub(crate) fn server(&self, stamps: Arc<Stamps>) -> Result<Server, WorkerError> {
        let service = self.service(stamps);
        Ok(match self.way.servicer {
            Servicer::Vcpu => Server::Vcpu(Box::new(service)),
            Servicer::Kernel | Servicer::Vhost => {
                Server::Kernel(Box::new(InKernel::new(service, self.balloon.clone(), &self.way)))
            }
            Servicer::Device | Servicer::Polling => Server::Device(self.worker(service)?),
        })
    }

    /// Who serves the doorbells of all processors, and stamps where `stamps` says for each.
    pub(crate) fn services(&self, stamps: impl Fn(u32) -> Arc<Stamps>) -> Result<Services, WorkerError> {
        let service = |vcpu| self.service(stamps(vcpu));
        Ok(match self.way.servicer {
            Servicer::Device | Servicer::Polling => Services::Device(self.worker(service(0))?),
            // There is one ring for all, and it has one service, as a device has one lock.
            Servicer::Vcpu | Servicer::Kernel | Servicer::Vhost if self.way.carrier.is_ring() => {
                Services::of_processors([service(0)])
            }
            Servicer::Vcpu | Servicer::Kernel | Servicer::Vhost => {
                Services::of_processors((0..self.vcpus).map(service))
            }
        })
    }

    /// Frequency of the processors' clock in kHz, and its offset to ours. What one of them stamps another compares:
    /// their clocks must be one.
    pub(crate) fn clock(&self) -> Result<(u32, TscOffset), TrialError> {
        let first = self.machine.tsc_offset().ok_or(TrialError::NoClock)?;
        for processor in self.machine.processors() {
            let offset = processor.tsc_offset().ok_or(TrialError::NoClock)?;
            if offset != first {
                return Err(TrialError::ClocksDiffer { ticks: offset.0.abs_diff(first.0) });
            }
        }
        Ok((self.machine.tsc_khz().ok_or(TrialError::NoClock)?, first))
    }

    /// The relation of the clocks is still `offset`, as it was before.
    pub(crate) fn clock_stands(&self, offset: TscOffset) -> Result<(), TrialError> {
        let moved = if self.planted.is(Fault::ClockMoved) { 1000 } else { 0 };
        match self.clock()?.1.0.wrapping_add(moved).abs_diff(offset.0) {
            0 => Ok(()),
            ticks => Err(TrialError::ClockMoved { ticks }),
        }
    }

    /// Where everything was, as it is recorded; of `astray` threads why they were elsewhere.
    pub(crate) fn placed(&self, astray: impl IntoIterator<Item = String>) -> Placed {
        let mut placed = self.placement.placed();
        for remark in astray {
            if !placed.remarks.contains(&remark) {
                placed.remarks.push(remark);
            }
        }
        placed.bound = self.bound.as_ref().map(Result::is_ok);
        if let Some(Err(error)) = &self.bound {
            placed.remarks.push(format!("guest memory is not bound to its node: {error}"));
        }
        placed
    }

    fn service(&self, stamps: Arc<Stamps>) -> Service {
        let Way { carrier, discard, coalesce, .. } = self.way;
        let service = Service::new(
            transport::over(carrier, &self.ram, &self.balloon, self.machine.queued.clone()),
            Reclaimer::new(Arc::clone(&self.ram), discard, coalesce, self.planted)
                .putting_off(self.put_off.clone()),
            stamps,
            self.planted,
        );
        match coalesce {
            // The host asks for a handful.
            Coalesce::Across => service.across(usize::try_from(self.boot.in_flight).unwrap_or(1)),
            Coalesce::Each | Coalesce::Sorted | Coalesce::Merged => service,
        }
    }

    fn worker(&self, service: Service) -> Result<Worker, WorkerError> {
        let kick = (self.way.servicer == Servicer::Device).then_some(&self.machine.kick);
        Worker::start(service, kick, Arc::clone(&self.machine.pulse), self.placement.device())
    }
}

/// Whether halt polling can be switched off here, if it is to be.
fn check_halt_poll(way: &Way, facts: &Facts) -> Result<(), TrialError> {
    match way.halt_poll {
        HaltPoll::Never if !facts.sets_halt_poll() => Err(TrialError::Build(BuildError::NoHaltPoll)),
        HaltPoll::Never | HaltPoll::Host => Ok(()),
    }
}

/// Whether an ioeventfd can be known here by what it is to be known by.
fn check_match(way: &Way, facts: &Facts) -> Result<(), TrialError> {
    match way.doorbell.matches() {
        Some(Match::Address) if !facts.knows_addresses() => Err(TrialError::Build(BuildError::NoAnyLength)),
        _ => Ok(()),
    }
}

/// Whether a vhost worker can serve here, if one is to.
fn check_vhost(way: &Way, facts: &Facts) -> Result<(), TrialError> {
    match (way.servicer, way.module()) {
        (Servicer::Vhost, Some(module)) if !facts.has_vhost() => {
            Err(TrialError::NoVhost { reason: kvm::not_loaded(module) })
        }
        _ => Ok(()),
    }
}

/// Whether the hypercall a doorbell may be is delivered here.
fn check_hypercall(way: &Way, facts: &Facts) -> Result<(), TrialError> {
    let doorbell = way.doorbell;
    if !(doorbell.is_hypercall() || doorbell.is_foreign()) || facts.answers(doorbell) {
        return Ok(());
    }
    if doorbell.is_foreign() || doorbell.needs_module() {
        let reason = facts.silence(doorbell).unwrap_or("it was not tried").to_owned();
        return Err(TrialError::NoForeignCall { doorbell, reason });
    }
    Err(match way.servicer {
        Servicer::Kernel => TrialError::NoKernelHypercall,
        Servicer::Vcpu | Servicer::Device | Servicer::Polling | Servicer::Vhost => TrialError::NoHypercall,
    })
}
