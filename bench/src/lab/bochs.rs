//! Bochs: an Intel processor with VMX.
//!
//! It boots from a disk only ([`disk`], [`sector`]), has one clock, that of executed instructions, and is configured
//! by a file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};

use super::command::printed;
use super::emulator::{EPOCH, Emulated, Emulator, MEMORY, Running, kernel_parameters, path, unnamed};
use super::error::LabError;
use super::packages::{Software, find};
use crate::site::emulated::LabCpu;

pub mod disk;
pub mod sector;

const PROGRAM: &str = "bochs";
/// The display that needs none: text, to a terminal that nobody looks at. It must be no other: `rfb` listens on every
/// address.
const DISPLAY: &str = "term";
/// What a debugger's build is told to do when it waits for a command: to go on.
const CONTINUE: &str = "c\n";
/// Bochs draws what RDRAND gives from the time of day: the kernel is not to ask.
const OWN: &[&str] = &["clearcpuid=rdrand,rdseed"];

/// Where it comes from.
pub static SOFTWARE: Software = Software {
    packages: &["bochs", "bochs-term", "bochsbios", "vgabios"],
    elsewhere: "Fedora: dnf install bochs; Arch: pacman -S bochs; NixOS: nix-shell -p bochs; from source, 2.7 or later: ./configure --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-vmx=2 --enable-pci --with-term",
};

/// Bochs as it is on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bochs {
    program: PathBuf,
    version: String,
    /// Whether it is a debugger's build, which waits at a prompt.
    waits: bool,
    bios: PathBuf,
    vga_bios: PathBuf,
}

impl Bochs {
    /// The one on the path.
    ///
    /// # Errors
    /// What is not there.
    pub fn here() -> Result<Self, String> {
        let program = find(PROGRAM).ok_or_else(|| format!("{PROGRAM} is not installed"))?;
        let said =
            |words: &[&str]| printed(Command::new(&program).args(words)).map_err(|error| error.to_string());
        let (help, models) = (said(&["--help"])?, said(&["--help", "cpu"])?);
        let version =
            version(&models).ok_or_else(|| format!("{PROGRAM} does not say which version it is"))?;
        let model = LabCpu::Intel.model();
        if !models.lines().any(|line| line.trim() == model) {
            return Err(format!("{version} has no processor {model}"));
        }
        if plugins(&models).is_some_and(|plugins| !plugins.join(format!("libbx_{DISPLAY}_gui.so")).exists()) {
            return Err(format!("{version} has no display {DISPLAY}"));
        }
        let firmware = |names: &[&str]| {
            firmware(&program, names).ok_or_else(|| format!("{version} has no {}", names[0]))
        };
        Ok(Self {
            waits: help.contains("-rc "),
            bios: firmware(&["BIOS-bochs-latest"])?,
            vga_bios: firmware(&["VGABIOS-lgpl-latest", "VGABIOS-lgpl-latest.bin", "vgabios.bin"])?,
            program,
            version,
        })
    }

    /// Its configuration (bochsrc(5)).
    fn configuration(&self, disk: &File, console: &PipeWriter, back: &File) -> String {
        let (bios, vga_bios) = (self.bios.display(), self.vga_bios.display());
        let (processor, epoch) = (self.processor(), EPOCH.1);
        let (disk, back, console) = (path(disk), path(back), inherited(console));
        format!(
            "cpu: {processor}
memory: guest={MEMORY}, host={MEMORY}
romimage: file={bios}, options=fastboot
vgaromimage: file={vga_bios}
display_library: {DISPLAY}
vga: extension=none, update_freq=1, realtime=0
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
clock: sync=none, time0={epoch}
boot: disk
ata0-master: type=disk, path={disk}, mode=flat
com1: enabled=1, mode=file, dev={console}
com2: enabled=1, mode=file, dev={back}
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"
        )
    }
}

impl Emulator for Bochs {
    fn version(&self) -> &str {
        &self.version
    }

    /// `ips` is ticks in a second of the machine's, of which an instruction is one: as with QEMU's `shift=0`, a
    /// nanosecond. Without the last, Linux stops at registers this model does not have.
    fn processor(&self) -> String {
        let model = LabCpu::Intel.model();
        format!("model={model}, count=1, ips=1000000000, reset_on_triple_fault=0, ignore_bad_msrs=1")
    }

    fn software(&self) -> &'static Software {
        &SOFTWARE
    }

    fn kernel_parameters(&self) -> String {
        kernel_parameters(LabCpu::Intel, "ttyS0,115200", OWN)
    }

    fn start(&self, machine: &Emulated<'_>) -> Result<Running, LabError> {
        let failed = || LabError::file("the lab's disk cannot be written (TMPDIR names another directory)");
        let kernel = std::fs::read(machine.image).map_err(failed())?;
        let mut disk = unnamed()?;
        let mut initramfs = machine.initramfs;
        disk::write(&mut disk, &kernel, &self.kernel_parameters(), &mut initramfs).map_err(failed())?;

        let (reader, console) = io::pipe().map_err(failed())?;
        // It opens its end by number, as the process that has inherited it. No other process is started meanwhile.
        fcntl_setfd(&console, FdFlags::empty()).map_err(|error| failed()(error.into()))?;
        let configuration = text(&self.configuration(&disk, &console, machine.back))?;
        let complaints = unnamed()?;
        let mut command = Command::new(&self.program);
        command.args(["-q", "-f", &path(&configuration)]);
        let mut lent = vec![disk, configuration];
        if self.waits {
            let commands = text(CONTINUE)?;
            command.args(["-rc", &path(&commands)]);
            lent.push(commands);
        }
        command.env("TERM", "vt100").stdout(Stdio::null()).stderr(complaints.try_clone().map_err(failed())?);
        Running::start(command, reader, Some(complaints), lent)
    }
}

/// A file without a name that holds a text.
fn text(text: &str) -> Result<File, LabError> {
    let mut file = unnamed()?;
    file.write_all(text.as_bytes())
        .map_err(LabError::file("no temporary file can be written (TMPDIR names another directory)"))?;
    Ok(file)
}

/// A file that a process has inherited, as that process finds it.
fn inherited(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// `Bochs 2.7`, of a banner that says `Bochs x86 Emulator 2.7`.
fn version(said: &str) -> Option<String> {
    let number = said.lines().find_map(|line| line.trim().strip_prefix("Bochs x86 Emulator "))?;
    Some(format!("Bochs {}", number.trim()))
}

/// Where it looks for displays, if it is a build that looks anywhere.
fn plugins(said: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LTDL_LIBRARY_PATH") {
        return std::env::split_paths(&path).next();
    }
    let line = said.lines().find(|line| line.contains("LTDL_LIBRARY_PATH not set"))?;
    line.split('\'').nth(1).map(PathBuf::from)
}

/// A file of its firmware, where packages put it: beside the program's `bin`, or where Debian does.
fn firmware(program: &Path, names: &[&str]) -> Option<PathBuf> {
    let program = program.canonicalize().ok()?;
    let own = program.parent()?.parent()?.join("share/bochs");
    let share = std::env::var_os("BXSHARE").map(PathBuf::from);
    let places = [share.as_deref().map(Path::as_os_str), Some(own.as_os_str())];
    let usual = ["/usr/share/bochs", "/usr/share/vgabios"].map(|place| Some(OsStr::new(place)));
    let files = places.into_iter().chain(usual).flatten();
    files
        .flat_map(|place| names.iter().map(move |name| Path::new(place).join(name)))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_of_itself_is_understood() {
        let said = "i[] LTDL_LIBRARY_PATH not set. using compile time default '/usr/lib/bochs/plugins'\n\
                    Supported CPU models:\n\ntigerlake\n=====\n          Bochs x86 Emulator 2.7\n=====\n";
        assert_eq!(version(said).as_deref(), Some("Bochs 2.7"));
        if std::env::var_os("LTDL_LIBRARY_PATH").is_none() {
            assert_eq!(plugins(said).as_deref(), Some(Path::new("/usr/lib/bochs/plugins")));
        }
        assert_eq!((version(""), plugins("")), (None, None));
    }

    #[test]
    fn nothing_listens_and_no_file_has_a_name() {
        let bochs = Bochs {
            program: "bochs".into(),
            version: "Bochs 2.7".into(),
            waits: true,
            bios: "/bios".into(),
            vga_bios: "/vga".into(),
        };
        let (_, console) = io::pipe().unwrap();
        let file = tempfile::tempfile().unwrap();
        let configuration = bochs.configuration(&file, &console, &file);
        for word in ["rfb", "socket", "ne2k", "e1000", "unlock"] {
            assert!(!configuration.contains(word), "{word}");
        }
        for line in configuration.lines().filter(|line| line.contains("path=") || line.contains("dev=")) {
            assert!(line.contains("=/proc/"), "{line}");
        }
    }
}
