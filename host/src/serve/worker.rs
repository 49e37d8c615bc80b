//! The device thread: sleeps on the kick's eventfd, serves what is in the ring; or never sleeps, and looks into the ring
//! again and again.
//!
//! It blocks in `read` of the eventfd: one system call a wake-up. Monitors that watch many descriptors pay for
//! `epoll_wait` as well. One that looks by itself makes no system call until it serves something.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use vmm_sys_util::eventfd::EventFd;

use super::service::Service;
use crate::balloon::RingError;
use crate::fault::{Fault, Planted};
use crate::kvm::{Cpu, HostTsc, Pin, Pinned, Pulse, Running, Thread, ThreadTime};

/// Pauses of the processor between two looks. In them nobody has the locks.
const PAUSES: u32 = 8;

/// Why the device thread gave up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The thread, or its end of the eventfd, cannot be had.
    #[error("no device thread can be started: {0}")]
    Start(io::Error),
    /// The eventfd failed.
    #[error("the kick of the device thread cannot be read (eventfd): {0}")]
    Kick(io::Error),
    /// The driver broke the ring.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// A running device thread. Ends when dropped.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    service: Mutex<Service>,
    /// What it sleeps on, if it does.
    kick: Option<EventFd>,
    /// How many want to look at the service: a thread that looks into the ring again and again lets them.
    waiting: AtomicU32,
    /// Looks into the ring that found nothing, of a thread that was not called.
    looks: AtomicU64,
    quit: AtomicBool,
    error: Mutex<Option<WorkerError>>,
    /// Which thread it is and where it was to run, once it does.
    thread: OnceLock<Thread>,
    pin: OnceLock<Pin>,
    planted: Planted,
}

impl Worker {
    /// Starts a thread, on `processor` if one is given, that serves `service` whenever `kick` is signalled; without one,
    /// whenever there is something.
    pub(crate) fn start(
        service: Service,
        kick: Option<&EventFd>,
        pulse: Arc<Pulse>,
        processor: Option<Cpu>,
    ) -> Result<Self, WorkerError> {
        let kick = kick.map(EventFd::try_clone).transpose().map_err(WorkerError::Start)?;
        let shared = Arc::new(Shared {
            planted: service.planted(),
            service: Mutex::new(service),
            kick,
            waiting: AtomicU32::new(0),
            looks: AtomicU64::new(0),
            quit: AtomicBool::new(false),
            error: Mutex::new(None),
            thread: OnceLock::new(),
            pin: OnceLock::new(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("device".into())
                .spawn(move || shared.work(&pulse, processor))
                .map_err(WorkerError::Start)?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What the thread gave up for, if it did.
    pub(crate) fn error(&self) -> Option<WorkerError> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why the thread is not on its processor, if it is not.
    pub(crate) fn astray(&self) -> Option<String> {
        self.shared.pin.get()?.astray()
    }

    /// Looks at the service, between two of its calls.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> T {
        // Relaxed: nothing comes with the number, the lock orders.
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let seen = look(&self.shared.service.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        seen
    }

    /// Processor time that the thread has had so far.
    pub(crate) fn time(&self) -> ThreadTime {
        self.shared.thread.get().map_or_else(ThreadTime::default, |thread| thread.time())
    }

    /// Looks into the ring that found nothing so far, of a thread that was not called.
    pub(crate) fn looks(&self) -> u64 {
        // Relaxed: nothing comes with the number.
        self.shared.looks.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn work(&self, pulse: &Pulse, processor: Option<Cpu>) {
        let pinned = Pinned::to(processor);
        self.pin.get_or_init(|| pinned.pin().clone());
        self.thread.get_or_init(Thread::this);
        let ended = match &self.kick {
            Some(kick) => self.serve(kick, pulse),
            None => self.look(pulse),
        };
        if let Err(error) = ended {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            pulse.device_failed();
        }
    }

    fn serve(&self, kick: &EventFd, pulse: &Pulse) -> Result<(), WorkerError> {
        loop {
            let kicks = match kick.read() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                kicks => kicks.map_err(WorkerError::Kick)?,
            };
            self.planted.slow(Fault::SlowWake);
            let picked_up = HostTsc::now();
            // Relaxed: the flag carries nothing with it.
            if self.quit.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
            service.attend::<Running>(picked_up, kicks)?;
            pulse.beat();
        }
    }

    fn look(&self, pulse: &Pulse) -> Result<(), WorkerError> {
        // Relaxed, here and below: neither flag nor numbers carry anything with them.
        while !self.quit.load(Ordering::Relaxed) {
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            if self.waiting.load(Ordering::Relaxed) > 0 {
                continue;
            }
            let picked_up = HostTsc::now();
            let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
            if service.look::<Running>(picked_up)? {
                pulse.beat();
            } else {
                self.looks.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Relaxed: see `serve`.
        self.shared.quit.store(true, Ordering::Relaxed);
        // A thread that cannot be woken is not waited for: it sleeps until the process ends.
        let woken = self.shared.kick.as_ref().map_or(Ok(()), |kick| kick.write(1));
        if let (Some(thread), Ok(())) = (self.thread.take(), woken) {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}
