//! The first process of the machine: mounts, loads KVM, runs the errand, sends back what it left, powers off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot};
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

use super::errand::Errand;
use super::parcel;
use super::places::{BACK, ERRAND, FIRST_PROCESS, MODULES, MOUNTS, RUN};

/// Bits a second of the serial line: the most that every line can.
const SPEED: u32 = 115_200;

/// Does everything and powers off. It returns only if this is not the first process of a lab.
///
/// # Errors
/// When this process is not the first of its machine, or the machine does not power off.
pub fn first_process() -> anyhow::Result<()> {
    anyhow::ensure!(
        std::process::id() == 1 && Path::new(ERRAND).exists(),
        "{FIRST_PROCESS} is the first process of a lab's machine and nothing else: use `pagehint lab`"
    );
    if let Err(error) = run_errand() {
        // The console is all there is; whoever started the machine shows its last lines.
        let _ = writeln!(io::stderr(), "pagehint: {error:#}");
    }
    // What waits in a serial line when the power goes is never heard. What is no terminal has nothing waiting.
    let _ = tcdrain(io::stderr());
    reboot(RebootCommand::PowerOff).context("the machine does not power off")
}

fn run_errand() -> anyhow::Result<()> {
    prepare()?;
    let errand: Errand = serde_json::from_slice(&fs::read(ERRAND)?).context(ERRAND)?;
    for module in &errand.modules {
        load(module).with_context(|| format!("module {module}"))?;
    }
    let exit = exit_code(run(&errand)?);
    let parcel = parcel::pack(exit, Path::new(RUN)).context("nothing can be packed")?;
    send(&parcel).context(BACK)
}

/// What programs expect to find.
fn prepare() -> anyhow::Result<()> {
    for (kind, place) in MOUNTS {
        mount(kind, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("{place} cannot be mounted"))?;
    }
    Ok(())
}

fn load(module: &str) -> anyhow::Result<()> {
    let file = File::open(Path::new(MODULES).join(module))?;
    Ok(finit_module(file, c"", 0)?)
}

fn run(errand: &Errand) -> anyhow::Result<ExitStatus> {
    let (program, arguments) = errand.command.split_first().context("the errand names no program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("TERM", "dumb")
        .envs(&errand.environment)
        .env("PATH", "/bin")
        .env("LD_LIBRARY_PATH", "/lib");
    command.current_dir("/tmp").stdin(Stdio::null());
    if !errand.shows_output {
        command.stdout(Stdio::null());
    }
    command.status().with_context(|| program.display().to_string())
}

/// As shells have it.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(255)
}

/// Sends back what a run has left so far, between two of its trials.
///
/// # Errors
/// When the directory cannot be read, or nothing can be sent.
pub fn send_so_far(directory: &Path) -> anyhow::Result<()> {
    send(&parcel::pack(parcel::UNFINISHED, directory)?).context(BACK)
}

/// Writes to the serial line as it is, and waits until the last byte is out.
fn send(bytes: &[u8]) -> anyhow::Result<()> {
    let mut line = OpenOptions::new().write(true).open(BACK)?;
    let mut settings = tcgetattr(&line)?;
    settings.make_raw();
    // An emulator may take as long over a byte as a line of this speed does.
    settings.set_speed(SPEED)?;
    tcsetattr(&line, OptionalActions::Now, &settings)?;
    line.write_all(bytes)?;
    Ok(tcdrain(&line)?)
}
