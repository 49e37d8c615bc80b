//! `pagehint merge`, and the report of what it makes.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Code;
use crate::archive::{file, hlog};
use crate::exchange::merge::{Kept, merge};
use crate::exchange::set::{self, Set};
use crate::report::{ReportError, markdown, terminal};

/// What is put together.
#[derive(Args, Clone, Debug)]
pub(super) struct MergeOptions {
    /// Where the set goes; it must not hold anything.
    out: PathBuf,
    /// Run directories, finished or killed.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Keep the histograms of every phase and tally, not only those of whole reports.
    #[arg(long)]
    every_series: bool,
}

pub(super) fn run(options: &MergeOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let kept = if options.every_series { Kept::Every } else { Kept::Reports };
    merge(&options.out, &options.runs, kept)?;
    let place = options.out.display();
    writeln!(out, "{place}: {}, {}; `pagehint report {place}` shows it", set::FILE, hlog::FILE)?;
    Ok(Code::Fine)
}

/// Prints the tables of a set, and writes them beside it.
pub(super) fn report(directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    let set = Set::open(directory)?;
    let ([measured, failed], hosts) = (set.trials(), set.hosts.len());
    let what = format!("{} runs on {hosts} kinds of host, {measured} trials, {failed} failed", set.runs());
    writeln!(out, "{what}")?;
    let remarks: Vec<String> =
        set.remarks.iter().map(|(remark, runs)| format!("of {runs} runs: {remark}")).collect();
    for remark in &remarks {
        terminal::bullet(out, "remark:", remark)?;
    }
    let mut text = format!(
        "# pagehint: a set\n\n{what}. Figures of different hosts are not to be compared but by their order.\nA figure is the median over runs of the median over trials, with the stopwatch in it; percentiles are of all reports together.\n\n"
    );
    text.extend(remarks.iter().map(|remark| format!("- Remark: {remark}.\n")));
    for table in set.tables() {
        writeln!(out, "\n{}\n{}", table.title, table.to_text())?;
        text += &format!("\n## {}\n\n{}\n", table.title, table.to_markdown());
    }
    for (name, text) in [(markdown::FILE, text), (set::CSV, set.csv())] {
        let path = directory.join(name);
        file::write(&path, text.as_bytes()).map_err(|source| ReportError::Write { path, source })?;
    }
    writeln!(out, "\n{}: {}, {}", directory.display(), markdown::FILE, set::CSV)?;
    Ok(Code::Fine)
}
