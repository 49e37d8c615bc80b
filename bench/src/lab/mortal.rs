//! Processes that never outlive us.

#![expect(unsafe_code, reason = "a child that is to die with its parent says so between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Has the kernel end the command with the thread that starts it, however that ends.
pub(super) fn dies_with_us(command: &mut Command) {
    let parent = getpid();
    // SAFETY:
    // - it runs in the child between fork and exec, where only async-signal-safe calls are allowed: these are two
    //   system calls (prctl, getppid), with no allocation and no lock;
    // - it touches nothing of ours.
    unsafe { command.pre_exec(move || die_with(parent)) };
}

/// Of a parent that had ended before that was asked, the kernel says nothing any more.
fn die_with(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}
