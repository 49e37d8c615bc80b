//! A program that emulates a machine with hardware virtualisation: what the lab asks of any, and a process that never
//! outlives us.

use std::fs::File;
use std::io::{self, PipeReader, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use abi::axes::Axis;

use super::console::Console;
use super::error::LabError;
use super::mortal;
use super::packages::Software;
use super::places::{FIRST_PROCESS, PAGEHINT};
use crate::site::emulated::{LabClock, LabCpu};

/// Memory of the machine in MiB.
pub const MEMORY: u32 = 1500;
/// When the machine begins, always the same: as a date, and in seconds since 1970.
pub const EPOCH: (&str, u32) = ("2026-01-01", 1_767_225_600);
/// Kernel parameters. What would differ from boot to boot (addresses) or costs instructions before we begin
/// (self-tests of ciphers) is turned off; mitigations of processor flaws stay as the kernel chooses them, but for
/// those in [`LabCpu::switched_off`].
const KERNEL: &str = "quiet panic=-1 nokaslr norandmaps cryptomgr.notests";
/// How many bytes of what an emulator said are shown if its machine failed.
const COMPLAINTS: usize = 2000;

/// An emulator.
pub trait Emulator {
    /// What it says it is, with its version.
    fn version(&self) -> &str;

    /// The processor it is asked for, in its own words.
    fn processor(&self) -> String;

    /// How another is had.
    fn software(&self) -> &'static Software;

    /// What the kernel is told, all of it.
    fn kernel_parameters(&self) -> String;

    /// Starts a machine. It is ended when the calling thread ends, however that happens.
    ///
    /// # Errors
    /// [`LabError::File`] if it does not start.
    fn start(&self, machine: &Emulated<'_>) -> Result<Running, LabError>;
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

/// Kernel parameters of a lab's machine: where its console is, what only this emulator's kernel is told, what all
/// are, and who the first process is.
#[must_use]
pub fn kernel_parameters(cpu: LabCpu, console: &str, own: &[&str]) -> String {
    let mut words = vec![format!("console={console}"), KERNEL.to_owned()];
    words.extend(cpu.switched_off().iter().map(|off| off.parameter.to_owned()));
    words.extend(own.iter().map(|&word| word.to_owned()));
    words.push(format!("{}{}", LabCpu::PARAMETER, cpu.name()));
    words.push(format!("rdinit={PAGEHINT} -- {FIRST_PROCESS}"));
    words.join(" ")
}

/// A file of ours that may have no name, as another process of ours finds it.
#[must_use]
pub fn path(file: &impl AsRawFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// A file without a name.
///
/// # Errors
/// [`LabError::File`].
pub fn unnamed() -> Result<File, LabError> {
    tempfile::tempfile()
        .map_err(LabError::file("no temporary file can be made (TMPDIR names another directory)"))
}

/// A machine that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it says.
    pub console: Console,
    /// What the emulator itself says, where that is not on the console.
    complaints: Option<File>,
    /// Files the emulator opens by their numbers here, when it comes to them.
    _lent: Vec<File>,
}

impl Running {
    /// Starts an emulator, whose console comes out of a pipe. Of the pipe's other end only the emulator is to have one
    /// in the end: the console ends with it.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn start(
        mut command: Command,
        console: PipeReader,
        complaints: Option<File>,
        lent: Vec<File>,
    ) -> Result<Self, LabError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = || LabError::file(format!("{name} cannot be started"));
        // Of a group of its own: an interrupt from the terminal is ours to handle.
        command.stdin(Stdio::null()).process_group(0);
        mortal::dies_with_us(&mut command);
        // The listener first: a machine that has been started is always in a `Running`.
        let console = Console::listen(console).map_err(failed())?;
        // The command goes with this statement, and with it its ends of the pipe.
        let child = { command }.spawn().map_err(failed())?;
        Ok(Self { child, console, complaints, _lent: lent })
    }

    /// Waits for the machine to end.
    ///
    /// # Errors
    /// As the system's.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The last that was heard of it: from its console, and from the emulator.
    #[must_use]
    pub fn tail(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(file) = &mut self.complaints {
            // What cannot be read is not shown.
            let _ = file.rewind().and_then(|()| file.read_to_end(&mut said));
        }
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(COMPLAINTS)..]).into_owned();
        let lines = said.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("\n  {line}"));
        self.console.tail() + &lines.collect::<String>()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then both have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
