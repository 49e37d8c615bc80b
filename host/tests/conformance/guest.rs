//! A guest with a stamped memory, and what a report of it must leave behind.

use std::time::{Duration, Instant};

use abi::addr::ByteRange;
use abi::axes::Completion;
use abi::notes;
use abi::step::Step;
use host::axes::{Coalesce, Doorbell, Way};
use host::balloon::RingError;
use host::memory::GuestRam;
use host::probe::Facts;
use host::reclaim::Refused;
use host::serve::WorkerError;
use host::testing::rig::Rig;
use host::testing::specs::timed_over;
use host::timed::TimedSpec;
use host::trial::TrialError;
use libtest_mimic::Failed;

use crate::common::{Checked, Transport};
use crate::encoder::{Encoder, KICK, equal};
use crate::memory::{LAST, Memory, Pages, pages};

/// Nothing refused.
pub(crate) const NONE: Refused = Refused {
    empty: 0,
    wraps: 0,
    outside: 0,
    read_only: 0,
    indirect: 0,
    table: 0,
    broken_chain: 0,
    bad_call: 0,
    bad_list: 0,
    unannounced: 0,
};

/// The guest.
pub(crate) struct Guest {
    pub(crate) rig: Rig,
    memory: Memory,
    interrupts: bool,
    pub(crate) doorbell: Doorbell,
    refused: Refused,
    /// Calls so far that the host was to serve. Counted here: a thread that polls may serve one before it is rung for.
    calls: u64,
}

impl Guest {
    /// Boots it; if the carrier is a ring, its driver is up.
    pub(crate) fn boot(transport: &Transport, facts: &Facts, coalesce: Coalesce) -> Result<Self, Failed> {
        // However many are in flight, the ring has as many entries: they lie where the encoders have them.
        let spec = timed_over(Way { coalesce, ..transport.way });
        let rig = Rig::new(&TimedSpec { batch: spec.batch / spec.in_flight, ..spec }, facts)?;
        let memory = Memory::stamp(&rig)?;
        let interrupts = transport.way.completion == Completion::Interrupt;
        let calls = rig.served();
        Ok(Self { rig, memory, interrupts, doorbell: transport.way.doorbell, refused: NONE, calls })
    }

    /// Takes no interrupt for part of an acknowledgement.
    pub(crate) const fn ignore_interrupts(&mut self) {
        self.interrupts = false;
    }

    /// Its memory.
    pub(crate) fn ram(&self) -> &GuestRam {
        self.rig.ram()
    }

    /// Takes steps that are so many calls for the host, and waits until it has served them; the answers.
    pub(crate) fn call(&mut self, steps: &[Step], calls: u64) -> Result<Vec<u64>, Failed> {
        let interrupts = self.ram().read(notes::INTERRUPTS)?;
        self.calls += calls;
        let served = self.calls;
        let answers: Result<Vec<_>, TrialError> = steps.iter().map(|step| self.rig.step(*step)).collect();
        let answers = answers?;
        if !self.rig.await_served(served) {
            return Err(format!("served {} calls, expected {served}", self.rig.served()).into());
        }
        // A device thread looks once more, and may find what is written next before that is kicked: until it has looked, its
        // service is not to be had.
        let _ = self.rig.refused();
        if self.interrupts && calls > 0 {
            self.rig.step(Step::Halt)?;
            if self.ram().read(notes::INTERRUPTS)? == interrupts {
                return Err("the device did not interrupt".into());
            }
        }
        equal("calls served", self.rig.served(), served)?;
        Ok(answers)
    }

    /// Reports ranges, of which so many must be refused, and checks the acknowledgement.
    pub(crate) fn report(
        &mut self,
        encoder: &mut dyn Encoder,
        ranges: &[ByteRange],
        refused: u64,
    ) -> Checked {
        let steps = encoder.encode(self.ram(), ranges)?;
        let answers = self.call(&steps, encoder.calls(&steps))?;
        encoder.acknowledged(self.ram(), &answers, refused)
    }

    /// Checks that since the last look exactly these pages are gone and exactly this was refused.
    pub(crate) fn expect(&mut self, gone: &[Pages], refused: &Refused) -> Checked {
        self.memory.lost_only(&self.rig, gone)?;
        self.refused.add(refused);
        equal("refused since the start", self.rig.refused(), self.refused)
    }

    /// Kicks the device about a ring that is broken; what it was broken by.
    pub(crate) fn break_ring(&mut self) -> Result<RingError, Failed> {
        self.break_ring_by(KICK)
    }

    /// The same by such a kick.
    pub(crate) fn break_ring_by(&mut self, kick: Step) -> Result<RingError, Failed> {
        let mut ended = self.rig.step(kick).map(drop);
        // A device thread has its time; the guest is told at one of its next steps.
        let patience = Instant::now() + Duration::from_secs(10);
        while ended.is_ok() && Instant::now() < patience {
            ended = self.rig.step(Step::Count { iterations: 1 }).map(drop);
        }
        match ended {
            Err(TrialError::Ring(error)) => {
                // The guest is still in the step that rang; the next one begins where it asks for it.
                self.rig.resume()?;
                Ok(error)
            }
            Err(TrialError::Worker(WorkerError::Ring(error))) => Ok(error),
            Err(error) => Err(error.into()),
            Ok(()) => Err("the ring was not found broken".into()),
        }
    }

    /// Checks that a plain report is still served as if nothing had been.
    pub(crate) fn still_served(&mut self, encoder: &mut dyn Encoder) -> Checked {
        self.report(encoder, &[pages(LAST, 1)], 0)?;
        self.expect(&[LAST..LAST + 1], &NONE)
    }
}
