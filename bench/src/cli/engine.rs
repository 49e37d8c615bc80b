//! `pagehint engine`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use host::engine::EngineSpec;
use host::kvm::Counter;

use super::exit::Code;
use crate::axis::Named;
use crate::engine::choices::Choices;
use crate::engine::executor::{KvmEngine, run_all};
use crate::engine::experiment::Experiment;
use crate::engine::keys::Keys;
use crate::engine::plan::{EnginePlan, EnginePlanError};
use crate::engine::{cells, report};
use crate::environment::Environment;
use crate::executor::Tally;
use crate::journal::Journal;
use crate::ladder::CallBy;
use crate::progress::Progress;
use crate::schedule::{Slot, interleaved};
use crate::signals;
use crate::time::Utc;

/// Flags of `engine`.
#[derive(Args, Debug)]
pub(super) struct EngineOptions {
    /// What to find out.
    #[arg(default_value_t = Named(Experiment::PageFaults))]
    experiment: Named<Experiment>,
    /// The same in less time: smaller memory, shorter windows, a shorter delay.
    #[arg(long)]
    quick: bool,
    /// A plan: a TOML file.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Where the run directory goes; it must not hold anything. [default: results/runs/TIME-PLAN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the resolved plan and the schedule; run no trial and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keys: Keys,
}

impl EngineOptions {
    fn plan(&self) -> Result<EnginePlan, EnginePlanError> {
        let plan = EnginePlan::built_in(self.experiment.0, self.quick)?;
        let plan = match &self.plan {
            None => plan,
            Some(path) => plan.with_file(path)?,
        };
        plan.with(&self.keys)
    }

    fn directory(&self, plan: &EnginePlan) -> PathBuf {
        let now = Utc::from(SystemTime::now()).stamp();
        let unnamed = || PathBuf::from("results/runs").join(format!("{now}-engine-{}", plan.name));
        self.out.clone().unwrap_or_else(unnamed)
    }
}

pub(super) fn run(options: &EngineOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    // Before KVM is asked for anything; calling by port allows all that calling by hypercall does.
    let processors =
        std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    let plan = options.plan()?.on(processors, CallBy::Port)?;
    if options.dry_run {
        return dry_run(&plan, out);
    }
    let directory = options.directory(&plan);
    Journal::check_empty(&directory)?;
    let stop = signals::stop_flag()?;
    let facts = host::probe::probe()?;
    if facts.counter == Counter::Instructions && plan.experiment.0 != Experiment::Run {
        return Err(EnginePlanError::Instructions.into());
    }
    let environment = Environment::here(&facts);
    let plan = plan.on(processors, environment.call())?;
    let mut journal = Journal::create(&directory, &environment, Some(plan.to_toml()))?;

    let slots = slots(&plan, environment.call());
    let mut engine = KvmEngine { facts: &facts, stop: Arc::clone(&stop) };
    let mut progress = Progress::new(slots.len(), facts.counter);
    let tally = run_all(&slots, plan.time(), &mut engine, &stop, &mut journal, &mut progress);
    progress.finish();
    finish(&journal, tally?, out)
}

/// More blocks than there is time for, if the plan goes by time.
fn slots(plan: &EnginePlan, call: CallBy) -> Vec<Slot<EngineSpec>> {
    let cells = cells::of(plan, call);
    let blocks = match plan.time() {
        Some(time) => {
            let a_block: Duration = cells.iter().map(|spec| spec.warmup + spec.window).sum();
            let blocks = time.as_millis() / a_block.as_millis().max(1) + 1;
            u32::try_from(blocks).unwrap_or(u32::MAX)
        }
        None => plan.choices.blocks.unwrap_or(1),
    };
    interleaved(cells, blocks, plan.seed())
}

/// Derives everything from the run directory, as `pagehint report` would, and prints it.
fn finish(journal: &Journal, tally: Tally, out: &mut dyn Write) -> anyhow::Result<Code> {
    let directory = journal.directory();
    if tally.measured + tally.failed == 0 {
        anyhow::bail!("stopped before the first trial had ended; nothing is in {}", directory.display());
    }
    let summary = report::rebuild(directory)?;
    if summary.plan.experiment.0 == Experiment::Run
        && let Some(error) = summary.failed.values().next()
    {
        anyhow::bail!("{error}");
    }
    report::show(out, &summary)?;
    writeln!(out, "\n{}: report.md, summary.json, histograms.hlog", directory.display())?;
    out.flush()?;
    if tally.missing > 0 {
        anyhow::bail!(
            "stopped by a signal with {} trials to go; the {} that ended are in {}",
            tally.missing,
            tally.measured + tally.failed,
            directory.display()
        );
    }
    Ok(if summary.failed() { Code::Error } else { Code::Fine })
}

fn dry_run(plan: &EnginePlan, out: &mut dyn Write) -> anyhow::Result<Code> {
    writeln!(out, "# plan\n{}", plan.to_toml())?;
    let slots = slots(plan, CallBy::Port);
    writeln!(out, "# schedule: {} trials", slots.len())?;
    let width = slots.last().map_or(1, |slot| slot.trial.to_string().len());
    for slot in &slots {
        let cell = Choices::from(&slot.cell).tag();
        writeln!(out, "{:>width$}  block {:<3} {cell} seed {}", slot.trial, slot.block, slot.seed)?;
    }
    Ok(Code::Fine)
}
