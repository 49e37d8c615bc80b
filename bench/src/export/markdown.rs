//! `report.md`: the run for people who were not there.

use std::fmt::Write as _;

use abi::axes::Axis;

use crate::checks::Check;
use crate::environment::Environment;
use crate::histogram::Phase;
use crate::summary::Summary;
use crate::table::{self, Grid};

/// What the file is called.
pub const FILE: &str = "report.md";

const QUESTION: &str = "How should a guest tell its host which pages are free: by a hypercall or by a virtio queue? \
The ladder goes from one to the other and changes one choice a rung, so that the cost of each choice shows by itself.";

const HOW_TO_READ: &str = "\
- *a report* is a batch of ranges told to the host and acknowledged; *a range* is what it costs over the number of ranges.
- *to the rung before* is how much more a range costs than on that rung: the mean over blocks of the difference of the two medians in that block, with a 95 % bootstrap \
interval over blocks. `~` marks an interval that holds 0, or rests on fewer than six blocks: no difference shown.
- *exits/1000* are exits to user space for every thousand ranges, by our count.
- *freed* is the share of reported pages that the kernel no longer held afterwards, looked at in reports made for this.
- *refault* is what touching a reported page again cost over touching a resident one.
- Phases follow one another and add up to the report. Shares are of summed cost, so rare dear reports weigh as much as \
they cost.
";

/// The file of a run.
#[must_use]
pub fn report(summary: &Summary, environment: &Environment) -> String {
    let mut text = format!("# pagehint: {}\n\n", name(summary));
    section(&mut text, "Host", &host(environment, &summary.notes, &summary.remarks));
    section(&mut text, "Question", &format!("{QUESTION}\n"));
    if !summary.verdict.is_empty() {
        section(&mut text, "Answer", &list(&summary.verdict));
    }
    section(&mut text, "Ladder", &tables(summary));
    section(&mut text, "How to read it", &(HOW_TO_READ.to_owned() + &meanings()));
    section(&mut text, "Checks", &checks(&summary.checks));
    section(&mut text, "Phases", &phases(summary));
    section(&mut text, "Again", &again(summary, environment));
    text
}

fn name(summary: &Summary) -> String {
    summary.plan.as_ref().map_or_else(|| "a single trial".to_owned(), |plan| format!("plan {}", plan.name))
}

pub(crate) fn section(text: &mut String, title: &str, body: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "## {title}\n\n{}\n\n", body.trim_end());
}

pub(crate) fn list(sentences: &[String]) -> String {
    sentences.iter().fold(String::new(), |text, sentence| text + "- " + sentence + "\n")
}

/// Where and when a run took place, what is to be known about it and what is missing.
pub(crate) fn host(environment: &Environment, notes: &[String], remarks: &[String]) -> String {
    let Environment { pagehint, revision, date, kvm, lab, .. } = environment;
    // Of a run that a lab brought back the date is that of the machine the lab was on.
    let tells_time = lab.is_some() || kvm.clock.tells_time();
    let whose = if tells_time { "" } else { " by a clock that counts instructions" };
    let revision = if revision.is_empty() { String::new() } else { format!(" ({revision})") };
    let mut lines =
        vec![format!("**{}**", environment.host), format!("{date}{whose}, pagehint {pagehint}{revision}")];
    lines.extend(
        lab.iter().map(|lab| format!("In {}, {} {}", lab.emulator, lab.kernel_package, lab.kernel_version)),
    );
    lines.extend(notes.iter().map(|note| format!("Note: {note}.")));
    lines.extend(remarks.iter().map(|remark| format!("Remark: {remark}.")));
    list(&lines)
}

fn tables(summary: &Summary) -> String {
    let mut text = String::new();
    for discard in summary.discards() {
        for grid in [table::ladder(summary, discard), table::phases(summary, discard)] {
            text.push_str(&block(&grid, &summary.host));
        }
    }
    text
}

/// A table with its title and its host.
pub(crate) fn block(grid: &Grid, host: &str) -> String {
    format!("### {}\n\n{}\n\n{}\n\n", grid.title, grid.to_markdown(), grid.place(host))
}

fn phases(summary: &Summary) -> String {
    summary
        .cells
        .iter()
        .map(|cell| table::one_cell(summary, cell))
        .fold(String::new(), |text, grid| text + &block(&grid, &summary.host))
}

fn meanings() -> String {
    let line = |phase: &Phase| format!("  - *{}*: {}\n", phase.name(), phase.meaning());
    Phase::ALL.iter().map(line).collect()
}

pub(crate) fn checks(checks: &[Check]) -> String {
    checks
        .iter()
        .map(|check| format!("{}: {} ({})", check.standing.word(), check.what, check.detail))
        .fold(String::new(), |text, line| text + "- " + &line + "\n")
}

fn again(summary: &Summary, environment: &Environment) -> String {
    let command = environment.command.iter().skip(1).map(String::as_str).collect::<Vec<_>>().join(" ");
    let plan = if summary.plan.is_some() {
        "The resolved plan is `plan.toml` beside this file; `pagehint compare --plan plan.toml` runs the same trials in the same order.\n"
    } else {
        ""
    };
    format!("```\npagehint {command}\n```\n\n{plan}`pagehint report` on this directory rebuilds this file.\n")
}
