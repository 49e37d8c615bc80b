//! A virtual machine: its processors, and what they share.

use std::io;
use std::sync::{Arc, Mutex};

use abi::axes::Bell;
use abi::boot::BootInfo;
use abi::layout::{BOOT, COMPANY, PAGE_TABLES};
use abi::timed::company::{Company, Own};
use kvm_ioctls::{Kvm, VmFd};
use vmm_sys_util::eventfd::EventFd;

use super::board::Board;
use super::clock::TscOffset;
use super::error::{BuildError, ExitError};
use super::open::KvmError;
use super::processor::Processor;
use super::queued::Queued;
use super::stats::Statistics;
use super::watch::{Running, Stopped};
use super::watchdog::Pulse;
use super::wiring::{self, Listener};
use super::{boot, foreign, image};
use crate::axes::{HaltPoll, Match};
use crate::memory::GuestRam;

/// What to build.
#[derive(Debug)]
pub(crate) struct Blueprint<'a> {
    pub(crate) kvm: &'a Kvm,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) image: &'a [u8],
    pub(crate) boot: BootInfo,
    /// Processors, at least one.
    pub(crate) vcpus: u32,
    /// Whether they are the company of a timed trial: all but the first have pages of their own then.
    pub(crate) company: Option<Company>,
    /// By what KVM knows the doorbell, if that is an ioeventfd.
    pub(crate) ioeventfd: Option<Match>,
    /// Whether KVM queues what the doorbell writes.
    pub(crate) coalesced: bool,
    /// Whether KVM spins before a processor that halts sleeps.
    pub(crate) halt_poll: HaltPoll,
}

/// A machine ready to run.
#[derive(Debug)]
pub(crate) struct Machine {
    // The processors and their machine go before the memory they use.
    first: Processor,
    others: Vec<Processor>,
    vm: Arc<VmFd>,
    /// Whether kicks are heard by an ioeventfd of the notify register.
    listens: bool,
    /// What KVM queues of the guest's writes, if it is told to.
    pub(crate) queued: Option<Arc<Mutex<Queued>>>,
    _ram: Arc<GuestRam>,
    /// Signalled by the guest's kicks, if the doorbell is an ioeventfd.
    pub(crate) kick: EventFd,
    /// Raises the balloon's interrupt, on the first processor.
    pub(crate) interrupt: EventFd,
    pub(crate) pulse: Arc<Pulse>,
}

impl Machine {
    /// Builds a machine; every processor is at its first instruction.
    pub(crate) fn new(blueprint: &Blueprint<'_>) -> Result<Self, BuildError> {
        let Blueprint { kvm, ram, image, boot, vcpus, company, ioeventfd, coalesced, halt_poll } = blueprint;
        let vm =
            Arc::new(kvm.create_vm().map_err(KvmError::ioctl("KVM_CREATE_VM or KVM_GET_VCPU_MMAP_SIZE"))?);
        if *halt_poll == HaltPoll::Never {
            wiring::never_poll(&vm)?;
        }
        wiring::memory(&vm, ram)?;
        if matches!(boot.bell, Bell::Vmcall | Bell::Vmmcall) {
            wiring::hypercalls(&vm)?;
        }
        if *coalesced {
            wiring::coalesce(kvm, &vm, boot.bell)?;
        }
        if matches!(boot.bell, Bell::XenVmcall | Bell::XenVmmcall) {
            foreign::intercept_xen(&vm)?;
        }
        let interrupt = wiring::interrupt(&vm, company.map_or(1, |company| company.reporters))?;
        let kick = wiring::kick(&vm, boot.bell, *ioeventfd)?;

        let entry = image::load(ram, image)?;
        boot::write_tables(ram)?;
        ram.write_words(BOOT, &boot.to_words())?;
        if let Some(company) = company {
            ram.write_words(COMPANY, &company.to_words())?;
        }
        let pulse = Arc::default();
        let make = |number| {
            boot::write_tss(ram, number)?;
            let own = company.filter(|_| number > 0).map(|_| Own::of(number, boot.arena_pages));
            if let Some(own) = own {
                boot::write_own_tables(ram, own)?;
            }
            let tables = own.map_or(PAGE_TABLES, Own::tables);
            let vcpu = vm
                .create_vcpu(number.into())
                .map_err(KvmError::ioctl("KVM_CREATE_VCPU or the mmap of its state"))?;
            boot::set_registers(kvm, &vcpu, boot.guest_ring, entry, number, tables)?;
            if boot.bell == Bell::HypervCall {
                foreign::be_hyperv(kvm, &vcpu)?;
            }
            Ok::<_, BuildError>(Processor::new(vcpu, number, ram, boot, &pulse))
        };
        let first = make(0)?;
        let others = (1..*vcpus).map(make).collect::<Result<_, _>>()?;
        let queued = coalesced
            .then(|| first.queued())
            .transpose()
            .map_err(KvmError::no("no ring of queued writes"))?;
        let queued = queued.map(|queued| Arc::new(Mutex::new(queued)));
        let listens = *ioeventfd == Some(Match::Number) && boot.bell == Bell::NotifyRegister;
        Ok(Self { first, others, vm, listens, queued, _ram: Arc::clone(ram), kick, interrupt, pulse })
    }

    /// What hears its kicks of one queue of several, if that has to be told which.
    pub(crate) fn listener(&self) -> io::Result<Option<Listener>> {
        self.listens.then(|| Listener::new(&self.vm, &self.kick)).transpose()
    }

    /// KVM's statistics of the first processor, if it keeps any.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        self.first.statistics()
    }

    /// KVM's statistics of the machine, if it keeps any.
    pub(crate) fn machine_statistics(&self) -> Option<Statistics> {
        Statistics::open(&*self.vm)
    }

    /// The offset between the first processor's clock and ours, if KVM states it.
    pub(crate) fn tsc_offset(&self) -> Option<TscOffset> {
        self.first.tsc_offset()
    }

    /// Frequency of the guest's clock in kHz, if KVM states it.
    pub(crate) fn tsc_khz(&self) -> Option<u32> {
        self.first.tsc_khz()
    }

    /// All processors, the first one first.
    pub(crate) fn processors(&self) -> impl Iterator<Item = &Processor> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The first processor and the others, each to be run on a thread of its own.
    pub(crate) fn split(&mut self) -> (&mut Processor, &mut [Processor]) {
        (&mut self.first, &mut self.others)
    }

    /// Runs the first processor: see [`Processor::run`].
    pub(crate) fn run<B: Board>(&mut self, board: &mut B) -> Result<(), B::Error> {
        self.first.run::<Running, B>(board)
    }

    /// The same with the stopwatch stopped.
    pub(crate) fn run_unstamped<B: Board>(&mut self, board: &mut B) -> Result<(), B::Error> {
        self.first.run::<Stopped, B>(board)
    }

    /// See [`Processor::fetch_registers`].
    pub(crate) fn fetch_registers(&mut self, wanted: bool) -> bool {
        self.first.fetch_registers(wanted)
    }

    /// Runs the first processor: see [`Processor::run_bare`].
    pub(crate) fn run_bare(&mut self) -> Result<(), ExitError> {
        self.first.run_bare()
    }
}
