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
use crate::kvm::{BuildError, Cpu, HostTsc, Pinned};
use crate::memory::GuestRam;

/// Bursts, and rings of a burst. From one ring to the next is what counts, and the middle of all: how long a thread waits
/// for its processor after the first is the scheduler's.
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
    let ram = Arc::new(ram);
    let mut probe = Probe::over(kvm, boot, Some(doorbell), halt_poll, Arc::clone(&ram))?;
    let interrupt = (completion == Completion::Interrupt).then(|| probe.machine.interrupt.try_clone());
    let interrupt = interrupt.transpose()?;
    let mut answering = Answering::start(&probe.machine.kick, Arc::clone(&ram), interrupt, device)?;
    for _ in 0..BURSTS {
        probe.run(&mut Stopwatch::new(&ram, Vec::new()))?;
    }
    let picked_up = answering.stop();
    let bursts = picked_up.chunks(usize::from(RINGS));
    let rings = bursts.flat_map(|burst| burst.windows(2).map(|two| ticks(two[1].saturating_sub(two[0]))));
    Ok(Spread::of(rings.collect()))
}

/// A thread that answers kicks as a device does: it sleeps in `read` of the eventfd, writes into guest memory how many it
/// has answered, and raises the interrupt. Ends when dropped.
struct Answering {
    quit: Arc<AtomicBool>,
    kick: EventFd,
    /// Comes back with the time stamp counter at every kick.
    thread: Option<JoinHandle<Vec<u64>>>,
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
            let mut picked_up = Vec::with_capacity(BURSTS * usize::from(RINGS));
            // A guest that gets no answer is ended by its deadline: there is nobody else to tell.
            while heard.read().is_ok() {
                let now = HostTsc::now();
                // Relaxed: the flag carries nothing with it.
                if told.load(Ordering::Relaxed) {
                    break;
                }
                // The guest rings once, and waits.
                picked_up.push(now.0);
                let is_told = ram.write(notes::ANSWERED, picked_up.len() as u64).is_ok();
                if !is_told || interrupt.as_ref().is_some_and(|interrupt| interrupt.write(1).is_err()) {
                    break;
                }
            }
            picked_up
        })?;
        Ok(Self { quit, kick: own, thread: Some(thread) })
    }

    /// Ends it; what it has seen.
    fn stop(&mut self) -> Vec<u64> {
        // Relaxed: as above.
        self.quit.store(true, Ordering::Relaxed);
        match (self.thread.take(), self.kick.write(1)) {
            // A panic of the thread has been printed; there is nothing to add.
            (Some(thread), Ok(())) => thread.join().unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop();
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
