//! The device thread: sleeps on the kick's eventfd, serves what is in the ring.
//!
//! It blocks in `read` of the eventfd: one system call a wake-up. Monitors that watch many descriptors pay for
//! `epoll_wait` as well.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use vmm_sys_util::eventfd::EventFd;

use super::service::Service;
use crate::balloon::RingError;
use crate::fault::{Fault, Planted};
use crate::kvm::{Cpu, HostTsc, Pin, Pinned, Pulse, Request, Running};

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
    kick: EventFd,
    quit: AtomicBool,
    error: Mutex<Option<WorkerError>>,
    /// Where the thread was to run, once it does.
    pin: OnceLock<Pin>,
    planted: Planted,
}

impl Worker {
    /// Starts a thread, on `processor` if one is given, that serves `service` whenever `kick` is signalled.
    pub(crate) fn start(
        service: Service,
        kick: &EventFd,
        pulse: Arc<Pulse>,
        processor: Option<Cpu>,
    ) -> Result<Self, WorkerError> {
        let kick = kick.try_clone().map_err(WorkerError::Start)?;
        let shared = Arc::new(Shared {
            planted: service.planted(),
            service: Mutex::new(service),
            kick,
            quit: AtomicBool::new(false),
            error: Mutex::new(None),
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
        look(&self.shared.service.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn work(&self, pulse: &Pulse, processor: Option<Cpu>) {
        let pinned = Pinned::to(processor);
        self.pin.get_or_init(|| pinned.pin().clone());
        if let Err(error) = self.serve(pulse) {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            pulse.device_failed();
        }
    }

    fn serve(&self, pulse: &Pulse) -> Result<(), WorkerError> {
        loop {
            let kicks = match self.kick.read() {
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
            service.serve::<Running>(&Request::KICK, picked_up, kicks)?;
            pulse.beat();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Relaxed: see `serve`.
        self.shared.quit.store(true, Ordering::Relaxed);
        // A thread that cannot be woken is not waited for: it sleeps until the process ends.
        if let (Some(thread), Ok(())) = (self.thread.take(), self.shared.kick.write(1)) {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}
