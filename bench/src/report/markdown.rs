//! `report.md`: the run for people who were not there.

use std::fmt::Write as _;

use super::again::{self, Again};
use super::page;
use super::summary::Shown;
use crate::experiment::told::Headline;
use crate::figure::check::Check;
use crate::figure::curve;
use crate::figure::table::Grid;
use crate::figure::tail;
use crate::site::environment::Environment;

/// What the file is called.
pub const FILE: &str = "report.md";

/// The file of a run.
#[must_use]
pub fn report(shown: &Shown, environment: &Environment) -> String {
    let Shown { summary, experiment, found, .. } = shown;
    let block = |grid: &Grid| block(grid, &summary.host);
    let mut text = format!(
        "# pagehint: {}\n\nThe same with its charts: [{page}]({page}).\n\n",
        summary.plan.name,
        page = page::FILE
    );
    section(&mut text, "Question", experiment.question());
    if let Some(headline) = &summary.headline {
        section(&mut text, "Answer", &first(headline));
    }
    if summary.answer.len() > 1 {
        section(&mut text, "Answer in full", &list(&summary.answer));
    }
    section(&mut text, "Host", &host(environment, &summary.notes, &summary.remarks));
    section(&mut text, "Figures", &found.tables().iter().map(block).collect::<String>());
    if found.curves().iter().any(|series| !series.points.is_empty()) {
        let body = format!("![memory over time]({})\n\nThe points are in `{}`.", curve::SVG, curve::CSV);
        section(&mut text, "Memory over time", &body);
    }
    if found.tails().iter().any(|tail| !tail.points.is_empty()) {
        let body = format!("![by percentile]({})\n\nThe points are in `{}`.", tail::SVG, tail::CSV);
        section(&mut text, "By percentile", &body);
    }
    section(&mut text, "How to read it", &found.how_to_read());
    section(&mut text, "Checks", &checks(&summary.checks));
    let details = found.details();
    if !details.is_empty() {
        section(&mut text, "In detail", &details.iter().map(block).collect::<String>());
    }
    section(&mut text, "Again", &again(shown, environment));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "## {title}\n\n{}\n\n", body.trim_end());
}

fn list(sentences: &[String]) -> String {
    sentences.iter().fold(String::new(), |text, sentence| text + "- " + sentence + "\n")
}

/// Where and when a run took place, what is to be known about it and what is missing.
fn host(environment: &Environment, notes: &[String], remarks: &[String]) -> String {
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

/// A table with its title and its host.
fn block(grid: &Grid, host: &str) -> String {
    format!("### {}\n\n{}\n\n{}\n\n", grid.title, grid.to_markdown(), grid.place(host))
}

fn checks(checks: &[Check]) -> String {
    checks
        .iter()
        .map(|check| format!("{}: {} ({})", check.standing.word(), check.what, check.detail))
        .fold(String::new(), |text, line| text + "- " + &line + "\n")
}

fn again(shown: &Shown, environment: &Environment) -> String {
    let Again { typed, planned } = again::again(shown, environment);
    format!(
        "```\n{typed}\n```\n\nThe resolved plan is `plan.toml` beside this file; `{planned}` runs the same trials in the same order.\n\
         `pagehint report` on this directory rebuilds this file.\n"
    )
}

/// The answer in one sentence, how sure it is, and the figures that carry it.
fn first(Headline { sentence, confidence, figures }: &Headline) -> String {
    let figures = figures.iter().map(|figure| format!("{}: **{}**", figure.what, figure.value));
    format!("**{sentence}**\n\nHow sure: {confidence}.\n\n{}", list(&figures.collect::<Vec<_>>()))
}
