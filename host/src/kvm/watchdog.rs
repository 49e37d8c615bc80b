//! Nothing is waited for without a deadline: a thread that kicks a vCPU out of `KVM_RUN` when the guest makes
//! no progress, or when somebody wants to stop.
//!
//! A kick is a signal to the thread in `KVM_RUN`. One that arrives just before `KVM_RUN` is entered is lost, so
//! that it is repeated until the watchdog ends.

#![expect(unsafe_code, reason = "a signal to one thread, and the rank of another")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

use super::affinity::{Cpu, Pinned};

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

/// Runs `run` on the calling thread and watches it meanwhile, from a thread on `place` if one is given: the calling
/// thread is kicked after `patience` without a beat, or when `stop` is raised.
///
/// Nobody is handed the watchdog: it has ended when this returns, however `run` ends, so that it cannot outlive the
/// thread that it kicks.
///
/// # Errors
/// When the signal handler or a thread that can run beside the calling one cannot be had; then nothing is run. When the
/// calling thread could not be kicked.
pub(crate) fn watched<T>(
    pulse: &Pulse,
    patience: Duration,
    stop: &AtomicBool,
    place: Option<Cpu>,
    run: impl FnOnce() -> T,
) -> io::Result<T> {
    install_handler()?;
    let rank = RealTime::of_this_thread();
    // SAFETY: has no preconditions.
    let watched = unsafe { libc::pthread_self() };
    std::thread::scope(|scope| {
        // Dropped when `run` returns or panics, which ends the thread; the scope waits for that.
        let (quit, quitting) = channel::<()>();
        let (tell, told) = channel();
        let watchdog =
            std::thread::Builder::new().name("watchdog".into()).spawn_scoped(scope, move || {
                let ready = rank.map_or(Ok(()), RealTime::exceed);
                // A new thread inherits the processor of the one it watches, and would take time from it.
                let _pinned = Pinned::to(place);
                // Should nobody listen any more, nothing is run, and the next line ends.
                let _ = tell.send(ready);
                watch(pulse, patience, stop, &quitting, || kick(watched))
            })?;
        // Waits: on the processor that it inherits the new thread may not run before this one sleeps.
        told.recv().map_err(io::Error::other)??;
        let ran = run();
        drop(quit);
        watchdog.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(ran)
    })
}

fn watch(
    pulse: &Pulse,
    patience: Duration,
    stop: &AtomicBool,
    quit: &Receiver<()>,
    kick: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
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
            match kick() {
                // The user has too many signals queued: the next time there may be room.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                kicked => kicked?,
            }
        }
    }
    Ok(())
}

/// Interrupts a system call of the watched thread.
fn kick(thread: libc::pthread_t) -> io::Result<()> {
    // SAFETY: the watched thread is in `watched`, which does not return before the thread we are on has ended: it is
    // alive. The handler of the signal is installed and does nothing.
    match unsafe { libc::pthread_kill(thread, SIGRTMIN()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// A priority that the kernel lets nobody interrupt but those above it.
#[derive(Clone, Copy, Debug)]
struct RealTime(libc::c_int);

impl RealTime {
    /// The calling thread's, if it has one: `chrt` gives it, and a new thread inherits it.
    fn of_this_thread() -> Option<Self> {
        let mut parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the pointer is to a writable `sched_param`; 0 is the calling thread.
        let result = unsafe { libc::sched_getparam(0, &raw mut parameters) };
        (result == 0 && parameters.sched_priority > 0).then_some(Self(parameters.sched_priority))
    }

    /// Puts the calling thread above it: beside a thread of its own rank that never sleeps it would never run.
    fn exceed(self) -> io::Result<()> {
        set_real_time(self.0 + 1).map_err(|error| {
            io::Error::other(format!(
                "a deadline needs a thread above real-time priority {}, and there is none ({error}): use a lower one",
                self.0
            ))
        })
    }
}

/// Gives the calling thread that priority.
fn set_real_time(priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the pointer is to a readable `sched_param`; 0 is the calling thread. A refusal changes nothing.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs the handler: without `SA_RESTART`, so that `KVM_RUN` returns. Once more does no harm.
fn install_handler() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    register_signal_handler(SIGRTMIN(), nothing).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::affinity::CpuSet;
    use std::fs;

    /// The threads of this process with that name, and the processors each may run on.
    fn watchdogs() -> Vec<String> {
        let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
        let status = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
        let of = |status: String| {
            let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let list = field("Cpus_allowed_list:")?.to_owned();
            (field("Name:") == Some("watchdog")).then_some(list)
        };
        status.filter_map(of).collect()
    }

    #[test]
    fn the_watchdog_is_on_its_own_processor_and_ends_with_what_it_watches() {
        let allowed = CpuSet::allowed();
        let [vcpu, .., place] = allowed.iter().collect::<Vec<_>>()[..] else { return };
        let (pulse, stop) = (Pulse::default(), AtomicBool::new(false));
        let _pinned = Pinned::to(Some(vcpu));
        let seen = watched(&pulse, Duration::from_secs(60), &stop, Some(place), || {
            // The thread has to get there first.
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && !watchdogs().contains(&place.0.to_string()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            watchdogs()
        });
        assert!(seen.unwrap().contains(&place.0.to_string()), "none is on {place:?}");
    }

    #[test]
    fn a_panic_of_what_is_watched_ends_the_watchdog_too() {
        let (pulse, stop) = (Pulse::default(), AtomicBool::new(false));
        let run = || watched(&pulse, Duration::ZERO, &stop, None, || panic!("planted"));
        let ended: Result<io::Result<()>, _> = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        assert!(ended.is_err());
        // Were it still there, its kick after no patience would interrupt this sleep's system call again and again; a
        // flag that is cleared stays clear only if nobody sets it any more.
        pulse.no_progress.store(false, Ordering::Release);
        std::thread::sleep(3 * INTERVAL);
        assert_eq!(pulse.kicked(), None);
    }

    #[test]
    fn no_progress_and_a_raised_flag_are_told_apart() {
        let wait = |pulse: &Pulse| {
            let deadline = Instant::now() + Duration::from_secs(5);
            while pulse.kicked().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            pulse.kicked()
        };
        let long = Duration::from_secs(60);
        for (patience, stop, kicked) in
            [(Duration::ZERO, false, Kicked::NoProgress), (long, true, Kicked::Stopped)]
        {
            let (pulse, stop) = (Pulse::default(), AtomicBool::new(stop));
            let found = watched(&pulse, patience, &stop, None, || wait(&pulse)).unwrap();
            assert_eq!(found, Some(kicked));
        }
    }

    /// On a thread of its own, which keeps what it is given: its priority.
    fn ended_at(priority: libc::c_int) -> Option<io::Result<Option<Kicked>>> {
        let run = move || {
            let processor = CpuSet::allowed().iter().last();
            let _pinned = Pinned::to(processor);
            set_real_time(priority).ok()?;
            let (pulse, stop) = (Pulse::default(), AtomicBool::new(false));
            // Never sleeps, on the only processor that the watchdog has.
            let spin = || {
                let deadline = Instant::now() + Duration::from_secs(3);
                while pulse.kicked().is_none() && Instant::now() < deadline {}
                pulse.kicked()
            };
            Some(watched(&pulse, Duration::ZERO, &stop, processor, spin))
        };
        std::thread::spawn(run).join().unwrap()
    }

    #[test]
    fn a_thread_of_real_time_priority_is_stopped_too() {
        match ended_at(10) {
            None => println!("this user may not have real-time priorities"),
            Some(ended) => assert_eq!(ended.unwrap(), Some(Kicked::NoProgress)),
        }
    }

    #[test]
    fn where_no_watchdog_could_run_nothing_is_run() {
        let Some(ended) = ended_at(99) else { return };
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("above real-time priority 99"), "{error}");
    }

    #[test]
    fn a_kick_that_does_not_arrive_is_repeated_or_said() {
        let ended = |errors: &[i32]| {
            let (pulse, stop) = (Pulse::default(), AtomicBool::new(true));
            let (quit, quitting) = channel::<()>();
            let left = std::cell::RefCell::new((errors.iter(), Some(quit)));
            let kick = || {
                let (errors, quit) = &mut *left.borrow_mut();
                match errors.next() {
                    Some(error) => Err(io::Error::from_raw_os_error(*error)),
                    None => {
                        *quit = None;
                        Ok(())
                    }
                }
            };
            let watched = watch(&pulse, Duration::MAX, &stop, &quitting, kick);
            (watched.map_err(|error| error.raw_os_error()), left.borrow().0.len())
        };
        assert_eq!(ended(&[libc::EAGAIN, libc::EAGAIN]), (Ok(()), 0));
        assert_eq!(ended(&[libc::ESRCH, libc::EAGAIN]), (Err(Some(libc::ESRCH)), 1));
    }
}
