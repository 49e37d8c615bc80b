//! Nothing is waited for without a deadline: a thread that kicks a vCPU out of `KVM_RUN` when the guest makes
//! no progress, or when somebody wants to stop.
//!
//! A kick is a signal to the thread in `KVM_RUN`. One that arrives just before `KVM_RUN` is entered is lost, so
//! that it is repeated until the watchdog ends. Nothing else ends a guest that never exits: KVM looks at
//! `immediate_exit` only where it enters the guest. So that every thread is kicked once before it is watched.

#![expect(unsafe_code, reason = "a signal to one thread, and the rank of another")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use vmm_sys_util::signal::{register_signal_handler, unblock_signal};

use super::affinity::{Cpu, Pinned};
use super::error::ExitError;

/// What a kick is. Not one of the real-time signals, which need room in the user's queue (`ulimit -i`); and not one that
/// ends a process, should it meet one without the handler.
const SIGNAL: libc::c_int = libc::SIGURG;

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

    /// Whether to go on. One that is to leave because nothing moves says so in its own words, `hangs`.
    pub(crate) fn unless_kicked(&self, hangs: ExitError) -> Result<(), ExitError> {
        Err(match self.kicked() {
            None => return Ok(()),
            Some(Kicked::NoProgress) => hangs,
            Some(Kicked::Stopped) => ExitError::Stopped,
            Some(Kicked::Sibling) => ExitError::Sibling,
            Some(Kicked::Device) => ExitError::Device,
        })
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
/// When the calling thread cannot be kicked, or a thread that can run beside it cannot be had; then nothing is run. When
/// a kick failed.
pub(crate) fn watched<T>(
    pulse: &Pulse,
    patience: Duration,
    stop: &AtomicBool,
    place: Option<Cpu>,
    run: impl FnOnce() -> T,
) -> io::Result<T> {
    // SAFETY: has no preconditions.
    let watched = unsafe { libc::pthread_self() };
    prove_kick(watched)?;
    let rank = RealTime::of_this_thread();
    std::thread::scope(|scope| {
        // Dropped when `run` returns or panics, which ends the thread; the scope waits for that.
        let (quit, quitting) = channel::<()>();
        let (tell, told) = channel();
        let watchdog = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn_scoped(scope, move || {
                let ready = rank.map_or(Ok(()), RealTime::exceed);
                // A new thread inherits the processor of the one it watches, and would take time from it.
                let _pinned = Pinned::to(place);
                // Should nobody listen any more, nothing is run, and the next line ends.
                let _ = tell.send(ready);
                watch(pulse, patience, stop, &quitting, || kick(watched))
            })
            .map_err(|error| said("no thread can be started for the watchdog", &error))?;
        // Waits: on the processor that it inherits the new thread may not run before this one sleeps.
        told.recv().map_err(io::Error::other)??;
        let ran = run();
        drop(quit);
        watchdog.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(ran)
    })
}

/// What was tried, and what was said to it.
fn said(tried: &str, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{tried}: {error}"))
}

/// Looks every [`INTERVAL`] until it is to quit. Looks are counted, not time: while nobody runs, because the process is
/// stopped, nobody could make progress.
///
/// A kick that fails is said at the end, and tried again meanwhile.
fn watch(
    pulse: &Pulse,
    patience: Duration,
    stop: &AtomicBool,
    quit: &Receiver<()>,
    kick: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let (mut seen, mut waited, mut kicks) = (0, Duration::ZERO, Ok(()));
    while quit.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        waited += INTERVAL;
        // Relaxed: see `beat`.
        let beats = pulse.beats.load(Ordering::Relaxed);
        if beats != seen {
            (seen, waited) = (beats, Duration::ZERO);
        }
        // Release: for whoever acquires in `kicked`.
        if waited >= patience {
            pulse.no_progress.store(true, Ordering::Release);
        }
        // Relaxed: the flag carries nothing with it.
        if stop.load(Ordering::Relaxed) {
            pulse.stopped.store(true, Ordering::Release);
        }
        if pulse.kicked().is_some() {
            kicks = kicks.and(kick());
        }
    }
    kicks
}

thread_local! {
    /// Whether a kick has arrived on this thread.
    static ARRIVED: AtomicBool = const { AtomicBool::new(false) };
}

/// Installs the handler: without `SA_RESTART`, so that `KVM_RUN` returns. Once more does no harm.
fn install_handler() -> io::Result<()> {
    // Safe in a signal handler: a constant of the thread, with nothing to make and nothing to drop.
    extern "C" fn arrived(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // Relaxed: only ever looked at by the thread it runs on.
        ARRIVED.with(|arrived| arrived.store(true, Ordering::Relaxed));
    }
    register_signal_handler(SIGNAL, arrived)
        .map_err(|error| said("no kick can be received (sigaction of SIGURG)", &error))
}

/// Kicks the calling thread, which is `this`. What arrives once arrives again: nobody takes system calls away from a
/// process that runs but the process itself.
fn prove_kick(this: libc::pthread_t) -> io::Result<()> {
    install_handler()?;
    // Whoever started this process may have blocked it. Should it stay so, the kick does not arrive.
    let _ = unblock_signal(SIGNAL);
    // Relaxed, here and below: see the handler.
    ARRIVED.with(|arrived| arrived.store(false, Ordering::Relaxed));
    kick(this)?;
    // A signal that a thread sends to itself arrives before the system call returns.
    if ARRIVED.with(|arrived| arrived.load(Ordering::Relaxed)) {
        Ok(())
    } else {
        Err(io::Error::other("a kick was sent (tgkill of SIGURG) and has not arrived: the signal is blocked"))
    }
}

/// Interrupts a system call of that thread.
fn kick(thread: libc::pthread_t) -> io::Result<()> {
    // SAFETY: the thread is alive: it is the one we are on, or in `watched`, which does not return before the thread we
    // are on has ended. The handler of the signal is installed, and a store is all it does.
    match unsafe { libc::pthread_kill(thread, SIGNAL) } {
        0 => Ok(()),
        error => Err(said(
            "no kick can be sent (tgkill of SIGURG), and a guest that hangs could not be stopped",
            &io::Error::from_raw_os_error(error),
        )),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::affinity::CpuSet;
    use crate::testing::refuse::refused;
    use std::fs;
    use std::time::Instant;

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
    fn a_kick_that_fails_is_repeated_and_said_in_the_end() {
        let (pulse, stop) = (Pulse::default(), AtomicBool::new(true));
        let (quit, quitting) = channel::<()>();
        let left = std::cell::RefCell::new(([libc::EPERM, libc::EAGAIN].into_iter(), Some(quit)));
        let kick = || {
            let (errors, quit) = &mut *left.borrow_mut();
            match errors.next() {
                Some(error) => Err(io::Error::from_raw_os_error(error)),
                None => {
                    *quit = None;
                    Ok(())
                }
            }
        };
        let ended = watch(&pulse, Duration::MAX, &stop, &quitting, kick);
        assert_eq!(ended.unwrap_err().raw_os_error(), Some(libc::EPERM), "the first is said");
        assert_eq!(left.borrow().0.len(), 0);
    }

    /// Takes all room for queued signals from this process while a thread is to be stopped.
    #[test]
    fn a_kick_needs_no_room_among_the_users_signals() {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a writable `rlimit`.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_SIGPENDING, &raw mut before) }, 0);
        let none = libc::rlimit { rlim_cur: 0, ..before };
        // SAFETY: the pointers, here and below, are to readable `rlimit`s.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const none) }, 0);
        let (pulse, stop) = (Pulse::default(), AtomicBool::new(false));
        let slept = watched(&pulse, Duration::ZERO, &stop, None, || {
            // What sleeps in one system call until it is interrupted, as a processor does in `KVM_RUN`.
            // SAFETY: no descriptors; waits.
            unsafe { libc::poll(std::ptr::null_mut(), 0, 10_000) }
        });
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const before) }, 0);
        assert_eq!(slept.unwrap(), -1, "nobody interrupted it");
    }

    #[test]
    fn a_thread_that_inherits_the_signal_blocked_is_kicked_all_the_same() {
        let blocked = || {
            vmm_sys_util::signal::block_signal(SIGNAL).unwrap();
            let (pulse, stop) = (Pulse::default(), AtomicBool::new(true));
            watched(&pulse, Duration::MAX, &stop, None, || {
                // SAFETY: no descriptors; waits.
                unsafe { libc::poll(std::ptr::null_mut(), 0, 10_000) }
            })
        };
        assert_eq!(std::thread::spawn(blocked).join().unwrap().unwrap(), -1);
    }

    #[test]
    fn nothing_is_run_that_could_not_be_stopped() {
        let run = || watched(&Pulse::default(), Duration::ZERO, &AtomicBool::new(false), None, || ());
        for (call, named) in [(libc::SYS_tgkill, "tgkill"), (libc::SYS_rt_sigaction, "sigaction")] {
            let error = refused(call, libc::EPERM, run).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("os error 1"), "{error}");
        }
        // A sandbox may also say that it has done what it has not.
        let error = refused(libc::SYS_tgkill, 0, run).unwrap_err().to_string();
        assert!(error.contains("has not arrived"), "{error}");
    }
}
