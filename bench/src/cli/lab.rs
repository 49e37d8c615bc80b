//! `pagehint lab`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::exit::Code;
use super::gate::Gate;
use super::options::LabOptions;
use crate::archive::Archive;
use crate::calls::Calls;
use crate::environment::Environment;
use crate::journal::{Journal, file};
use crate::lab::emulator::{Emulator, MEMORY};
use crate::lab::errand::Errand;
use crate::lab::kernel::{Choice, Kernel, Store};
use crate::lab::parcel::Returned;
use crate::lab::supply::Supply;
use crate::lab::{Described, Lab, LabError, packages};
use crate::ladder::CallBy;
use crate::progress::Follower;
use crate::summary::Summary;
use crate::{report, signals, terminal};

/// The series whose kernel is booted if nothing else is said.
const SERIES: &str = "6.1";

pub(super) fn run(options: &LabOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    match options.program.split_first() {
        Some((program, arguments)) => run_program(options, Path::new(program), arguments, out),
        None => run_plan(options, out),
    }
}

/// Runs a program in the lab as if it had been run here.
fn run_program(
    options: &LabOptions,
    program: &Path,
    arguments: &[String],
    out: &mut dyn Write,
) -> anyhow::Result<Code> {
    let stop = signals::stop_flag()?;
    let program = &found(program)?;
    let lab = lab(options, None, &stop)?;
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
    closed?;
    let returned = returned?;
    Ok(Code::Program(u8::try_from(returned.exit).unwrap_or(u8::MAX)))
}

/// A program by its path or, as a shell has it, by its name.
fn found(program: &Path) -> Result<PathBuf, LabError> {
    let name = program.to_str().filter(|name| !name.contains('/'));
    if program.is_file() {
        Ok(program.to_owned())
    } else {
        name.and_then(packages::find).ok_or_else(|| LabError::Program {
            program: program.to_owned(),
            reason: "there is no such file; give its path, or a name that is on the PATH".to_owned(),
        })
    }
}

fn run_plan(options: &LabOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    // The machine inside resolves it; here it is only checked, before anything is fetched.
    let plan = options.run.plan("lab")?;
    plan.clone().on(&Calls::untried(CallBy::Hypercall))?;
    let directory = options.run.directory(&plan);
    Journal::check_writable(&directory)?;
    let reference = options.against.as_deref().map(Archive::open).transpose()?;
    let stop = signals::stop_flag()?;
    let lab = lab(options, reference.as_ref(), &stop)?;
    let (began, clock) = (SystemTime::now(), Instant::now());
    let returned = compare(&lab, plan.to_toml(), &stop)?;
    let here = bring_back(&returned, &directory, began, lab.described(clock.elapsed()))?;
    let summary = report::rebuild(&directory)?;
    terminal::show(out, &summary)?;
    writeln!(out, "\n{}: report.md, summary.json, percentiles.csv, histograms.hlog", directory.display())?;
    if returned.exit != 0 {
        writeln!(
            out,
            "the run in the lab ended with exit code {}; what had ended by then is kept",
            returned.exit
        )?;
    }
    if !is_sound(returned.exit, &summary) {
        return Ok(Code::Error);
    }
    match (&reference, &options.against) {
        (Some(reference), Some(old)) => {
            let gate = Gate::of(reference, &summary, &here, out)?;
            gate.advise(old, &directory, out)?;
            Ok(gate.code())
        }
        _ => Ok(Code::Fine),
    }
}

/// Whether a run came to its own end, and everything that must hold does. One that was cut short has only checks that
/// hold, as far as it got.
fn is_sound(exit: i32, summary: &Summary) -> bool {
    exit == 0 && !report::failed(summary)
}

fn compare(lab: &Lab, plan: String, stop: &AtomicBool) -> anyhow::Result<Returned> {
    let mut follower = Follower::new();
    let errand = Errand::compare(lab.module_names(), plan);
    Ok(lab.run(&errand, None, stop, &mut |line| follower.hear(line))?)
}

/// Everything it takes, fetched if it has to be.
fn lab(options: &LabOptions, reference: Option<&Archive>, stop: &AtomicBool) -> Result<Lab, LabError> {
    // Standard error may be closed; that is no reason not to go on.
    let mut say = |line: &str| drop(writeln!(std::io::stderr(), "lab: {line}"));
    let mut supply = Supply { allowed: !options.offline, stop, say: &mut say };
    let emulator = Emulator::new(packages::emulator(&mut supply)?)?;
    let kernel = kernel(options, reference, &mut supply)?;
    say(&format!("{}, {} {}, clock {}", emulator.version, kernel.package, kernel.version, options.clock));
    Ok(Lab { kernel, emulator, clock: options.clock.0, deadline: Duration::from_secs(options.deadline) })
}

/// The kernel that was asked for; else the reference's, because a path through another has another length; else the
/// newest of the usual series.
fn kernel(
    options: &LabOptions,
    reference: Option<&Archive>,
    supply: &mut Supply<'_>,
) -> Result<Kernel, LabError> {
    let store = Store::of_user();
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

/// Writes what came back into the run directory, and completes what it says of where the run took place.
fn bring_back(
    returned: &Returned,
    directory: &Path,
    began: SystemTime,
    lab: Described,
) -> anyhow::Result<Environment> {
    let exit = returned.exit;
    anyhow::ensure!(
        returned.files.get(file::TRIALS).is_some_and(|trials| !trials.is_empty()),
        "the run in the lab ended with exit code {exit} before anything was measured; what it said is above. 137 is the kernel's for want of memory: the machine has {MEMORY} MiB, use a smaller --arena"
    );
    let failed = |path: &Path| LabError::file(format!("{} cannot be written", path.display()));
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for (name, bytes) in &returned.files {
        let path = directory.join(name);
        fs::write(&path, bytes).map_err(failed(&path))?;
    }
    let environment = Archive::environment(directory)?.brought_back(began, lab);
    let path = directory.join(file::ENVIRONMENT);
    fs::write(&path, environment.to_json()).map_err(failed(&path))?;
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Named;
    use crate::lab::LabClock;
    use crate::testing;

    #[test]
    fn a_run_that_was_cut_short_is_not_sound() {
        let summary = Summary::of(&testing::counted(10_000));
        assert!(is_sound(0, &summary) && !is_sound(137, &summary) && !is_sound(1, &summary));
        let mut broken = summary;
        broken.checks[0].standing = crate::checks::Standing::Fails;
        assert!(!is_sound(0, &broken));
    }

    #[test]
    fn a_run_that_measured_nothing_leaves_no_directory() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        let lab = Described {
            clock: Named(LabClock::Instructions),
            emulator: String::new(),
            kernel_package: String::new(),
            kernel_version: String::new(),
            took_s: 0.0,
        };
        for files in [[].into(), [(file::TRIALS.to_owned(), Vec::new())].into()] {
            let returned = Returned { exit: 137, files };
            let error = bring_back(&returned, &directory, SystemTime::UNIX_EPOCH, lab.clone()).unwrap_err();
            assert!(error.to_string().contains("exit code 137"), "{error}");
            assert!(!directory.exists());
        }
    }
}
