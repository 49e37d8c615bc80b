//! What waiting for a thread of the host adds to a kick: the guest looks for its answer, halts until it is interrupted, or is put to
//! sleep.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use abi::addr::bytes_of;
use abi::axes::{Bell, Carrier, Completion, GuestRing, Program};
use abi::boot::BootInfo;
use abi::layout::ARENA;
use abi::notes;
use kvm_ioctls::Kvm;
use vmm_sys_util::eventfd::EventFd;

use super::floor::{Spread, ticks};
use super::guest::{Probe, ProbeError, Stopwatch, probe_boot};
use crate::axes::{Doorbell, HaltPoll};
use crate::kvm::{BuildError, Cpu, Pinned};
use crate::memory::GuestRam;

/// Bursts, of which the middle one counts, and rings of a burst.
const BURSTS: usize = 7;
const RINGS: u16 = 32;

/// What waiting adds to a kick: by looking; by halting, to that; by sleeping, to that.
pub(super) fn waits(
    kvm: &Kvm,
    guest_ring: GuestRing,
    kick: Result<Spread, String>,
    device: Option<Cpu>,
) -> [Result<Spread, String>; 3] {
    let wait = |completion, halt_poll| {
        ring_and_wait(kvm, guest_ring, completion, halt_poll, device).map_err(|error| error.to_string())
    };
    let looking = wait(Completion::Poll, HaltPoll::Host);
    let halting = wait(Completion::Interrupt, HaltPoll::Host);
    let sleeping = wait(Completion::Interrupt, HaltPoll::Never);
    let more = |to: &Result<Spread, String>, from: Result<Spread, String>| Ok(to.clone()?.less(from?));
    [more(&looking, kick), more(&halting, looking), more(&sleeping, halting)]
}

/// Ticks of a ring whose guest waits for the answer of a thread.
fn ring_and_wait(
    kvm: &Kvm,
    guest_ring: GuestRing,
    completion: Completion,
    halt_poll: HaltPoll,
    device: Option<Cpu>,
) -> Result<Spread, WaitError> {
    let doorbell = Doorbell::IoeventfdMmio;
    let bell = doorbell.bell(Carrier::Empty, Bell::NotifyRegister);
    let boot = BootInfo { completion, reports: RINGS.into(), ..probe_boot(Program::Knock, guest_ring, bell) };
    let ram = GuestRam::new(ARENA.0 + bytes_of(boot.arena_pages)).map_err(BuildError::from)?;
    let mut probe = Probe::over(kvm, boot, Some(doorbell), halt_poll, Arc::new(ram))?;
    let interrupt = (completion == Completion::Interrupt).then(|| probe.machine.interrupt.try_clone());
    let interrupt = interrupt.transpose()?;
    let _answering = Answering::start(&probe.machine.kick, Arc::clone(&probe.ram), interrupt, device)?;
    let mut bursts = Vec::with_capacity(BURSTS);
    for _ in 0..BURSTS {
        let mut stopwatch = Stopwatch::new(&probe.ram, Vec::new());
        probe.run(&mut stopwatch)?;
        bursts.push(ticks(stopwatch.took) / f64::from(RINGS));
    }
    Ok(Spread::of(bursts))
}

/// A thread that answers kicks as a device does: it sleeps in `read` of the eventfd, writes into guest memory how many it
/// has answered, and raises the interrupt. Ends when dropped.
struct Answering {
    quit: Arc<AtomicBool>,
    kick: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    fn start(
        kick: &EventFd,
        ram: Arc<GuestRam>,
        interrupt: Option<EventFd>,
        processor: Option<Cpu>,
    ) -> io::Result<Self> {
        let quit = Arc::new(AtomicBool::new(false));
        let (own, heard, told) = (kick.try_clone()?, kick.try_clone()?, Arc::clone(&quit));
        let thread = std::thread::Builder::new().name("device".into()).spawn(move || {
            let _pinned = Pinned::to(processor);
            let mut answered = 0_u64;
            // A guest that gets no answer is ended by its deadline: there is nobody else to tell.
            while let Ok(kicks) = heard.read() {
                // Relaxed: the flag carries nothing with it.
                if told.load(Ordering::Relaxed) {
                    return;
                }
                answered += kicks;
                let is_told = ram.write(notes::ANSWERED, answered).is_ok();
                if !is_told || interrupt.as_ref().is_some_and(|interrupt| interrupt.write(1).is_err()) {
                    return;
                }
            }
        })?;
        Ok(Self { quit, kick: own, thread: Some(thread) })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.quit.store(true, Ordering::Relaxed);
        if let (Some(thread), Ok(())) = (self.thread.take(), self.kick.write(1)) {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// Why a wait could not be measured.
#[derive(Debug, thiserror::Error)]
enum WaitError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Run(#[from] ProbeError),
    #[error("no thread that answers: {0}")]
    Thread(#[from] io::Error),
}
