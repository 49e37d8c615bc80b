//! `report.md`: the run for people who were not there.

use std::borrow::Cow;
use std::fmt::Write as _;

use abi::axes::Axis;

use super::summary::Shown;
use crate::figure::check::Check;
use crate::figure::curve;
use crate::figure::table::Grid;
use crate::figure::tail;
use crate::site::emulated::LabCpu;
use crate::site::environment::Environment;

/// What the file is called.
pub const FILE: &str = "report.md";

/// The file of a run.
#[must_use]
pub fn report(shown: &Shown, environment: &Environment) -> String {
    let Shown { summary, experiment, found } = shown;
    let block = |grid: &Grid| block(grid, &summary.host);
    let mut text = format!("# pagehint: {}\n\n", summary.plan.name);
    section(&mut text, "Host", &host(environment, &summary.notes, &summary.remarks));
    section(&mut text, "Question", experiment.question());
    if !summary.answer.is_empty() {
        section(&mut text, "Answer", &list(&summary.answer));
    }
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

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''")).into()
}

fn again(shown: &Shown, environment: &Environment) -> String {
    let typed = environment.command.iter().skip(1).map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let command = shown.experiment.command();
    let command = environment.lab.as_ref().map_or(command.to_owned(), |lab| {
        let cpu = LabCpu::ALL.iter().find(|cpu| cpu.flavour() == environment.kvm.flavour.0);
        let cpu = cpu.map_or_else(String::new, |cpu| format!(" --cpu {}", cpu.name()));
        format!("lab {command}{cpu} --clock {} --kernel {}", lab.clock, quoted(&lab.kernel_package))
    });
    format!(
        "```\npagehint {typed}\n```\n\nThe resolved plan is `plan.toml` beside this file; `pagehint {command} --plan plan.toml` runs the same trials in the same order.\n\
         `pagehint report` on this directory rebuilds this file.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::named::Named;
    use crate::site::emulated::{Described, LabClock};
    use crate::testing::timed::counted;

    #[test]
    fn a_run_of_the_lab_is_run_again_in_the_lab() {
        let archive = counted(1000);
        let shown = Shown::of(&archive).unwrap();
        let mut environment = archive.environment;
        environment.command = ["pagehint", "lab", "--out", "it's"].map(str::to_owned).to_vec();
        assert!(again(&shown, &environment).contains("`pagehint compare --plan plan.toml`"));
        environment.lab = Some(Described {
            clock: Named(LabClock::Instructions),
            emulator: String::new(),
            processor: String::new(),
            kernel_parameters: String::new(),
            kernel_package: "linux-image-6.1.0-1".to_owned(),
            kernel_version: String::new(),
            took_s: 0.0,
        });
        let text = again(&shown, &environment);
        let command = "`pagehint lab compare --cpu intel --clock instructions --kernel linux-image-6.1.0-1 --plan plan.toml`";
        assert!(text.contains(command) && text.contains("pagehint lab --out 'it'\\''s'\n"), "{text}");
    }
}
