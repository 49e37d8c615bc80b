//! A guest that does what a test tells it, over one transport: for guests that break the rules.
//!
//! The payload runs [`Program::Obey`]: it asks for a step, takes it, and asks again. Between steps the test may
//! write anything into guest memory, as a hostile guest would.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abi::addr::PageRange;
use abi::axes::Program;
use abi::calls::Answer;
use abi::control::Control;
use abi::layout::STEP;
use abi::notes;
use abi::step::Step;

use crate::affinity::Placement;
use crate::assembly::Assembly;
use crate::balloon::Balloon;
use crate::clock::HostTsc;
use crate::error::TrialError;
use crate::facts::Facts;
use crate::fault::Planted;
use crate::image::PAYLOAD;
use crate::processor::{Board, Flow};
use crate::proof::ProofError;
pub use crate::ram::{GuestRam, RamError};
use crate::residency::Residency;
use crate::server::Server;
use crate::service::Service;
use crate::session::panic_message;
use crate::transport::{self, Request, lock};
use crate::trial::{Exits, Refused, TrialSpec};
use crate::watchdog::Watchdog;

/// How long a step may take if nothing else is said: long enough for an emulated processor on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guest and its host.
pub struct Rig {
    parts: Assembly,
    exits: Exits,
    patience: Duration,
}

impl Rig {
    /// Boots a guest that waits for its first step; if the carrier is a ring, its driver is up.
    ///
    /// # Errors
    /// [`TrialError`] if the choices do not go together or the guest does not come up.
    pub fn new(spec: &TrialSpec, facts: &Facts) -> Result<Self, TrialError> {
        Self::with_image(spec, facts, PAYLOAD)
    }

    /// The same with an image of somebody else.
    ///
    /// # Errors
    /// As [`Rig::new`].
    pub fn with_image(spec: &TrialSpec, facts: &Facts, image: &[u8]) -> Result<Self, TrialError> {
        let parts = Assembly::new(spec, facts, Program::Obey, image, Planted::NONE, Placement::choose())?;
        let mut rig = Self { parts, exits: Exits::default(), patience: PATIENCE };
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
        let Assembly { machine, ram, balloon, server, .. } = &mut self.parts;
        let stop = Arc::new(AtomicBool::new(false));
        let _watchdog =
            Watchdog::new(Arc::clone(&machine.pulse), self.patience, stop).map_err(TrialError::Watchdog)?;
        let mut board = Obeying { ram, balloon, server, exits: &mut self.exits };
        let ran = machine.run(&mut board);
        server.error_or(ran)
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
        self.parts.stamps.pushed()
    }

    /// Guest memory.
    #[must_use]
    pub fn ram(&self) -> &GuestRam {
        &self.parts.ram
    }

    /// Ranges refused since the start.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.parts.server.with(Service::refused)
    }

    /// Pages discarded since the start, with repetition.
    #[must_use]
    pub fn discarded_pages(&self) -> u64 {
        self.parts.server.with(Service::taken).discarded_pages
    }

    /// Exits when the guest last said something.
    #[must_use]
    pub const fn exits(&self) -> Exits {
        self.exits
    }

    /// Status of the balloon (virtio 2.1).
    #[must_use]
    pub fn device_status(&self) -> u32 {
        lock(&self.parts.balloon).status()
    }

    /// Whether each page of a range is resident, by the kernel's account.
    ///
    /// # Errors
    /// [`TrialError`] if the kernel does not say.
    pub fn resident(&self, range: PageRange) -> Result<Vec<bool>, TrialError> {
        let mut held = vec![false; usize::try_from(range.pages()).unwrap_or(0)];
        Residency::of(self.ram(), range)
            .and_then(|mut residency| residency.read(&mut held))
            .map_err(ProofError::Pagemap)?;
        Ok(held)
    }
}

struct Obeying<'a> {
    ram: &'a GuestRam,
    balloon: &'a Mutex<Balloon>,
    server: &'a mut Server,
    exits: &'a mut Exits,
}

impl Board for Obeying<'_> {
    type Error = TrialError;

    fn call(&mut self, request: &Request, at: HostTsc) -> Result<Answer, TrialError> {
        self.server.call(request, at)
    }

    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, TrialError> {
        *self.exits = *exits;
        match control {
            Control::Next | Control::Done => Ok(Flow::Leave),
            Control::Panicked => Err(TrialError::Panicked { message: panic_message(self.ram) }),
            _ => Ok(Flow::Resume),
        }
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        lock(self.balloon).read(offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        transport::write(self.balloon, offset, data);
    }
}
