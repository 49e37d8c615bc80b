//! One errand in the lab, from the archive to what comes back.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::console::Heard;
use super::emulator::{Emulated, Emulator, Running, unnamed};
use super::errand::Errand;
use super::error::LabError;
use super::guest::Guest;
use super::initramfs::{Initramfs, read};
use super::kernel::Kernel;
use super::parcel::{self, Returned};
use super::places;
use crate::axes::named::Named;
use crate::site::emulated::{Described, LabClock};

/// How often a run looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// What the first process says where the module for KVM finds no processor for it: EOPNOTSUPP.
const UNSUPPORTED: &str = "(os error 95)";

/// A lab ready to run errands.
pub struct Lab {
    /// What the machine boots.
    pub kernel: Kernel,
    /// What emulates it.
    pub emulator: Box<dyn Emulator>,
    /// What time is in it.
    pub clock: LabClock,
    /// What guests of the machine boot, if it is to run any.
    pub guest: Option<Guest>,
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
            emulator: self.emulator.version().to_owned(),
            processor: self.emulator.processor(),
            kernel_parameters: self.emulator.kernel_parameters(),
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
        let mut initramfs = Initramfs::new(unnamed()?);
        initramfs.kernel_modules(&self.kernel)?;
        initramfs.errand(errand)?;
        let myself = std::env::current_exe().map_err(LabError::file("this program cannot be found"))?;
        initramfs.program(&myself, places::PAGEHINT)?;
        if let Some(program) = program {
            initramfs.program(program, places::PROGRAM)?;
        }
        if let Some(Guest { kernel, initramfs: inner }) = &self.guest {
            let place = |name: &str| format!("{}/{name}", places::GUEST);
            initramfs.file(&place(places::GUEST_KERNEL), &read(kernel)?, 0o644)?;
            initramfs.file(&place(places::GUEST_INITRAMFS), &read(inner.path())?, 0o644)?;
        }
        let initramfs = initramfs.finish()?;
        let mut back = unnamed()?;
        let machine = self.emulator.start(&Emulated {
            image: &self.kernel.image,
            initramfs: &initramfs,
            back: &back,
            clock: self.clock,
        })?;
        let ended = match self.wait(machine, stop, hear) {
            // What had been sent by then is kept.
            Err(late @ LabError::Deadline { .. }) => {
                let sent = parcel::unpack(&contents(&mut back)?).map_err(|_| late)?;
                hear(&format!("the lab was ended after {} s, its deadline", self.deadline.as_secs()));
                return Ok(sent);
            }
            ended => ended?,
        };
        parcel::unpack(&contents(&mut back)?).map_err(|error| self.lost(&ended, &error))
    }

    /// Why nothing came back. An emulator may be built without what the lab is for.
    fn lost(&self, ended: &Ended, error: &std::io::Error) -> LabError {
        if lacks_virtualisation(&ended.tail) {
            return LabError::Missing {
                what: format!("{} emulates no hardware virtualisation", self.emulator.version()),
                remedy: self.emulator.software().remedy(),
            };
        }
        LabError::Lost { status: ended.status, reason: error.to_string(), tail: ended.tail.clone() }
    }

    fn wait(
        &self,
        mut machine: Running,
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
                    return Ok(Ended { status, tail: machine.tail() });
                }
            }
            // Relaxed: the flag carries nothing with it.
            if stop.load(Ordering::Relaxed) {
                return Err(LabError::Stopped);
            }
            if began.elapsed() > self.deadline {
                return Err(LabError::Deadline { after: self.deadline, tail: machine.tail() });
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

/// Whether the last that was heard of a machine is that its processor is none for KVM.
fn lacks_virtualisation(tail: &str) -> bool {
    tail.lines().any(|line| line.contains("module kvm_") && line.contains(UNSUPPORTED))
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

    #[test]
    fn a_processor_without_virtualisation_is_told_from_other_ends() {
        // As heard of a Bochs whose processor had no VMX.
        let said = "  [    1.306867] kvm: no hardware support for 'kvm_intel'\n  \
                    pagehint: module kvm_intel.ko: Operation not supported on transport endpoint (os error 95)";
        assert!(lacks_virtualisation(said));
        for other in ["", "pagehint: module kvm.ko: Exec format error (os error 8)", "(os error 95)"] {
            assert!(!lacks_virtualisation(other), "{other}");
        }
    }
}
