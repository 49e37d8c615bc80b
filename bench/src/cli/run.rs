//! `pagehint run`.

use std::io::Write;
use std::sync::Arc;

use super::exit::Code;
use super::options::RunOptions;
use crate::archive::Archive;
use crate::environment::Environment;
use crate::executor::{KvmExecutor, run_one};
use crate::export::hlog;
use crate::histogram::PhaseHistograms;
use crate::journal::Journal;
use crate::ladder::CallBy;
use crate::record::Ending;
use crate::summary::Summary;
use crate::{report, signals, terminal};

pub(super) fn run(options: &RunOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    options.spec(CallBy::Port).validate()?;
    if let Some(directory) = &options.out {
        Journal::check_empty(directory)?;
    }
    let stop = signals::stop_flag()?;
    let facts = host::probe::probe()?;
    let environment = Environment::here(&facts);
    let spec = options.spec(environment.call());
    spec.validate()?;

    let mut executor = KvmExecutor { facts: &facts, stop: Arc::clone(&stop) };
    let mut histograms = PhaseHistograms::new(facts.counter);
    let Some(record) = run_one(0, 0, &spec, &mut executor, &mut histograms) else {
        anyhow::bail!("stopped by a signal before the trial ended");
    };
    if let Some(directory) = &options.out {
        Journal::create(directory, &environment, None)?
            .append(&record, &hlog::tagged(&record, &histograms))?;
        report::rebuild(directory)?;
    }
    if let Ending::Failed { error } = &record.ending {
        anyhow::bail!("{error}");
    }
    let summary = Summary::of(&Archive::of_one(environment, record, &histograms)?);
    for cell in &summary.cells {
        terminal::show_one(out, &summary, cell)?;
    }
    Ok(if report::failed(&summary) { Code::Error } else { Code::Fine })
}
