//! Leaving when a signal asks for it: SIGINT, SIGTERM and SIGHUP raise a flag instead of ending the process, which ends
//! by the signal when it has cleaned up: a shell's loop stops only at a command that ended so.
//!
//! The signals are blocked in every thread and taken by one that waits for them, so that nothing has to be safe in a
//! signal handler and no measured thread is ever interrupted by one. SIGQUIT is left as it is: it ends the process where
//! it stands, as SIGKILL does.

#![expect(unsafe_code, reason = "sigwait, sigaction and raise have no safe wrapper")]

use std::ffi::c_int;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use vmm_sys_util::signal::{Error, block_signal, create_sigset, unblock_signal};

const STOPPING: [c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Signals that follow each other so quickly are one request: `timeout` sends its own to the process and then to the
/// process's group.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// The signal that was taken first; 0 if none was.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// Begins to listen. Call it before any other thread is started. The first signal raises the flag that is returned; one
/// that is another request ends the process at once, with these last words on standard error.
///
/// # Errors
/// When the signals cannot be blocked or the thread cannot be had.
pub fn stop_flag(last_words: String) -> io::Result<Arc<AtomicBool>> {
    // Who started us with a signal ignored, as nohup does, wants it ignored; blocked, it would be taken all the same.
    let heeded: Vec<c_int> = STOPPING.into_iter().filter(|signal| !is_ignored(*signal)).collect();
    heeded.iter().try_for_each(|signal| block(*signal))?;
    let signals = create_sigset(&heeded).map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
    let stop = Arc::new(AtomicBool::new(false));
    if heeded.is_empty() {
        return Ok(stop);
    }
    let raise = Arc::clone(&stop);
    let listener = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let first = wait(&signals);
        let since = Instant::now();
        // Relaxed, both: neither carries anything with it.
        TAKEN.store(first, Ordering::Relaxed);
        raise.store(true, Ordering::Relaxed);
        let again = loop {
            let signal = wait(&signals);
            if since.elapsed() > ONE_REQUEST {
                break signal;
            }
        };
        // Standard error may be closed; there is nobody left to tell.
        let _ = writeln!(io::stderr(), "pagehint: {last_words}");
        end_by(again)
    });
    let no_thread = |error: io::Error| {
        io::Error::new(error.kind(), format!("no thread can be started that waits for signals: {error}"))
    };
    listener.map_err(no_thread)?;
    Ok(stop)
}

/// The signal that asked to stop, if one did.
#[must_use]
pub fn taken() -> Option<c_int> {
    // Relaxed: it carries nothing with it.
    Some(TAKEN.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Ends the process by a signal that [`stop_flag`] took, as if it had never been blocked.
pub fn end_by(signal: c_int) -> ! {
    if unblock_signal(signal).is_ok() {
        // SAFETY: `signal` is one of `STOPPING`, whose action is the default: ending the process where it stands.
        unsafe { libc::raise(signal) };
    }
    // No signal of its own ends the first process of a container.
    std::process::exit(128 + signal)
}

/// From here on a file that grows over a limit (`ulimit -f`) is an error of the write, and not the process's end. Call
/// it before any thread is started.
///
/// # Errors
/// When the signal cannot be blocked.
pub fn outlive_file_limits() -> io::Result<()> {
    block(libc::SIGXFSZ)
}

fn block(signal: c_int) -> io::Result<()> {
    match block_signal(signal) {
        Ok(()) | Err(Error::SignalAlreadyBlocked(_)) => Ok(()),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY:
    // - `signal` is a valid number and no new action is given: nothing is changed;
    // - `action` is a valid place for the old one, and a zeroed one, which stays if the call fails, is valid too.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn wait(signals: &libc::sigset_t) -> c_int {
    let mut taken = 0;
    // SAFETY:
    // - `signals` is a set initialised by `create_sigset` and borrowed for the call;
    // - `taken` is a valid place for the number of the signal.
    // It fails only for a set with invalid signals, and these are valid.
    unsafe { libc::sigwait(signals, &raw mut taken) };
    taken
}
