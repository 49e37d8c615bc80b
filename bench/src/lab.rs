//! The lab: KVM on hardware virtualisation, without the hardware.
//!
//! QEMU emulates an AMD processor with nested SVM, instruction by instruction. Debian's own kernel boots on it
//! with the kvm-amd of its package, where `vmmcall` really exits; and the first process of that machine is this
//! very program, with the payload in it. Counted in instructions ([`LabClock::Instructions`]) one tick is one
//! instruction of guest, KVM, kernel and pagehint together, and a run repeats to the last of them.
//!
//! | file | what |
//! |---|---|
//! | [`packages`], [`supply`] | what has to be installed, by which command, and how it is fetched |
//! | [`kernel`], [`module`] | Debian's kernel and the modules KVM needs, fetched once and kept |
//! | [`libraries`] | what a program is linked with |
//! | [`initramfs`] | all of it in one archive |
//! | [`emulator`] | QEMU: its command line and its process |
//! | [`console`] | what the machine says while it runs |
//! | [`errand`], [`parcel`], [`places`] | what is to be done inside, what comes back, and where things lie |
//! | [`inside`] | the first process of the machine |
//!
//! Nothing is left behind: the archive and what comes back are files without a name, and the emulator dies with
//! the thread that started it.

pub mod console;
pub mod emulator;
pub mod errand;
pub mod initramfs;
pub mod inside;
pub mod kernel;
pub mod libraries;
pub mod module;
mod mortal;
pub mod packages;
pub mod parcel;
pub mod places;
pub mod supply;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abi::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axis::Named;
use console::Heard;
use emulator::{Emulated, Emulator};
use errand::Errand;
use initramfs::Initramfs;
use kernel::Kernel;
use parcel::Returned;

/// How often a run looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// What time is in the lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabClock {
    /// The instructions executed so far: figures repeat exactly.
    Instructions,
    /// The clock on the wall: quicker, and figures of an emulator.
    Wall,
}

impl Axis for LabClock {
    const AXIS: &'static str = "clock";
    const ALL: &'static [Self] = &[Self::Instructions, Self::Wall];

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Wall => "wall",
        }
    }
}

/// Why the lab brought nothing back. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Something is not on this machine.
    #[error("{what}; to have it: {remedy}")]
    Missing {
        /// What is not there.
        what: String,
        /// The command that brings it.
        remedy: String,
    },
    /// A program that was to fetch or unpack something failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// What it said, or why it did not start.
        said: String,
    },
    /// There is no such kernel, as a choice.
    #[error(
        "{choice} is no kernel: give a series such as 6.1, a package such as linux-image-6.1.0-56-cloud-amd64, or a .deb file"
    )]
    NoSuchKernel {
        /// What was asked for.
        choice: String,
    },
    /// A kernel package without something the lab needs.
    #[error("the kernel package {package} has no {what}: give another with --kernel")]
    Incomplete {
        /// The package.
        package: String,
        /// What it lacks.
        what: String,
    },
    /// A program cannot be taken along.
    #[error("{} cannot be taken into the lab: {reason}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file of the lab's own.
    #[error("{what}: {source}")]
    File {
        /// What was to be done.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The machine did not power off in time.
    #[error("the lab did not end within {} s and was ended; give it longer with --deadline. The last of its console:\n{tail}", after.as_secs())]
    Deadline {
        /// How long it had.
        after: Duration,
        /// The last lines of its console.
        tail: String,
    },
    /// The machine ended and nothing came back.
    #[error("the lab ended ({status}) and brought nothing back: {reason}. The last of its console:\n{tail}")]
    Lost {
        /// How the emulator ended.
        status: ExitStatus,
        /// What is wrong with what came back.
        reason: String,
        /// The last lines of its console.
        tail: String,
    },
    /// Somebody wanted to stop.
    #[error("stopped by a signal; the lab was ended and nothing of it is left")]
    Stopped,
}

impl LabError {
    /// For errors of the file system.
    pub(crate) fn file(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }

    /// Of something that is missing only because nothing may be fetched.
    fn without_offline(self) -> Self {
        match self {
            Self::Missing { what, remedy } => {
                Self::Missing { what, remedy: format!("leave out --offline; or {remedy}") }
            }
            other => other,
        }
    }
}

/// A lab ready to run errands.
pub struct Lab {
    /// What the machine boots.
    pub kernel: Kernel,
    /// What emulates it.
    pub emulator: Emulator,
    /// What time is in it.
    pub clock: LabClock,
    /// How long an errand may take, by the clock on the wall.
    pub deadline: Duration,
}

impl Lab {
    /// The modules of its kernel, in the order to load them.
    #[must_use]
    pub fn module_names(&self) -> Vec<String> {
        self.kernel.modules.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What is to be known about it, after a run that took so long.
    #[must_use]
    pub fn described(&self, took: Duration) -> Described {
        Described {
            clock: Named(self.clock),
            emulator: self.emulator.version.clone(),
            kernel_package: self.kernel.package.clone(),
            kernel_version: self.kernel.version.clone(),
            took_s: took.as_secs_f64(),
        }
    }

    /// Boots the machine, has it run the errand and waits for it to power off. `program` is taken along under
    /// the path the errand calls it by; this program always is. Every line of the console goes to `hear`.
    ///
    /// # Errors
    /// [`LabError`]; the machine is gone by then.
    pub fn run(
        &self,
        errand: &Errand,
        program: Option<&Path>,
        stop: &AtomicBool,
        hear: &mut dyn FnMut(&str),
    ) -> Result<Returned, LabError> {
        let unnamed = || {
            tempfile::tempfile()
                .map_err(LabError::file("no temporary file can be made (TMPDIR names another directory)"))
        };
        let mut initramfs = Initramfs::new(unnamed()?);
        initramfs.kernel_modules(&self.kernel)?;
        initramfs.errand(errand)?;
        let myself = std::env::current_exe().map_err(LabError::file("this program cannot be found"))?;
        initramfs.program(&myself, places::PAGEHINT)?;
        if let Some(program) = program {
            initramfs.program(program, places::PROGRAM)?;
        }
        let initramfs = initramfs.finish()?;
        let mut back = unnamed()?;
        let machine = self.emulator.start(&Emulated {
            image: &self.kernel.image,
            initramfs: &initramfs,
            back: &back,
            clock: self.clock,
        })?;
        let ended = self.wait(machine, stop, hear)?;
        parcel::unpack(&contents(&mut back)?).map_err(|error| LabError::Lost {
            status: ended.status,
            reason: error.to_string(),
            tail: ended.tail,
        })
    }

    fn wait(
        &self,
        mut machine: emulator::Running,
        stop: &AtomicBool,
        hear: &mut dyn FnMut(&str),
    ) -> Result<Ended, LabError> {
        let began = Instant::now();
        loop {
            match machine.console.next(LOOK) {
                Heard::Line(line) => {
                    if let Some(line) = without_farewell(&line) {
                        hear(line);
                    }
                }
                Heard::Nothing => {}
                Heard::End => {
                    let status =
                        machine.wait().map_err(LabError::file("the emulator cannot be waited for"))?;
                    return Ok(Ended { status, tail: machine.console.tail() });
                }
            }
            // Relaxed: the flag carries nothing with it.
            if stop.load(Ordering::Relaxed) {
                return Err(LabError::Stopped);
            }
            if began.elapsed() > self.deadline {
                return Err(LabError::Deadline { after: self.deadline, tail: machine.console.tail() });
            }
        }
    }
}

/// A line without the kernel's last words, which say nothing about what was run and cannot be turned off; `None` if
/// they are all of it. They follow what a program printed last on the same line, if it did not end it.
fn without_farewell(line: &str) -> Option<&str> {
    let Some(before) = line.strip_suffix("] reboot: Power down") else { return Some(line) };
    let stamp = |text: &str| text.trim_start().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match before.rsplit_once('[') {
        Some((said, at)) if stamp(at) => (!said.is_empty()).then_some(said),
        _ => Some(line),
    }
}

/// What `environment.json` says of the lab a run took place in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// What time is in it.
    pub clock: Named<LabClock>,
    /// What the emulator says it is.
    pub emulator: String,
    /// The package its kernel and modules came in.
    pub kernel_package: String,
    /// That package's version.
    pub kernel_version: String,
    /// What it took, boot included, in seconds by the clock on the wall of the machine that emulated it.
    pub took_s: f64,
}

/// How a machine ended.
struct Ended {
    status: ExitStatus,
    tail: String,
}

fn contents(file: &mut File) -> Result<Vec<u8>, LabError> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(LabError::file("what the lab brought back cannot be read"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_last_words_are_not_a_programs() {
        assert_eq!(without_farewell("[    2.574264] reboot: Power down"), None);
        assert_eq!(without_farewell("foo[    2.574264] reboot: Power down"), Some("foo"));
        for said in ["", "foo", "[x] reboot: Power down", "reboot: Power down"] {
            assert_eq!(without_farewell(said), Some(said));
        }
    }
}
