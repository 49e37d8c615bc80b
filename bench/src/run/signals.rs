//! Stopping between trials: SIGINT, SIGTERM and SIGHUP raise a flag instead of ending the process.
//!
//! The signals are blocked in every thread and taken by one that waits for them, so that nothing has to be safe
//! in a signal handler and no measured thread is ever interrupted by one.

#![expect(unsafe_code, reason = "sigwait has no safe wrapper")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vmm_sys_util::signal::{block_signal, create_sigset};

const STOPPING: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Begins to listen. Call it before any other thread is started. The first signal raises the flag that is
/// returned; the second ends the process at once.
///
/// # Errors
/// When the signals cannot be blocked or the thread cannot be had.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    for signal in STOPPING {
        match block_signal(signal) {
            Ok(()) | Err(vmm_sys_util::signal::Error::SignalAlreadyBlocked(_)) => {}
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
    let signals = create_sigset(&STOPPING).map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
    let stop = Arc::new(AtomicBool::new(false));
    let raise = Arc::clone(&stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        wait(&signals);
        // Relaxed: the flag carries nothing with it.
        raise.store(true, Ordering::Relaxed);
        wait(&signals);
        std::process::exit(1);
    })?;
    Ok(stop)
}

fn wait(signals: &libc::sigset_t) {
    let mut taken = 0;
    // SAFETY:
    // - `signals` is a set initialised by `create_sigset` and borrowed for the call;
    // - `taken` is a valid place for the number of the signal.
    // It fails only for a set with invalid signals, and these are valid.
    unsafe { libc::sigwait(signals, &raw mut taken) };
}
