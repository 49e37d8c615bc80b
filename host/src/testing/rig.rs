//! A guest that does what a test tells it, over one transport: for guests that break the rules.
//!
//! The payload runs [`Program::Obey`]: it asks for a step, takes it, and asks again. Between steps the test may
//! write anything into guest memory, as a hostile guest would.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use abi::addr::PageRange;
use abi::axes::Program;
use abi::control::Control;
use abi::layout::STEP;
use abi::notes;
use abi::step::Step;

use crate::balloon::RingCounts;
use crate::fault::Planted;
use crate::kvm::{Exits, Flow, PAYLOAD, Placement};
use crate::memory::{GuestRam, Residency};
use crate::probe::Facts;
use crate::reclaim::Refused;
use crate::serve::{Server, Service, Stamps};
use crate::timed::{ModuleCounts, TimedSpec, assemble, build};
use crate::trial::{Assembly, Seat, TrialError, ended, watched};

/// How long a step may take if nothing else is said: long enough for an emulated processor on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guest and its host.
pub struct Rig {
    // Ends before what it serves from is gone.
    server: Server,
    stamps: Arc<Stamps>,
    assembly: Assembly,
    exits: Exits,
    patience: Duration,
}

impl Rig {
    /// Boots a guest that waits for its first step; if the carrier is a ring, its driver is up.
    ///
    /// # Errors
    /// [`TrialError`] if the choices do not go together or the guest does not come up.
    pub fn new(spec: &TimedSpec, facts: &Facts) -> Result<Self, TrialError> {
        Self::with_image(spec, facts, PAYLOAD)
    }

    /// The same with an image of somebody else.
    ///
    /// # Errors
    /// As [`Rig::new`].
    pub fn with_image(spec: &TimedSpec, facts: &Facts, image: &[u8]) -> Result<Self, TrialError> {
        let placement = Placement::choose(1, spec.way.servicer);
        Self::of(assemble(spec, facts, Program::Obey, image, Planted::NONE, &placement)?)
    }

    /// The same of choices that do not go together: for who is to refuse what comes of it.
    ///
    /// # Errors
    /// [`TrialError`] if the guest does not come up.
    pub fn against_the_rules(spec: &TimedSpec, facts: &Facts) -> Result<Self, TrialError> {
        let placement = Placement::choose(1, spec.way.servicer);
        Self::of(build(spec, facts, Program::Obey, PAYLOAD, Planted::NONE, &placement)?)
    }

    fn of(assembly: Assembly) -> Result<Self, TrialError> {
        let stamps = Arc::new(Stamps::default());
        let server = assembly.server(Arc::clone(&stamps))?;
        let mut rig = Self { server, stamps, assembly, exits: Exits::default(), patience: PATIENCE };
        rig.resume()?;
        Ok(rig)
    }

    /// Changes how long a step may take: for guests that are to exceed it.
    pub const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Lets the guest take a step; what it found is returned ([`notes::ANSWER`]).
    ///
    /// # Errors
    /// [`TrialError`] if the guest does not come back for the next step. After a [`TrialError::Ring`] it is still
    /// in the interrupted step: [`Rig::resume`] takes it to the next.
    pub fn step(&mut self, step: Step) -> Result<u64, TrialError> {
        self.ram().write_words(STEP, &step.words())?;
        self.resume()?;
        Ok(self.ram().read(notes::ANSWER)?)
    }

    /// Runs until the guest asks for a step or is done.
    ///
    /// # Errors
    /// [`TrialError`] if it does neither.
    pub fn resume(&mut self) -> Result<(), TrialError> {
        let Self { server, assembly: Assembly { machine, ram, balloon, .. }, exits, patience, .. } = self;
        let pulse = Arc::clone(&machine.pulse);
        let mut seat = Seat::new(balloon, &mut *server, |control, so_far, _| {
            *exits = *so_far;
            match control {
                Control::Next | Control::Done => Ok(Flow::Leave),
                Control::Panicked => Err(TrialError::panicked(ram)),
                _ => Ok(Flow::Resume),
            }
        });
        let ran = watched(&pulse, *patience, &AtomicBool::default(), None, || machine.run(&mut seat));
        ended(ran, server.error())
    }

    /// Waits until the host has served `calls` calls since the start.
    ///
    /// Returns whether it has, within the deadline.
    #[must_use]
    pub fn await_served(&self, calls: u64) -> bool {
        let deadline = Instant::now() + self.patience;
        while self.served() < calls {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Calls served since the start.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.stamps.pushed()
    }

    /// Guest memory.
    #[must_use]
    pub fn ram(&self) -> &GuestRam {
        &self.assembly.ram
    }

    /// Ranges refused since the start.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.server.with(Service::refused)
    }

    /// What a module inside the kernel did since the start, by its own account; `None` if none serves.
    #[must_use]
    pub fn in_kernel(&self) -> Option<ModuleCounts> {
        self.server.served().in_kernel
    }

    /// What the options of the ring came to since the start.
    #[must_use]
    pub fn ring_counts(&self) -> RingCounts {
        self.server.with(Service::ring)
    }

    /// Pages discarded since the start, with repetition.
    #[must_use]
    pub fn discarded_pages(&self) -> u64 {
        self.server.with(Service::taken).discarded_pages
    }

    /// Exits when the guest last said something.
    #[must_use]
    pub const fn exits(&self) -> Exits {
        self.exits
    }

    /// Number of the reporting queue, as the driver has it.
    #[must_use]
    pub fn reporting_queue(&self) -> u16 {
        self.assembly.balloon.lock().reporting_queue()
    }

    /// Status of the balloon (virtio 2.1).
    #[must_use]
    pub fn device_status(&self) -> u32 {
        self.assembly.balloon.lock().status()
    }

    /// Whether each page of a range is resident, by the kernel's account.
    ///
    /// # Errors
    /// [`TrialError`] if the kernel does not say.
    pub fn resident(&self, range: PageRange) -> Result<Vec<bool>, TrialError> {
        let mut held = vec![false; usize::try_from(range.pages()).unwrap_or(0)];
        Residency::of(self.ram(), range)?.read(&mut held)?;
        Ok(held)
    }
}
