//! `pagehint compare`.

use std::io::Write;
use std::sync::Arc;

use super::exit::Code;
use super::options::CompareOptions;
use crate::calls::Calls;
use crate::environment::Environment;
use crate::executor::{KvmExecutor, Tally, run_all};
use crate::journal::Journal;
use crate::ladder::CallBy;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::schedule::schedule;
use crate::{estimate, report, signals, terminal};

pub(super) fn run(options: &CompareOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let plan = options.plan()?;
    // Once before KVM is asked for anything; calling by port allows all that calling by hypercall does.
    plan.clone().on(&Calls::untried(CallBy::Port))?;
    if options.dry_run {
        return dry_run(plan, out);
    }
    let directory = options.run.directory(&plan);
    Journal::check_empty(&directory)?;
    let stop = signals::stop_flag()?;
    let facts = host::probe::probe()?;
    let environment = Environment::here(&facts);
    let plan = plan.on(&Calls::on(&facts))?;
    let mut journal = Journal::create(&directory, &environment, Some(plan.to_toml()))?;

    let slots = schedule(&plan);
    let mut executor = KvmExecutor { facts: &facts, stop: Arc::clone(&stop) };
    let mut progress = Progress::new(slots.len(), facts.counter);
    let tally = run_all(&plan, environment.call(), &slots, &mut executor, &stop, &mut journal, &mut progress);
    progress.finish();
    if options.no_report {
        return unreported(&journal, tally?, out);
    }
    finish(&journal, tally?, out)
}

/// Leaves what was measured to `pagehint report`.
fn unreported(journal: &Journal, tally: Tally, out: &mut dyn Write) -> anyhow::Result<Code> {
    let Tally { measured, failed, missing } = tally;
    writeln!(
        out,
        "{}: {measured} trials measured, {failed} failed, {missing} missing",
        journal.directory().display()
    )?;
    Ok(if failed + missing > 0 { Code::Error } else { Code::Fine })
}

/// Derives everything from the run directory, as `pagehint report` would, and prints it.
fn finish(journal: &Journal, tally: Tally, out: &mut dyn Write) -> anyhow::Result<Code> {
    let directory = journal.directory();
    if tally.measured + tally.failed == 0 {
        anyhow::bail!("stopped before the first trial had ended; nothing is in {}", directory.display());
    }
    let summary = report::rebuild(directory)?;
    terminal::show(out, &summary)?;
    writeln!(out, "\n{}: report.md, summary.json, percentiles.csv, histograms.hlog", directory.display())?;
    out.flush()?;
    if tally.missing > 0 {
        anyhow::bail!(
            "stopped by a signal with {} trials to go; the {} that ended are in {}",
            tally.missing,
            tally.measured + tally.failed,
            directory.display()
        );
    }
    Ok(if report::failed(&summary) { Code::Error } else { Code::Fine })
}

fn dry_run(plan: Plan, out: &mut dyn Write) -> anyhow::Result<Code> {
    let facts = host::probe::probe();
    let calls = facts.as_ref().map_or(Calls::untried(CallBy::Hypercall), Calls::on);
    let (plan, call) = (plan.on(&calls)?, calls.by);
    writeln!(out, "# plan\n{}", plan.to_toml())?;
    let slots = schedule(&plan);
    writeln!(out, "# schedule: {} trials in {} blocks", slots.len(), plan.blocks)?;
    let width = slots.last().map_or(1, |slot| slot.trial.to_string().len());
    for slot in &slots {
        let spec = plan.spec(slot.cell.rung, slot.cell.discard, call, slot.seed);
        writeln!(
            out,
            "{:>width$}  block {:<3} {:<16} {:<9} doorbell {:<16} seed {}",
            slot.trial,
            slot.block,
            crate::axis::Named(slot.cell.rung),
            crate::axis::Named(slot.cell.discard),
            crate::axis::Named(spec.way.doorbell),
            slot.seed
        )?;
    }
    match &facts {
        Ok(facts) => {
            match estimate::duration(&plan, facts, call).map(|estimate| estimate.as_secs_f64()) {
                Some(seconds) => writeln!(
                    out,
                    "# about {seconds:.0} s: an estimate, from the doorbells of this host and guesses"
                )?,
                None => writeln!(out, "# no estimate: this machine counts instructions and tells no time")?,
            }
            if let Some(note) = call.note() {
                writeln!(out, "# note: {note}")?;
            }
        }
        Err(error) => writeln!(out, "# no estimate: {error}")?,
    }
    Ok(Code::Fine)
}
