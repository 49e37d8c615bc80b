//! Small guests that are tried, not measured: built in a moment, and run with a deadline.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use abi::addr::{Order, bytes_of};
use abi::axes::{Afterwards, Bell, Carrier, Completion, GuestRing, Program, RingFeatures, Workload};
use abi::boot::BootInfo;
use abi::calls::Answer;
use abi::control::Control;
use abi::layout::{ARENA, NOTES, STEP};
use abi::step::Step;
use abi::wire::store;
use kvm_ioctls::Kvm;

use crate::axes::{Doorbell, HaltPoll};
use crate::kvm::{
    self, Blueprint, Board, BuildError, ExitError, Exits, Flow, HostTsc, Machine, PAYLOAD, Request, Watch,
    panic_message,
};
use crate::memory::GuestRam;

/// How long one may make no progress before it counts as dead.
const DEADLINE: Duration = Duration::from_millis(300);
/// Rings of each doorbell: the first shows that it answers, the rest are timed.
/// No more than KVM queues of writes, so that none of them is another kind of ring than the others.
pub(super) const RINGS: u64 = 160;
const _: () = assert!(RINGS <= store::QUEUE);
/// Pages of the probes' arena, which they do not use.
const ARENA_PAGES: u64 = 16;

/// The boot words of one.
pub(super) fn probe_boot(program: Program, guest_ring: GuestRing, bell: Bell) -> BootInfo {
    BootInfo {
        program,
        guest_ring,
        carrier: Carrier::Empty,
        bell,
        completion: Completion::Return,
        afterwards: Afterwards::Kept,
        workload: Workload::Sequential,
        order: Order::default(),
        batch: 1,
        queue_size: 32,
        arena_pages: ARENA_PAGES,
        warmup: 0,
        reports: RINGS,
        idle: 0,
        gathers: 0,
        in_flight: 1,
        seed: 0,
        fenced: false,
        ring_features: RingFeatures::NONE,
    }
}

/// A machine that is tried, not measured.
pub(super) struct Probe {
    pub(super) machine: Machine,
    pub(super) ram: Arc<GuestRam>,
}

impl Probe {
    /// One whose doorbell is the instruction of the boot words, as it is or as this one's.
    pub(super) fn build(kvm: &Kvm, boot: BootInfo, doorbell: Option<Doorbell>) -> Result<Self, BuildError> {
        let ram = Arc::new(GuestRam::new(ARENA.0 + bytes_of(boot.arena_pages))?);
        Self::over(kvm, boot, doorbell, HaltPoll::Host, ram)
    }

    /// The same over memory that is there, with a processor that KVM puts to sleep so.
    pub(super) fn over(
        kvm: &Kvm,
        boot: BootInfo,
        doorbell: Option<Doorbell>,
        halt_poll: HaltPoll,
        ram: Arc<GuestRam>,
    ) -> Result<Self, BuildError> {
        let blueprint = Blueprint {
            kvm,
            ram: Arc::clone(&ram),
            image: PAYLOAD,
            boot,
            vcpus: 1,
            company: None,
            ioeventfd: doorbell.and_then(Doorbell::matches),
            coalesced: doorbell.is_some_and(Doorbell::is_coalesced),
            halt_poll,
        };
        Ok(Self { machine: Machine::new(&blueprint)?, ram })
    }

    /// Runs with a deadline until the board leaves.
    pub(super) fn run(&mut self, board: &mut impl Board<Error = ProbeError>) -> Result<(), ProbeError> {
        let pulse = Arc::clone(&self.machine.pulse);
        kvm::watched(&pulse, DEADLINE, &AtomicBool::new(false), None, || self.machine.run(board))?
    }
}

/// Why one did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error(transparent)]
    Exit(#[from] ExitError),
    #[error("the payload panicked: {0}")]
    Panicked(String),
    #[error(transparent)]
    Watchdog(#[from] io::Error),
    #[error("pages of the guest cannot be taken: {0}")]
    Discard(io::Error),
}

/// Counts calls, and the ticks from ready to done.
pub(super) struct Stopwatch {
    ram: Arc<GuestRam>,
    pub(super) calls: u64,
    ready: HostTsc,
    /// Ticks from ready to done.
    pub(super) took: u64,
    /// Steps to take, last first; the ticks of each are taken.
    steps: Vec<Step>,
    pub(super) step_ticks: Vec<u64>,
}

impl Stopwatch {
    pub(super) fn new(ram: &Arc<GuestRam>, steps: Vec<Step>) -> Self {
        Self { ram: Arc::clone(ram), calls: 0, ready: HostTsc::now(), took: 0, steps, step_ticks: Vec::new() }
    }
}

impl Board for Stopwatch {
    type Error = ProbeError;

    fn call<W: Watch>(&mut self, _: &Request, _: HostTsc) -> Result<Answer, ProbeError> {
        self.calls += 1;
        Ok(Answer::Done { refused: 0 })
    }

    fn control(&mut self, control: Control, _: &Exits) -> Result<Flow, ProbeError> {
        let now = HostTsc::now();
        let took = now.0.saturating_sub(self.ready.0);
        match control {
            Control::Ready => self.ready = now,
            Control::Done => {
                self.took = took;
                return Ok(Flow::Leave);
            }
            Control::Next => {
                self.step_ticks.push(took);
                let Some(step) = self.steps.pop() else { return Ok(Flow::Leave) };
                self.ram.write_words(STEP, &step.words()).map_err(ExitError::from)?;
                self.ready = HostTsc::now();
            }
            Control::Panicked => return Err(ProbeError::Panicked(panic_message(&self.ram, NOTES))),
            _ => {}
        }
        Ok(Flow::Resume)
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), ProbeError> {
        Ok(())
    }
}
