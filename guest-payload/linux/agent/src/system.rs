//! What the agent asks of its kernel and of its host. Declared by hand: the C library is linked in any case.

#![expect(unsafe_code, reason = "system calls, the time stamp counter, a port")]

use std::arch::asm;
use std::arch::x86_64::{_mm_lfence, _rdtsc};
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

const SYS_FINIT_MODULE: c_long = 313;
const REBOOT: c_int = 0x0123_4567;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn iopl(level: c_int) -> c_int;
    fn reboot(command: c_int) -> c_int;
    fn dup2(old: c_int, new: c_int) -> c_int;
}

/// Port on which the host hears where the guest stands: `abi::control::CONTROL_PORT`.
const CONTROL_PORT: u16 = 0x518;

/// Where the agent stands: those of `abi::control::Control` that it says, with their values on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    /// Up; the drivers are loaded.
    Ready = 0,
    /// What follows is measured.
    Begin = 1,
    /// The measured part is over.
    End = 5,
    /// Everything is.
    Done = 6,
    /// Everything was freed, and reporting has settled.
    Settled = 9,
}

/// What programs expect to find, and leave to use ports.
pub(crate) fn prepare() -> Result<(), String> {
    for (kind, place) in [(c"proc", c"/proc"), (c"sysfs", c"/sys"), (c"devtmpfs", c"/dev")] {
        // An archive may have them or not.
        let _ = fs::create_dir_all(place.to_str().unwrap_or_default());
        mounted(kind, place)?;
    }
    // Kernels without it are run too; who needs it says so.
    let _ = mounted(c"tracefs", c"/sys/kernel/tracing");
    // The kernel opens no console for a first process that has no /dev/console yet.
    let console = OpenOptions::new().read(true).write(true).open("/dev/console");
    let console = console.map_err(|error| format!("/dev/console: {error}"))?;
    for standard in 0..3 {
        // SAFETY: both are descriptors; a refusal changes nothing.
        unsafe { dup2(console.as_raw_fd(), standard) };
    }
    // It may be one of the three.
    std::mem::forget(console);
    // SAFETY: has no preconditions. Ports are the host's to answer.
    if unsafe { iopl(3) } == 0 { Ok(()) } else { Err(format!("iopl: {}", io::Error::last_os_error())) }
}

fn mounted(kind: &CStr, place: &CStr) -> Result<(), String> {
    // SAFETY: all are strings that end; there is no data.
    let result = unsafe { mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    // The kernel may have mounted it.
    let busy = io::Error::last_os_error();
    if result == 0 || busy.raw_os_error() == Some(16) {
        Ok(())
    } else {
        Err(format!("{}: {busy}", place.to_string_lossy()))
    }
}

/// Loads a module from its file.
pub(crate) fn load_module(path: &str, parameters: &CStr) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    // SAFETY: a descriptor, a string that ends, and no flags.
    let result = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), parameters.as_ptr(), 0) };
    if result == 0 { Ok(()) } else { Err(format!("{path}: {}", io::Error::last_os_error())) }
}

/// Tells the host where the agent stands; it looks at things before this returns.
pub(crate) fn control(control: Control) {
    // SAFETY: the port is the host's, and this process may use ports.
    unsafe {
        asm!("out dx, eax", in("dx") CONTROL_PORT, in("eax") control as u32, options(nomem, nostack, preserves_flags));
    }
}

/// The time stamp counter, read when everything before it is done.
pub(crate) fn ticks() -> u64 {
    // SAFETY: every processor that runs a 64-bit kernel has both.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Waits.
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Ends the machine, by the way the command line says.
pub(crate) fn power_off() -> ! {
    // SAFETY: has no preconditions; returns only if it is refused.
    unsafe { reboot(REBOOT) };
    loop {
        sleep(Duration::from_secs(1));
    }
}
