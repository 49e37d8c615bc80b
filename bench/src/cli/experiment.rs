//! The command of every experiment: from flags to a run directory and what it shows.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use host::kvm::Counter;

use super::exit::{Code, Usage};
use super::guest;
use super::options::Asked;
use super::report;
use crate::axes::rung::CallBy;
use crate::experiment::contract::{Experiment, widest};
use crate::lab::error::LabError;
use crate::lab::guest::Guest;
use crate::lab::inside;
use crate::lab::supply::Supply;
use crate::plan::keys::Keys;
use crate::plan::schedule::Slot;
use crate::plan::until::Until;
use crate::plan::{Plan, PlanError, bad, estimate};
use crate::report::Report;
use crate::report::sure::is_narrow;
use crate::run::executor::{KvmExecutor, run_all};
use crate::run::journal::{Journal, JournalError};
use crate::run::listener::{Listener, Tally};
use crate::run::progress::Progress;
use crate::run::sequential::{Goal, run_until};
use crate::run::signals;
use crate::run::slowdown::Slowdown;
use crate::site::calls::Calls;
use crate::site::environment::Environment;
use crate::site::sentinel::Sentinel;
use crate::trial::record::TrialRecord;
use crate::trial::spec::Spec;

pub(super) fn run(asked: &Asked, out: &mut dyn Write) -> anyhow::Result<Code> {
    let Asked { experiment, options } = asked;
    let plan = options.plan(*experiment, "default")?;
    let processors = processors();
    // Once before KVM is asked for anything; calling by port allows all that calling by hypercall does.
    let asked_for = experiment.resolve(plan.clone(), processors, &Calls::untried(CallBy::Port))?;
    let boots = guest::is_needed(*experiment, &asked_for);
    if boots {
        guest::check(&asked_for.choices)?;
    } else if options.console {
        return Err(
            Usage(format!("{} boots no Linux guest: leave out --console", experiment.command())).into()
        );
    }
    if options.dry_run {
        return dry_run(*experiment, plan, processors, out);
    }
    let directory = options.directory(&plan);
    Journal::check_writable(&directory)?;
    let stop = signals::stop_flag(format!(
        "ended at once, without a report; the trials that had ended are in {0}: pagehint report {0}",
        directory.display()
    ))?;
    if boots {
        host::linux::check()?;
    }
    let facts = host::probe::probe()?;
    if facts.counter == Counter::Instructions {
        experiment.can_be_counted()?;
        repeats(&plan)?;
    }
    let environment = Environment::here(&facts);
    let plan = experiment.resolve(plan, processors, &Calls::on(&facts))?;
    // Kept until the last of them has ended: its archive is a file of ours.
    let guest = (boots && options.guest.is_none()).then(|| made(&plan.choices, &stop)).transpose()?;
    let boots = options.guest.as_deref().map(guest::made).or_else(|| guest.as_ref().map(Guest::boots));
    let mut journal = Journal::create(&directory, &environment, &plan)?;

    let slots = experiment.schedule(&plan, environment.call());
    let slowdown = Slowdown::planted(facts.tsc_khz);
    let sentinel = (facts.counter == Counter::Time).then(Sentinel::new);
    let mut executor = KvmExecutor {
        facts: &facts,
        stop: Arc::clone(&stop),
        slowdown,
        sentinel,
        guest: boots.map(|boots| (boots, options.console)),
    };
    let first = if plan.choices.until.is_some() { plan.blocks() } else { u32::MAX };
    let progress = Progress::new(up_to(&slots, first), facts.counter);
    let mut progress = Heard { progress, sent_back: options.send_back.then(|| directory.clone()) };
    let (tally, kept) = match plan.choices.until {
        None => run_all(&slots, plan.time(), &mut executor, &stop, &mut journal, &mut progress),
        Some(until) => {
            let mut is_enough = |journal: &Journal| knows(*experiment, until, journal);
            let goal = Goal { first, within: plan.within().duration(), is_enough: &mut is_enough };
            run_until(&slots, goal, &mut executor, &stop, &mut journal, &mut progress)
        }
    };
    progress.progress.finish();
    if tally.measured + tally.failed == 0 {
        drop(journal);
        anyhow::bail!("stopped before the first trial had ended; nothing is in {}", directory.display());
    }
    if options.no_report {
        let code = unreported(&directory, tally, out)?;
        return kept.map(|()| code).map_err(Into::into);
    }
    finish(&journal, tally, kept, out)
}

/// Who hears of trials: whoever waits, and in the lab whoever keeps what there is should the lab be ended.
struct Heard {
    progress: Progress,
    /// The directory to send back after each.
    sent_back: Option<PathBuf>,
}

impl Listener for Heard {
    fn ended(&mut self, trial: &TrialRecord, left: usize) {
        self.progress.ended(trial, left);
        if let Some(directory) = &self.sent_back
            && let Err(error) = inside::send_so_far(directory)
        {
            // All of it is sent once more in the end.
            let _ = writeln!(std::io::stderr(), "pagehint: {error:#}");
        }
    }
}

/// What the guests of a plan boot.
fn made(keys: &Keys, stop: &AtomicBool) -> Result<Guest, LabError> {
    // Standard error may be closed; that is no reason not to go on.
    let mut say = |line: &str| drop(writeln!(std::io::stderr(), "linux: {line}"));
    guest::of(keys, &mut Supply { allowed: true, stop, say: &mut say })
}

/// Counts repeat: more blocks make no interval of theirs narrower.
fn repeats(plan: &Plan) -> Result<(), PlanError> {
    match plan.choices.until {
        Some(until) => {
            bad("until", until, "this machine counts instructions, which repeat: give --blocks instead")
        }
        None => Ok(()),
    }
}

/// Whether what has ended is enough.
fn knows(experiment: &dyn Experiment, until: Until, journal: &Journal) -> bool {
    let Until::Narrow(share) = until else { return false };
    // What cannot be read back is said of the whole run, at its end.
    let reach = journal.archive().ok().and_then(|archive| widest(&experiment.found(&archive).0.cruxes()));
    is_narrow(reach, share)
}

/// Trials in the first blocks.
fn up_to(slots: &[Slot<Spec>], blocks: u32) -> usize {
    slots.partition_point(|slot| slot.block < blocks)
}

/// Processors this process may use.
fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

/// Leaves what was measured to `pagehint report`.
fn unreported(directory: &Path, tally: Tally, out: &mut dyn Write) -> anyhow::Result<Code> {
    let Tally { measured, failed, missing } = tally;
    writeln!(out, "{}: {measured} trials measured, {failed} failed, {missing} missing", directory.display())?;
    Ok(if failed + missing > 0 { Code::Error } else { Code::Fine })
}

/// Derives everything from what was measured, as `pagehint report` would from the directory, and prints it.
fn finish(
    journal: &Journal,
    tally: Tally,
    kept: Result<(), JournalError>,
    out: &mut dyn Write,
) -> anyhow::Result<Code> {
    let (directory, ended) = (journal.directory(), tally.measured + tally.failed);
    let report = Report::of_run(&journal.archive()?)?;
    if let Err(error) = kept {
        report::print(&report, out)?;
        // The first that cannot be written takes the directory with it.
        let there = if ended > 1 { "of its trials all but the last are" } else { "nothing is" };
        anyhow::bail!("{error}. What had ended is shown; {there} in {}", directory.display());
    }
    if let (0, Some(error)) = (tally.measured, report.shown.summary.failed.values().next()) {
        report.write(directory)?;
        anyhow::bail!("{error}");
    }
    report::show(&report, directory, out)?;
    if tally.missing > 0 {
        let plan = &report.shown.summary.plan;
        let left = match (plan.choices.until, plan.time()) {
            (Some(until), _) => format!("before {until} was reached"),
            (None, Some(time)) => format!("before its {} s were over", time.as_secs_f64()),
            (None, None) => format!("with {} trials to go", tally.missing),
        };
        anyhow::bail!("stopped by a signal {left}; the {ended} that ended are in {}", directory.display());
    }
    Ok(report::code(&report.shown.summary))
}

fn dry_run(
    experiment: &dyn Experiment,
    plan: Plan,
    processors: u32,
    out: &mut dyn Write,
) -> anyhow::Result<Code> {
    let facts = host::probe::probe();
    let calls = facts.as_ref().map_or(Calls::untried(CallBy::Hypercall), Calls::on);
    let plan = experiment.resolve(plan, processors, &calls)?;
    writeln!(out, "# plan\n{}", plan.to_toml())?;
    let mut slots = experiment.schedule(&plan, calls.by);
    if plan.choices.until.is_some() {
        slots.truncate(up_to(&slots, plan.blocks()));
    }
    let blocks = slots.last().map_or(0, |slot| slot.block + 1);
    let until = plan.choices.until.map_or_else(String::new, |until| {
        format!(" before the first look; on until {until}, within {}", plan.within())
    });
    writeln!(out, "# schedule: {} trials in {blocks} blocks{until}", slots.len())?;
    let width = slots.last().map_or(1, |slot| slot.trial.to_string().len());
    for slot in &slots {
        let cell = slot.cell.choices();
        writeln!(
            out,
            "{:>width$}  block {:<3} {} doorbell {} seed {}",
            slot.trial,
            slot.block,
            cell.tag(),
            cell.way().doorbell,
            slot.seed
        )?;
    }
    match &facts {
        Ok(facts) => {
            let estimate = estimate::duration(&slots, facts).map(|all| plan.time().unwrap_or(all));
            match estimate.as_ref().map(Duration::as_secs_f64) {
                Some(seconds) => writeln!(
                    out,
                    "# about {seconds:.0} s: an estimate, from the doorbells of this host and guesses"
                )?,
                None => writeln!(out, "# no estimate: this machine counts instructions and tells no time")?,
            }
            if let Some(note) = calls.by.note() {
                writeln!(out, "# note: {note}")?;
            }
        }
        Err(error) => writeln!(out, "# no estimate: {error}")?,
    }
    Ok(Code::Fine)
}
