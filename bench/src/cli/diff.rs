//! `pagehint diff`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Code, Usage};
use crate::archive::Archive;
use crate::exchange::apart::Part;
use crate::exchange::diff::Diff;
use crate::figure::json;
use crate::figure::unit::percent;
use crate::report::terminal;

/// What is held against what.
#[derive(Args, Clone, Debug)]
pub(super) struct DiffOptions {
    /// The run directory that comes first.
    old: PathBuf,
    /// The one that is held against it.
    new: PathBuf,
    /// What they may differ in beside the build.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    allow: Vec<Part>,
    /// Per cent by which a cell must be worse, and shown to be, for exit code 3. [default: 5 of time, 1 of instructions]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &DiffOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let threshold = options.threshold.map(|percent| percent / 100.0);
    if let Some(threshold) = threshold.filter(|threshold| !(threshold.is_finite() && *threshold >= 0.0)) {
        let said = format!("--threshold is {} per cent: use 0 or more", threshold * 100.0);
        return Err(Usage(said).into());
    }
    let [old, new] = [Archive::open(&options.old)?, Archive::open(&options.new)?];
    let diff = Diff::of(&old, &new, &options.allow, threshold)?;
    if options.json {
        out.write_all(json::pretty(&diff).as_bytes())?;
    } else {
        show(&diff, out)?;
    }
    Ok(if diff.beyond() > 0 { Code::Grown } else { Code::Fine })
}

fn show(diff: &Diff, out: &mut dyn Write) -> anyhow::Result<()> {
    let [old, new] = &diff.hosts;
    writeln!(out, "old: {old}\nnew: {new}")?;
    for difference in &diff.apart {
        let (part, what) = (difference.part.name(), &difference.what);
        terminal::bullet(
            out,
            "differs:",
            &format!("{part}, {what}: {}, now {}", difference.old, difference.new),
        )?;
    }
    for remark in &diff.remarks {
        terminal::bullet(out, "remark:", remark)?;
    }
    let table = diff.table();
    writeln!(out, "\n{}\n{}", table.title, table.to_text())?;
    let (beyond, all, threshold) = (diff.beyond(), diff.cells.len(), percent(diff.threshold));
    let shown = diff.cells.iter().filter(|row| row.is_shown).count();
    writeln!(
        out,
        "\nof {all} cells, {shown} are shown to differ; {beyond} are worse by more than {threshold}"
    )?;
    if diff.cells.iter().any(|row| row.p.is_some()) {
        writeln!(
            out,
            "`~`: it cannot be said whether there is a difference. Two runs are two stretches of time: what the machine did otherwise meanwhile is in it."
        )?;
    }
    Ok(())
}
