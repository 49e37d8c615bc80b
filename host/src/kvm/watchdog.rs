//! Nothing is waited for without a deadline: a thread that kicks a vCPU out of `KVM_RUN` when the guest makes
//! no progress, or when somebody wants to stop.
//!
//! A kick is a signal to the thread in `KVM_RUN`. One that arrives just before `KVM_RUN` is entered is lost, so
//! that it is repeated until the watchdog is dropped.

#![expect(unsafe_code, reason = "a signal to one thread")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

/// How often the watchdog looks. Rare enough not to disturb, often enough to stop promptly.
const INTERVAL: Duration = Duration::from_millis(50);

/// Why a vCPU was kicked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kicked {
    /// No progress for as long as it was given.
    NoProgress,
    /// Somebody raised the flag.
    Stopped,
    /// Another virtual processor gave up.
    Sibling,
    /// The device thread gave up.
    Device,
}

/// What the watched threads and the watchdog share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    device_failed: AtomicBool,
    processor_failed: AtomicBool,
    no_progress: AtomicBool,
    stopped: AtomicBool,
}

impl Pulse {
    /// A sign of progress.
    pub(crate) fn beat(&self) {
        // Relaxed: only ever compared with itself. Not one locked instruction, because it stands in the exit
        // loop: of two threads that beat at once one beat may be lost, and the other shows the progress.
        self.beats.store(self.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The device thread has failed and will not go on.
    pub(crate) fn device_failed(&self) {
        // Release: the error it stored before must be seen by whoever sees the flag.
        self.device_failed.store(true, Ordering::Release);
    }

    /// A virtual processor has failed and will not go on.
    pub(crate) fn processor_failed(&self) {
        // Release: for whoever acquires in `kicked`.
        self.processor_failed.store(true, Ordering::Release);
    }

    /// Why the vCPU is to leave, if it is.
    pub(crate) fn kicked(&self) -> Option<Kicked> {
        // Acquire: pairs with the releases of the four stores.
        if self.device_failed.load(Ordering::Acquire) {
            Some(Kicked::Device)
        } else if self.stopped.load(Ordering::Acquire) {
            Some(Kicked::Stopped)
        } else if self.no_progress.load(Ordering::Acquire) {
            // Before the next: the one that hangs must say so, however soon another has given up waiting for it.
            Some(Kicked::NoProgress)
        } else if self.processor_failed.load(Ordering::Acquire) {
            Some(Kicked::Sibling)
        } else {
            None
        }
    }
}

/// Watches the thread that made it.
#[derive(Debug)]
pub(crate) struct Watchdog {
    // Dropped to end the thread.
    quit: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Begins to watch the calling thread: it is kicked after `patience` without a beat, or when `stop` is
    /// raised.
    ///
    /// # Errors
    /// When the signal handler or the thread cannot be had.
    pub(crate) fn new(pulse: Arc<Pulse>, patience: Duration, stop: Arc<AtomicBool>) -> io::Result<Self> {
        install_handler()?;
        let (quit, quitting) = channel();
        // SAFETY: has no preconditions.
        let watched = unsafe { libc::pthread_self() };
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watch(&pulse, patience, &stop, &quitting, || kick(watched)))?;
        Ok(Self { quit: Some(quit), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            // It only panics if the standard library does.
            let _ = thread.join();
        }
    }
}

fn watch(pulse: &Pulse, patience: Duration, stop: &AtomicBool, quit: &Receiver<()>, kick: impl Fn()) {
    let mut seen = 0;
    let mut since = Instant::now();
    while quit.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        // Relaxed: see `beat`.
        let beats = pulse.beats.load(Ordering::Relaxed);
        if beats != seen {
            (seen, since) = (beats, Instant::now());
        }
        // Release: for whoever acquires in `kicked`.
        if since.elapsed() >= patience {
            pulse.no_progress.store(true, Ordering::Release);
        }
        // Relaxed: the flag carries nothing with it.
        if stop.load(Ordering::Relaxed) {
            pulse.stopped.store(true, Ordering::Release);
        }
        if pulse.kicked().is_some() {
            kick();
        }
    }
}

/// Interrupts a system call of the watched thread.
fn kick(thread: libc::pthread_t) {
    // SAFETY: the watched thread owns the watchdog, whose drop joins the thread we are on: it is alive. The
    // handler of the signal is installed and does nothing.
    unsafe { libc::pthread_kill(thread, SIGRTMIN()) };
}

/// Installs the handler: without `SA_RESTART`, so that `KVM_RUN` returns. Once more does no harm.
fn install_handler() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    register_signal_handler(SIGRTMIN(), nothing).map_err(io::Error::from)
}
