//! `pagehint linux`, and the same in the lab.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use abi::axes::Axis;
use clap::Args;
use host::axes::Discard;
use host::linux::{LinuxError, Report};

use super::exit::{Code, Usage};
use crate::archive::file;
use crate::axes::named::Named;
use crate::experiment::linux::{self, FILE};
use crate::figure::time::Utc;
use crate::lab::build;
use crate::lab::error::LabError;
use crate::lab::guest::Guest;
use crate::lab::kernel::Choice;
use crate::lab::kernel::store::Store;
use crate::lab::places::{GUEST_INITRAMFS, GUEST_KERNEL, RUN};
use crate::lab::supply::Supply;
use crate::run::signals;
use crate::site::emulated::LabCpu;
use crate::trial::linux::{Choices, Line, Measured, Pages, Task};

/// The series that is booted if nothing else is said.
pub(super) const SERIES: &str = "6.1";

/// Flags of `linux`.
#[derive(Args, Clone)]
pub(super) struct LinuxOptions {
    /// The kernel of the guest: a series of Debian's (6.1, 6.12), a package, a .deb file, or any bzImage.
    #[arg(long, default_value = SERIES)]
    pub(super) kernel: String,
    /// What its process does.
    #[arg(long, value_delimiter = ',', default_value = "memhog")]
    task: Vec<Named<Task>>,
    /// How it reports; off is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_value = "off,virtio")]
    report: Vec<Named<Report>>,
    /// What is done with what is reported.
    #[arg(long, value_delimiter = ',', default_value = "none,dontneed")]
    discard: Vec<Named<Discard>>,
    /// What memory of the task is made of.
    #[arg(long, value_delimiter = ',', default_value = "small")]
    pages: Vec<Named<Pages>>,
    /// Memory that the task takes, in MiB; will-it-scale has 128.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1024))]
    mib: u32,
    /// Memory that is in use all the time and checked, in MiB.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    kept_mib: u32,
    /// How often page-fault maps and unmaps, and churn allocates or frees.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Memory of the guest in MiB.
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u32).range(64..=2048))]
    memory: u32,
    /// How often every guest is run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    blocks: u32,
    /// Seed of what is random in the tasks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a guest may take, from its first instruction to its last.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
    /// Show what the guest says on its console.
    #[arg(long)]
    console: bool,
    /// Where the run directory goes; it must not hold anything. [default: results/runs/TIME-linux]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The archive that the guest unpacks, if it has been made; else it is made.
    #[arg(long, hide = true)]
    initramfs: Option<PathBuf>,
}

impl LinuxOptions {
    /// Every cell, in the order in which it is run.
    fn cells(&self) -> Result<Vec<Choices>, Usage> {
        if self.mib + self.kept_mib + ROOM_MIB > self.memory {
            let sentence = format!(
                "a guest of {} MiB has no room for --mib {}, --kept-mib {} and its kernel ({ROOM_MIB} MiB): use a larger --memory",
                self.memory, self.mib, self.kept_mib
            );
            return Err(Usage(sentence));
        }
        // What has been made already has the module, if it was to be had.
        let is_file = self.initramfs.is_none() && self.kernel.parse::<Choice>().is_err();
        if is_file && self.report.iter().any(|report| report.0.calls()) {
            let sentence = format!(
                "the module that reports by hypercall is built for Debian's kernels: {} is a file, use --report off,virtio, or name a series or package",
                self.kernel
            );
            return Err(Usage(sentence));
        }
        for discard in &self.discard {
            if discard.0 == Discard::Deferred {
                return Err(Usage(
                    "--discard deferred waits until the host wants memory, and here it never does".to_owned(),
                ));
            }
            Report::Virtio.way(discard.0).validate().map_err(|error| Usage(error.to_string()))?;
        }
        let mut cells = Vec::new();
        for &task in &self.task {
            for &pages in &self.pages {
                for &report in &self.report {
                    // Where nothing is reported nothing is discarded.
                    let discards =
                        if report.0 == Report::Off { &[Named(Discard::None)][..] } else { &self.discard };
                    cells.extend(discards.iter().map(|&discard| Choices {
                        task,
                        pages,
                        report,
                        discard,
                        mib: self.mib,
                        kept_mib: self.kept_mib,
                        rounds: self.rounds,
                        memory_mib: self.memory,
                    }));
                }
            }
        }
        Ok(cells)
    }

    /// The words that say all of it again, to be said in the lab.
    fn words(&self) -> Vec<OsString> {
        fn list<A: Axis>(values: &[Named<A>]) -> String {
            values.iter().map(|value| value.0.name()).collect::<Vec<_>>().join(",")
        }
        let mut words: Vec<String> = vec!["linux".into()];
        for (flag, value) in [
            ("--kernel", GUEST_KERNEL.to_owned()),
            ("--initramfs", GUEST_INITRAMFS.to_owned()),
            ("--out", RUN.to_owned()),
            ("--task", list(&self.task)),
            ("--report", list(&self.report)),
            ("--discard", list(&self.discard)),
            ("--pages", list(&self.pages)),
            ("--mib", self.mib.to_string()),
            ("--kept-mib", self.kept_mib.to_string()),
            ("--rounds", self.rounds.to_string()),
            ("--memory", self.memory.to_string()),
            ("--blocks", self.blocks.to_string()),
            ("--seed", self.seed.to_string()),
            ("--patience", self.patience.to_string()),
        ] {
            words.extend([flag.to_owned(), value]);
        }
        words.extend(self.console.then(|| "--console".to_owned()));
        words.into_iter().map(OsString::from).collect()
    }

    /// What its guests boot, fetched and built if it has to be.
    pub(super) fn guest(&self, supply: &mut Supply<'_>) -> Result<Guest, LabError> {
        let Ok(choice) = self.kernel.parse::<Choice>() else {
            let file = PathBuf::from(&self.kernel);
            let unknown = || LabError::NoSuchKernel { choice: self.kernel.clone() };
            // Its drivers must be built in: whose modules fit is not known.
            return if file.is_file() { Guest::new(file, &[("virtio", &[])]) } else { Err(unknown()) };
        };
        let store = Store::of_user(LabCpu::Amd);
        let kernel = store.kernel(&choice, supply)?;
        let calls = self.report.iter().any(|report| report.0.calls());
        let reporter = calls.then(|| build::module(&build::GUEST, &kernel, &store, supply)).transpose()?;
        Guest::of(&kernel, reporter)
    }

    fn directory(&self) -> PathBuf {
        let now = Utc::from(SystemTime::now()).stamp();
        self.out.clone().unwrap_or_else(|| PathBuf::from(format!("results/runs/{now}-linux")))
    }
}

/// What a kernel and this process need beside the task, in MiB.
const ROOM_MIB: u32 = 96;

/// Runs every cell on this machine's KVM.
pub(super) fn run(options: &LinuxOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let cells = options.cells()?;
    let directory = options.directory();
    let stop = signals::stop_flag(format!("ended at once; what had ended is in {}", directory.display()))?;
    host::linux::check()?;
    let guest;
    let (kernel, initramfs) = match &options.initramfs {
        Some(initramfs) => (Path::new(&options.kernel), initramfs.as_path()),
        None => {
            let mut say = |line: &str| drop(writeln!(std::io::stderr(), "linux: {line}"));
            let mut supply = Supply { allowed: true, stop: &stop, say: &mut say };
            guest = options.guest(&mut supply)?;
            (guest.kernel.as_path(), guest.initramfs.path())
        }
    };
    prepare(&directory)?;
    let mut lines = Vec::new();
    let trials = (0..options.blocks).flat_map(|_| &cells);
    for (trial, choices) in (0..).zip(trials) {
        let Some(line) = one(trial, choices, options, kernel, initramfs, &stop, out)? else { break };
        let said = line.error.as_deref().map_or_else(|| "measured".to_owned(), str::to_owned);
        writeln!(out, "{}: {said}", linux::name(choices))?;
        lines.push(line);
        file::write(&directory.join(FILE), linux::to_text(&lines).as_bytes())?;
    }
    anyhow::ensure!(
        !lines.is_empty(),
        "stopped before the first trial had ended; nothing is in {}",
        directory.display()
    );
    // In the lab, which takes it back and shows it outside.
    if options.initramfs.is_some() { Ok(Code::Fine) } else { finish(&lines, &directory, out) }
}

/// One trial; `None` if it was stopped. What cannot be run here at all is no trial.
fn one(
    trial: u32,
    choices: &Choices,
    options: &LinuxOptions,
    kernel: &Path,
    initramfs: &Path,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<Option<Line>> {
    let spec = choices.spec(kernel, initramfs, options.seed, Duration::from_secs(options.patience));
    let mut hear = |line: &str| {
        if options.console {
            // Should nobody hear it, the trial is run all the same.
            let _ = writeln!(out, "| {line}");
        }
    };
    let measured = match host::linux::run(&spec, stop, &mut hear) {
        Ok(outcome) => Measured::of(&outcome),
        // Relaxed: the flag carries nothing with it.
        Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
        // Of a kernel that cannot be loaded every trial would say the same.
        Err(error @ LinuxError::Load(_)) => return Err(error.into()),
        Err(error) if error.is_unavailable() => return Err(error.into()),
        Err(error) => Err(error.to_string()),
    };
    let (measured, error) = match measured {
        Ok(measured) => (Some(measured), None),
        Err(error) => (None, Some(error)),
    };
    Ok(Some(Line { trial, seed: options.seed, choices: *choices, measured, error }))
}

/// What is to be done in the lab.
pub(super) fn errand(options: &LinuxOptions) -> Result<Vec<OsString>, Usage> {
    options.cells()?;
    Ok(options.words())
}

/// Keeps what came back from the lab, and shows it.
pub(super) fn brought_back(options: &LinuxOptions, text: &[u8], out: &mut dyn Write) -> anyhow::Result<Code> {
    let directory = options.directory();
    let lines = linux::from_text(&String::from_utf8_lossy(text))?;
    prepare(&directory)?;
    file::write(&directory.join(FILE), text)?;
    finish(&lines, &directory, out)
}

fn prepare(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let holds = fs::read_dir(directory)?.next().is_some();
    anyhow::ensure!(!holds, "{} holds something already: give another --out", directory.display());
    Ok(())
}

fn finish(lines: &[Line], directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    let found = linux::found(lines);
    file::write(&directory.join("report.md"), found.to_markdown().as_bytes())?;
    write!(out, "{}", found.to_text())?;
    writeln!(out, "{}", directory.display())?;
    Ok(if found.holds() { Code::Fine } else { Code::Error })
}
