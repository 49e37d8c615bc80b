//! `pagehint lab`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use host::axes::Way;

use super::exit::{Code, Usage};
use super::gate::Gate;
use super::guest;
use super::options::RunOptions;
use super::report;
use crate::archive::{Archive, file};
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::experiment;
use crate::experiment::contract::Experiment;
use crate::experiment::ladder::gate;
use crate::lab::build;
use crate::lab::emulator::MEMORY;
use crate::lab::errand::Errand;
use crate::lab::error::LabError;
use crate::lab::kernel::store::Store;
use crate::lab::kernel::{Choice, Kernel};
use crate::lab::packages;
use crate::lab::parcel::Returned;
use crate::lab::places::GUEST;
use crate::lab::processor;
use crate::lab::run::Lab;
use crate::lab::supply::Supply;
use crate::plan::PlanError;
use crate::report::Report;
use crate::report::summary::Summary;
use crate::run::journal::{Journal, JournalError, Made};
use crate::run::progress::Follower;
use crate::run::signals;
use crate::site::calls::Calls;
use crate::site::emulated::{Described, LabClock, LabCpu};

/// The series whose kernel is booted if nothing else is said.
const SERIES: &str = "6.1";

/// Flags of `lab`.
#[derive(Args)]
pub(super) struct LabOptions {
    /// What to find out: an experiment, by its command. [default: compare]
    experiment: Option<String>,
    /// Whose processor: amd is emulated by QEMU, intel by Bochs, which is slower and counts instructions only.
    #[arg(long, default_value_t = Named(LabCpu::Amd))]
    cpu: Named<LabCpu>,
    /// What time is in the lab: instructions, which repeat exactly, or the clock on the wall, which is quicker.
    #[arg(long, default_value_t = Named(LabClock::Instructions))]
    clock: Named<LabClock>,
    /// Debian's kernel to boot: a series (6.1, 6.12), a package, or a .deb file. [default: that of --against, else 6.1]
    #[arg(long)]
    kernel: Option<Choice>,
    /// How long the lab may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    deadline: u64,
    /// Install and download nothing.
    #[arg(long)]
    offline: bool,
    /// A module of ours to load into the lab's kernel, for a program; experiments have those loaded that they need.
    #[arg(long, value_name = "NAME", value_parser = build::HOST.map(|source| source.name))]
    kernel_module: Vec<String>,
    /// A run of the ladder to compare with: fail if any rung has grown.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    run: RunOptions,
    /// Run this program in the lab instead, with its arguments; its exit code is ours.
    #[arg(last = true, value_name = "PROGRAM", conflicts_with_all = ["experiment", "against"])]
    program: Vec<OsString>,
}

impl LabOptions {
    /// The program to run instead of an experiment, and its arguments.
    pub(super) fn program(&self) -> Option<(&Path, &[OsString])> {
        self.program.split_first().map(|(program, arguments)| (Path::new(program), arguments))
    }

    /// Whether the emulator of the processor has the clock.
    fn clock_is_there(&self) -> anyhow::Result<()> {
        let (cpu, clock) = (self.cpu.0, self.clock);
        if cpu.has(clock.0) {
            return Ok(());
        }
        let sentence = format!(
            "{}, which emulates {}, has no clock {clock}: leave out --clock",
            cpu.emulator(),
            self.cpu
        );
        Err(Usage(sentence).into())
    }

    fn experiment(&self) -> Result<&'static dyn Experiment, PlanError> {
        let name = self.experiment.as_deref().unwrap_or("compare");
        let by_command = experiment::ALL.into_iter().find(|experiment| experiment.command() == name);
        by_command.map_or_else(|| experiment::named(name), Ok)
    }
}

/// Runs a program in the lab as if it had been run here.
pub(super) fn run_program(
    options: &LabOptions,
    program: &Path,
    arguments: &[OsString],
    out: &mut dyn Write,
) -> anyhow::Result<Code> {
    options.clock_is_there()?;
    if options.run != RunOptions::default() {
        return Err(Usage("flags of an experiment mean nothing to a program: give either".to_owned()).into());
    }
    let stop = stop_flag()?;
    let program = &found(program)?;
    let lab = lab(options, None, &options.kernel_module, &stop)?;
    let errand = Errand::program(lab.module_names(), arguments);
    let mut closed = Ok(());
    let mut hear = |line: &str| {
        if closed.is_ok() {
            closed = writeln!(out, "{line}").and_then(|()| out.flush());
            // Nobody hears the rest: it is not waited for. Relaxed: the flag carries nothing with it.
            stop.fetch_or(closed.is_err(), Ordering::Relaxed);
        }
    };
    let returned = lab.run(&errand, Some(program), &stop, &mut hear);
    match closed {
        // As it would have ended here, by the signal that ends writers nobody hears.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Code::by(libc::SIGPIPE)),
        closed => closed?,
    }
    let returned = returned?;
    Ok(Code::Program(u8::try_from(returned.exit).unwrap_or(u8::MAX)))
}

fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    signals::stop_flag("ended at once; the lab was ended and nothing of it is left".to_owned())
}

/// A program by its path or, as a shell has it, by its name.
fn found(program: &Path) -> Result<PathBuf, LabError> {
    let is_name = !program.as_os_str().as_bytes().contains(&b'/');
    if program.is_file() {
        Ok(program.to_owned())
    } else {
        is_name.then(|| packages::find(program)).flatten().ok_or_else(|| LabError::Program {
            program: program.to_owned(),
            reason: "there is no such file; give its path, or a name that is on the PATH".to_owned(),
        })
    }
}

/// Runs an experiment in the lab.
pub(super) fn run_plan(options: &LabOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    options.clock_is_there()?;
    let experiment = options.experiment()?;
    // The machine inside resolves it; here it is only checked, before anything is fetched.
    let plan = options.run.plan(experiment, if experiment.has_plan("lab") { "lab" } else { "default" })?;
    let resolved = experiment.resolve(plan.clone(), 1, &Calls::untried(CallBy::Hypercall))?;
    if options.clock.0 == LabClock::Instructions {
        experiment.can_be_counted()?;
    }
    if options.run.dry_run || options.run.no_report {
        return Err(
            Usage("--dry-run and --no-report are for the machine a run takes place on".to_owned()).into()
        );
    }
    let boots = guest::is_needed(experiment, &resolved);
    if boots {
        guest::check(&resolved.choices)?;
    } else if options.run.console {
        return Err(
            Usage(format!("{} boots no Linux guest: leave out --console", experiment.command())).into()
        );
    }
    let directory = options.run.directory(&plan);
    Journal::check_writable(&directory)?;
    let reference = options.against.as_deref().map(Archive::open).transpose()?;
    if let Some(reference) = &reference {
        gate::comparable(reference, &plan, options.clock.0 == LabClock::Instructions)?;
        gate::same_processor(reference, options.cpu.0.flavour())?;
    }
    let stop = stop_flag()?;
    let mut modules = options.kernel_module.clone();
    let cells = experiment.cells(&resolved.choices, CallBy::Hypercall);
    modules
        .extend(cells.iter().filter_map(|cell| Way::from(*cell.choices().way()).module().map(str::to_owned)));
    let mut say = |line: &str| drop(writeln!(io::stderr(), "lab: {line}"));
    let mut supply = Supply { allowed: !options.offline, stop: &stop, say: &mut say };
    let guest = boots.then(|| guest::of(&resolved.choices, &mut supply)).transpose()?;
    let lab = Lab { guest, ..lab(options, reference.as_ref(), &modules, &stop)? };
    let (began, clock) = (SystemTime::now(), Instant::now());
    let mut follower = Follower::new();
    let errand = Errand::plan(lab.module_names(), experiment.command(), plan.to_toml());
    let errand = if boots { errand.with(&["--guest", GUEST, "--send-back"]) } else { errand };
    let errand = if options.run.console { errand.with(&["--console"]) } else { errand };
    let returned = lab.run(&errand, None, &stop, &mut |line| follower.hear(line))?;
    drop(follower);
    let memory = if experiment.looks_at("arena") { "--arena" } else { "--memory" };
    let archive = brought_back(&returned, &directory, began, lab.described(clock.elapsed()), memory)?;
    let report = Report::of_run(&archive)?;
    // It is printed whatever becomes of the files.
    let printed = report::print(&report, out);
    keep(&returned, &archive, &directory)?;
    report::write(&report, &directory, out)?;
    printed?;
    if returned.exit != 0 {
        writeln!(
            out,
            "the run in the lab ended with exit code {}; what had ended by then is kept",
            returned.exit
        )?;
    }
    if !is_sound(returned.exit, &report.shown.summary) {
        return Ok(Code::Error);
    }
    match (&reference, &options.against) {
        (Some(reference), Some(old)) => {
            let gate = Gate::of(reference, &archive, out)?;
            gate.advise(old, &directory, out)?;
            Ok(gate.code())
        }
        _ => Ok(report::code(&report.shown.summary)),
    }
}

/// Whether a run came to its own end, and everything that must hold does. One that was cut short has only checks that
/// hold, as far as it got.
fn is_sound(exit: i32, summary: &Summary) -> bool {
    exit == 0 && !summary.failed()
}

/// Everything it takes, with these modules of ours; fetched, or built, if it has to be.
fn lab(
    options: &LabOptions,
    reference: Option<&Archive>,
    modules: &[String],
    stop: &AtomicBool,
) -> Result<Lab, LabError> {
    // Standard error may be closed; that is no reason not to go on.
    let mut say = |line: &str| drop(writeln!(io::stderr(), "lab: {line}"));
    let mut supply = Supply { allowed: !options.offline, stop, say: &mut say };
    let emulator = processor::emulator(options.cpu.0, &mut supply)?;
    let store = Store::of_user(options.cpu.0);
    let mut kernel = kernel(options, reference, &store, &mut supply)?;
    for source in build::HOST.iter().filter(|source| modules.iter().any(|name| name == source.name)) {
        let file = build::module(source, &kernel, &store, &mut supply)?;
        if source.needs_vhost {
            kernel.modules.extend(kernel.vhost.clone());
        }
        kernel.modules.push((source.name.to_owned(), file));
    }
    say(&format!("{}, {} {}, clock {}", emulator.version(), kernel.package, kernel.version, options.clock));
    Ok(Lab {
        kernel,
        emulator,
        guest: None,
        clock: options.clock.0,
        deadline: Duration::from_secs(options.deadline),
    })
}

/// The kernel that was asked for; else the reference's, because a path through another has another length; else the
/// newest of the usual series.
fn kernel(
    options: &LabOptions,
    reference: Option<&Archive>,
    store: &Store,
    supply: &mut Supply<'_>,
) -> Result<Kernel, LabError> {
    if let Some(choice) = &options.kernel {
        return store.kernel(choice, supply);
    }
    let series = Choice::Series(SERIES.to_owned());
    let Some(lab) = reference.and_then(|reference| reference.environment.lab.as_ref()) else {
        return store.kernel(&series, supply);
    };
    match store.kernel(&Choice::Package(lab.kernel_package.clone()), supply) {
        Err(error) if !matches!(error, LabError::Stopped) => {
            let sentence =
                format!("the reference's kernel cannot be had ({error}); taking the newest {SERIES}");
            (supply.say)(&sentence);
            store.kernel(&series, supply)
        }
        had => had,
    }
}

/// The run that came back, with what only this side knows of where it took place.
fn brought_back(
    returned: &Returned,
    directory: &Path,
    began: SystemTime,
    lab: Described,
    memory: &str,
) -> anyhow::Result<Archive> {
    let exit = returned.exit;
    anyhow::ensure!(
        returned.files.get(file::TRIALS).is_some_and(|trials| !trials.is_empty()),
        "the run in the lab ended with exit code {exit} before anything was measured; what it said is above. 137 is the kernel's for want of memory: the machine has {MEMORY} MiB, use a smaller {memory}"
    );
    let file = |name| returned.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
    let Archive { environment, plan, trials, merged, remarks } = Archive::read(directory, file)?;
    Ok(Archive { environment: environment.brought_back(began, lab), plan, trials, merged, remarks })
}

/// Writes it into the run directory.
fn keep(returned: &Returned, archive: &Archive, directory: &Path) -> Result<(), JournalError> {
    let mut made = Made::directory(directory)?;
    for (name, bytes) in &returned.files {
        if name == file::ENVIRONMENT {
            made.file(directory.join(name), archive.environment.to_json().as_bytes())?;
        } else {
            made.file(directory.join(name), bytes)?;
        }
    }
    made.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::check::Standing;
    use crate::report::summary::Shown;
    use crate::testing::timed::counted;

    #[test]
    fn a_run_that_was_cut_short_is_not_sound() {
        let mut summary = Shown::of(&counted(10_000)).unwrap().summary;
        assert!(!is_sound(0, &summary), "its only trial is not one of its plan");
        summary.checks.iter_mut().for_each(|check| check.standing = Standing::Holds);
        assert!(is_sound(0, &summary) && !is_sound(137, &summary) && !is_sound(1, &summary));
        let mut broken = summary;
        broken.checks[0].standing = Standing::Fails;
        assert!(!is_sound(0, &broken));
    }

    #[test]
    fn a_run_that_measured_nothing_leaves_no_directory() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        let lab = Described {
            clock: Named(LabClock::Instructions),
            emulator: String::new(),
            processor: String::new(),
            kernel_parameters: String::new(),
            kernel_package: String::new(),
            kernel_version: String::new(),
            took_s: 0.0,
        };
        for files in [[].into(), [(file::TRIALS.to_owned(), Vec::new())].into()] {
            let returned = Returned { exit: 137, files };
            let began = SystemTime::UNIX_EPOCH;
            let error = brought_back(&returned, &directory, began, lab.clone(), "--memory").err().unwrap();
            assert!(error.to_string().contains("exit code 137"), "{error}");
            assert!(!directory.exists());
        }
    }
}
