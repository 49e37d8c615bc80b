//! From the run directory of the engine to everything that is derived from it: `summary.json`, `report.md`, curves, and
//! what a terminal shows.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use abi::axes::Axis;

use super::archive::{EngineArchive, EngineArchiveError};
use super::phases::LoadPhase;
use super::plot;
use super::summary::{EngineSummary, Found};
use crate::environment::Environment;
use crate::export::{json, markdown};
use crate::journal::JournalError;
use crate::terminal;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum EngineReportError {
    /// The run cannot be read.
    #[error(transparent)]
    Archive(#[from] EngineArchiveError),
    /// The report cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Reads a run directory and writes `summary.json`, `report.md` and, if memory was watched, its curves into it.
///
/// # Errors
/// [`EngineReportError`].
pub fn rebuild(directory: &Path) -> Result<EngineSummary, EngineReportError> {
    let archive = EngineArchive::open(directory)?;
    let summary = EngineSummary::of(&archive);
    let mut files =
        vec![(json::FILE, json::pretty(&summary)), (markdown::FILE, report(&summary, &archive.environment))];
    let curves = summary.found.curves();
    if !curves.is_empty() {
        let title = format!("{}: memory over time, {}", summary.plan.name, summary.host);
        files.push((plot::CSV, plot::csv(&curves)));
        files.push((plot::SVG, plot::svg(&title, &curves)));
    }
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|source| JournalError::Write { path, source })?;
    }
    Ok(summary)
}

/// Prints tables, curves, answer and checks of a run.
///
/// # Errors
/// As the writer's.
pub fn show(out: &mut dyn Write, summary: &EngineSummary) -> io::Result<()> {
    terminal::head(out, &summary.host, &summary.notes, &summary.remarks)?;
    for grid in summary.found.tables() {
        terminal::grid(out, &summary.host, &grid)?;
    }
    let curves = plot::lines(&summary.found.curves());
    if !curves.is_empty() {
        writeln!(out, "\nmemory over time\non {}", summary.host)?;
    }
    for line in curves {
        writeln!(out, "{line}")?;
    }
    terminal::answer(out, &summary.answer)?;
    terminal::checks(out, &summary.checks)
}

/// `report.md`: the run for people who were not there.
fn report(summary: &EngineSummary, environment: &Environment) -> String {
    let mut text = format!("# pagehint engine: {}\n\n", summary.plan.name);
    markdown::section(&mut text, "Host", &markdown::host(environment, &summary.notes, &summary.remarks));
    markdown::section(&mut text, "Question", summary.plan.experiment.0.question());
    if !summary.answer.is_empty() {
        markdown::section(&mut text, "Answer", &markdown::list(&summary.answer));
    }
    let tables = summary.found.tables();
    let tables: String = tables.iter().map(|grid| markdown::block(grid, &summary.host)).collect();
    markdown::section(&mut text, "Figures", &tables);
    if !summary.found.curves().is_empty() {
        let body = format!("![memory over time]({})\n\nThe points are in `{}`.", plot::SVG, plot::CSV);
        markdown::section(&mut text, "Memory over time", &body);
    }
    markdown::section(&mut text, "How to read it", &how_to_read(summary));
    markdown::section(&mut text, "Checks", &markdown::checks(&summary.checks));
    markdown::section(&mut text, "Again", &again(summary, environment));
    text
}

const HOW_TO_READ: &str = "\
- *n* is the number of blocks, each of which ran every cell once in an order drawn by the seed; a change is the mean over blocks of the change in \
that block, with a 95 % bootstrap interval over blocks. `~` marks an interval that holds 0, or rests on fewer than six blocks: no difference shown.
- *operations a second* are what every virtual processor did in its window, added up. *absent* is a guest without reporting compiled in; *off* has it \
and does not use it.
- Blocks are buddy blocks of the order said; quantiles are of all trials of a cell together.
";

fn how_to_read(summary: &EngineSummary) -> String {
    let mut text = HOW_TO_READ.to_owned();
    if matches!(summary.found, Found::PageFaults(_)) {
        text.push_str("- Phases of an operation add up to its time, and their changes to its change:\n");
        for phase in LoadPhase::ALL {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  - *{}*: {}", phase.name(), phase.meaning());
        }
    }
    text
}

fn again(summary: &EngineSummary, environment: &Environment) -> String {
    let command = environment.command.iter().skip(1).map(String::as_str).collect::<Vec<_>>().join(" ");
    let experiment = summary.plan.experiment;
    format!(
        "```\npagehint {command}\n```\n\nThe resolved plan is `plan.toml` beside this file; `pagehint engine {experiment} --plan plan.toml` runs the same trials in the same order.\n\
         `pagehint report` on this directory rebuilds this file.\n"
    )
}
