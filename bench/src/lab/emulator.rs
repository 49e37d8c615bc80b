//! QEMU: its command line, and a process that never outlives us.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::command::output;
use super::console::Console;
use super::error::LabError;
use super::mortal;
use super::places::{FIRST_PROCESS, PAGEHINT};
use crate::site::emulated::LabClock;

/// Memory of the machine in MiB.
pub const MEMORY: u32 = 1500;
/// What the machine draws its random numbers from, and when it begins: both always the same.
const SEED: u32 = 1;
const EPOCH: &str = "2026-01-01";
/// Kernel parameters. What would differ from boot to boot (addresses) or costs instructions before we begin
/// (self-tests of ciphers) is turned off; mitigations of processor flaws stay as the kernel chooses them.
const KERNEL: &str = "console=ttyS0 quiet panic=-1 nokaslr norandmaps cryptomgr.notests";

/// The emulator of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emulator {
    /// The program.
    pub program: PathBuf,
    /// What it says its version is.
    pub version: String,
}

/// What a machine is made of.
#[derive(Clone, Copy)]
pub struct Emulated<'a> {
    /// The kernel.
    pub image: &'a Path,
    /// Its initramfs.
    pub initramfs: &'a File,
    /// What its second serial line writes into.
    pub back: &'a File,
    /// What time is to it.
    pub clock: LabClock,
}

/// A machine that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it says.
    pub console: Console,
}

impl Emulator {
    /// Asks the program for its version.
    ///
    /// # Errors
    /// [`LabError::Command`] if it does not start.
    pub fn new(program: PathBuf) -> Result<Self, LabError> {
        let said = output(Command::new(&program).arg("--version"))?;
        let version = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
        Ok(Self { program, version })
    }

    /// Starts a machine. It is ended when the calling thread ends, however that happens.
    ///
    /// # Errors
    /// [`LabError::File`] if it does not start.
    pub fn start(&self, machine: &Emulated<'_>) -> Result<Running, LabError> {
        let failed = || LabError::file(format!("{} cannot be started", self.program.display()));
        let (reader, writer) = io::pipe().map_err(failed())?;
        let mut command = Command::new(&self.program);
        command.args(arguments(machine)).stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(failed())?).stderr(writer);
        // Of a group of its own: an interrupt from the terminal is ours to handle.
        command.process_group(0);
        mortal::dies_with_us(&mut command);
        // The listener first: a machine that has been started is always in a `Running`.
        let console = Console::listen(reader).map_err(failed())?;
        // The command goes with this statement, and with it our ends of the pipe: the console ends with the machine.
        let child = { command }.spawn().map_err(failed())?;
        Ok(Running { child, console })
    }
}

/// The command line, without the program.
#[must_use]
pub fn arguments(machine: &Emulated<'_>) -> Vec<String> {
    let accelerator = match machine.clock {
        // One instruction is one nanosecond of virtual time and one tick of the time stamp counter; an idle
        // machine jumps to its next timer.
        LabClock::Instructions => vec!["-accel", "tcg", "-icount", "shift=0,sleep=off"],
        LabClock::Wall => vec!["-accel", "tcg,thread=single"],
    };
    let memory = MEMORY.to_string();
    let seed = SEED.to_string();
    let clock = format!("base={EPOCH},clock=vm");
    let back = format!("file,id=back,path={}", path(machine.back));
    let initramfs = path(machine.initramfs);
    let image = machine.image.display().to_string();
    let parameters = format!("{KERNEL} rdinit={PAGEHINT} -- {FIRST_PROCESS}");
    let mut words = accelerator;
    // Nothing that is not asked for: no display, no disk, no network.
    words.extend(["-nodefaults", "-display", "none", "-no-reboot", "-smp", "1", "-m", &memory]);
    words.extend(["-cpu", "max,+svm,la57=off", "-seed", &seed, "-rtc", &clock]);
    words.extend(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    words.extend(["-chardev", &back, "-serial", "chardev:back"]);
    words.extend(["-kernel", &image, "-initrd", &initramfs, "-append", &parameters]);
    words.into_iter().map(str::to_owned).collect()
}

/// A file of ours that may have no name, as another process of ours finds it.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

impl Running {
    /// Waits for the machine to end.
    ///
    /// # Errors
    /// As the system's.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then both have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
