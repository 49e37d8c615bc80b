//! `pagehint lab`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;

use super::exit::Code;
use super::options::LabOptions;
use crate::calls::Calls;
use crate::journal::Journal;
use crate::lab::emulator::Emulator;
use crate::lab::errand::Errand;
use crate::lab::kernel::{Choice, Store};
use crate::lab::packages::{self, Fetching};
use crate::lab::parcel::Returned;
use crate::lab::{Lab, LabError};
use crate::ladder::CallBy;
use crate::progress::Follower;
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
    let lab = lab(options)?;
    let errand = Errand::program(lab.module_names(), arguments);
    let mut closed = Ok(());
    let mut hear = |line: &str| {
        if closed.is_ok() {
            closed = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    };
    let returned = lab.run(&errand, Some(program), &stop, &mut hear)?;
    closed?;
    Ok(Code::Program(u8::try_from(returned.exit).unwrap_or(u8::MAX)))
}

fn run_plan(options: &LabOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    // The machine inside resolves it; here it is only checked, before anything is fetched.
    let plan = options.run.plan("lab")?;
    plan.clone().on(&Calls::untried(CallBy::Hypercall))?;
    let directory = options.run.directory(&plan);
    Journal::check_empty(&directory)?;
    let stop = signals::stop_flag()?;
    let lab = lab(options)?;
    let returned = compare(&lab, plan.to_toml(), &stop)?;
    bring_back(&returned, &directory)?;
    let summary = report::rebuild(&directory).context("the run in the lab came to nothing")?;
    terminal::show(out, &summary)?;
    writeln!(out, "\n{}: report.md, summary.json, percentiles.csv, histograms.hlog", directory.display())?;
    if report::failed(&summary) {
        return Ok(Code::Error);
    }
    match &options.against {
        Some(reference) => against(reference, &directory, &summary, out),
        None => Ok(Code::Fine),
    }
}

/// The gate on path length.
fn against(reference: &Path, directory: &Path, now: &Summary, out: &mut dyn Write) -> anyhow::Result<Code> {
    let archive = Archive::open(reference)?;
    let changes = growth::changes(&Summary::of(&archive), now)?;
    terminal::show_growth(out, &changes)?;
    let here = environment(directory)?;
    for (what, then, now) in archive.environment.built_with().differences(&here.built_with()) {
        terminal::bullet(out, "note:", &format!("{what} was {then} in the reference and is {now}"))?;
    }
    let grown = changes.iter().filter(|change| change.has_grown()).count();
    let shrunk = changes.iter().filter(|change| change.has_shrunk()).count();
    let limit = percent(TOLERANCE);
    let (new, old) = (directory.display(), reference.display());
    let accept = format!("`rm -r {old} && cp -R {new} {old}` (make lab-accept), with the reason in the commit");
    if grown > 0 {
        writeln!(out, "\n{grown} of {} paths grew by more than {limit}. If that is meant to be: {accept}.", changes.len())?;
        return Ok(Code::Grown);
    }
    writeln!(out, "\nno path grew by more than {limit}")?;
    if shrunk > 0 {
        writeln!(out, "{shrunk} shrank by more than that; to keep it so: {accept}.")?;
    }
    Ok(Code::Fine)
}

fn compare(lab: &Lab, plan: String, stop: &AtomicBool) -> anyhow::Result<Returned> {
    let mut follower = Follower::new();
    let errand = Errand::compare(lab.module_names(), plan);
    let returned = lab.run(&errand, None, stop, &mut |line| follower.hear(line));
    follower.finish();
    Ok(returned?)
}

/// Everything it takes, fetched if it has to be.
fn lab(options: &LabOptions) -> Result<Lab, LabError> {
    let fetching = if options.offline { Fetching::Forbidden } else { Fetching::Allowed };
    // Standard error may be closed; that is no reason not to go on.
    let mut say = |line: &str| drop(writeln!(std::io::stderr(), "lab: {line}"));
    let emulator = Emulator::new(packages::emulator(fetching, &mut say)?)?;
    let choice = options.kernel.clone().unwrap_or_else(|| Choice::Series(SERIES.to_owned()));
    let kernel = Store::of_user().kernel(&choice, fetching, &mut say)?;
    say(&format!("{}, {} {}, clock {}", emulator.version, kernel.package, kernel.version, options.clock));
    Ok(Lab { kernel, emulator, clock: options.clock.0, deadline: Duration::from_secs(options.deadline) })
}

fn bring_back(returned: &Returned, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for (name, bytes) in &returned.files {
        let path: PathBuf = directory.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
