//! QEMU: an AMD processor with nested SVM.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::command::output;
use super::emulator::{EPOCH, Emulated, Emulator, MEMORY, Running, kernel_parameters, path};
use super::error::LabError;
use super::packages::{Software, find};
use crate::site::emulated::{LabClock, LabCpu};

/// What the machine draws its random numbers from: always the same.
const SEED: u32 = 1;
const PROGRAM: &str = "qemu-system-x86_64";

/// Where it comes from.
pub static SOFTWARE: Software = Software {
    packages: &["qemu-system-x86"],
    elsewhere: "Fedora: dnf install qemu-system-x86-core; Arch: pacman -S qemu-system-x86; NixOS: nix-shell -p qemu",
};

/// QEMU as it is on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qemu {
    program: PathBuf,
    version: String,
}

impl Qemu {
    /// The one on the path.
    ///
    /// # Errors
    /// What is not there.
    pub fn here() -> Result<Self, String> {
        let program = find(PROGRAM).ok_or_else(|| format!("{PROGRAM} is not installed"))?;
        let said = output(Command::new(&program).arg("--version")).map_err(|error| error.to_string())?;
        let version = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
        Ok(Self { program, version })
    }

    /// The command line, without the program.
    fn arguments(&self, machine: &Emulated<'_>) -> Vec<String> {
        let accelerator = match machine.clock {
            // One instruction is one nanosecond of virtual time and one tick of the time stamp counter; an idle
            // machine jumps to its next timer.
            LabClock::Instructions => vec!["-accel", "tcg", "-icount", "shift=0,sleep=off"],
            LabClock::Wall => vec!["-accel", "tcg,thread=single"],
        };
        let (memory, seed, processor) = (MEMORY.to_string(), SEED.to_string(), self.processor());
        let clock = format!("base={},clock=vm", EPOCH.0);
        let back = format!("file,id=back,path={}", path(machine.back));
        let initramfs = path(machine.initramfs);
        let image = machine.image.display().to_string();
        let parameters = self.kernel_parameters();
        let mut words = accelerator;
        // Nothing that is not asked for: no display, no disk, no network.
        words.extend(["-nodefaults", "-display", "none", "-no-reboot", "-smp", "1", "-m", &memory]);
        words.extend(["-cpu", &processor, "-seed", &seed, "-rtc", &clock]);
        words.extend(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        words.extend(["-chardev", &back, "-serial", "chardev:back"]);
        words.extend(["-kernel", &image, "-initrd", &initramfs, "-append", &parameters]);
        words.into_iter().map(str::to_owned).collect()
    }
}

impl Emulator for Qemu {
    fn version(&self) -> &str {
        &self.version
    }

    /// Five levels of page tables are what few hosts run.
    fn processor(&self) -> String {
        format!("{},+svm,la57=off", LabCpu::Amd.model())
    }

    fn software(&self) -> &'static Software {
        &SOFTWARE
    }

    fn kernel_parameters(&self) -> String {
        kernel_parameters(LabCpu::Amd, "ttyS0", &[])
    }

    fn start(&self, machine: &Emulated<'_>) -> Result<Running, LabError> {
        let failed = || LabError::file("no pipe can be made");
        let (reader, writer) = io::pipe().map_err(failed())?;
        let mut command = Command::new(&self.program);
        command.args(self.arguments(machine));
        command.stdout(writer.try_clone().map_err(failed())?).stderr(writer);
        Running::start(command, reader, None, Vec::new())
    }
}
