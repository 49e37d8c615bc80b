//! `decision.md`: what a run decides, on one page: between what, by which evidence, how surely, and when to look again.

use super::again::again;
use super::page;
use super::percentiles;
use super::summary::Shown;
use crate::archive::file;
use crate::archive::hlog;
use crate::experiment::told::{Choice, Decision, Headline};
use crate::figure::check::Standing;
use crate::figure::json;
use crate::site::environment::Environment;

/// What the file is called.
pub const FILE: &str = "decision.md";

/// The file of a run; `None` if its experiment decides nothing.
#[must_use]
pub fn decision(shown: &Shown, environment: &Environment) -> Option<String> {
    let decision = shown.found.decision();
    let decides = decision.is_some() || shown.is_withheld && shown.summary.headline.is_some();
    decides.then(|| record(shown, decision.unwrap_or_else(nothing), environment))
}

/// Of a run that shows nothing.
const fn nothing() -> Decision {
    Decision { options: Vec::new(), decided: None, because: String::new(), revisit: Vec::new() }
}

fn record(shown: &Shown, decision: Decision, environment: &Environment) -> String {
    let summary = &shown.summary;
    // What a check has refuted decides nothing, whatever it seems to show.
    let decided = decision.decided.filter(|_| !shown.is_withheld);
    let Headline { sentence, confidence, .. } = summary.headline.clone().unwrap_or_else(|| Headline {
        sentence: decision.because.clone(),
        confidence: "nothing is claimed".to_owned(),
        figures: Vec::new(),
    });
    let status = if decided.is_some() { "decided, for this host" } else { "not decided" };
    let because = if shown.is_withheld { sentence.clone() } else { decision.because };
    let decided = decided.unwrap_or_else(|| "Not decided: cannot say.".to_owned());
    let sections = [
        ("Question", shown.experiment.question().to_owned()),
        ("Options", options(&decision.options)),
        ("Decision", format!("{decided} {because}")),
        ("Confidence", format!("{sentence}\n\nHow sure: {confidence}.\n\n{}", checks(shown))),
        ("Evidence", evidence()),
        ("When to revisit", list(decision.revisit.into_iter().chain(always()))),
        ("Again", format!("`{}`", again(shown, environment).planned)),
    ];
    let head = format!(
        "# Decision: {}\n\nStatus: {status}. Date of the run: {}. Host: {}.\n",
        summary.plan.name, environment.date, summary.host
    );
    let notes = list(summary.notes.iter().cloned());
    let notes = if notes.is_empty() { notes } else { format!("\n{notes}") };
    sections
        .into_iter()
        .fold(head + &notes, |text, (title, body)| format!("{text}\n## {title}\n\n{}\n", body.trim_end()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |text, item| text + "- " + item.trim_end_matches('.') + ".\n")
}

fn options(options: &[Choice]) -> String {
    if options.is_empty() {
        return "None was measured.".to_owned();
    }
    let row = |text: String, Choice { name, evidence }: &Choice| format!("{text}| {name} | {evidence} |\n");
    options.iter().fold("| option | what was measured |\n|---|---|\n".to_owned(), row)
}

fn checks(shown: &Shown) -> String {
    let all = &shown.summary.checks;
    let open = all.iter().filter(|check| check.standing != Standing::Holds);
    let open =
        list(open.map(|check| format!("{}: {} ({})", check.standing.word(), check.what, check.detail)));
    let holds = all.iter().filter(|check| check.standing == Standing::Holds).count();
    format!(
        "{holds} of {} checks hold{}\n\n{open}",
        all.len(),
        if open.is_empty() { "." } else { "; the others:" }
    )
}

fn evidence() -> String {
    let files = [
        (page::FILE, "the figures, each with what has to be known of it"),
        (json::FILE, "every figure and verdict, for programs"),
        (percentiles::FILE, "quantiles of every cell"),
        (hlog::FILE, "histograms of every trial"),
        (file::TRIALS, "every trial as it ended"),
        (file::PLAN, "what was to be run"),
        (file::ENVIRONMENT, "where it ran"),
    ];
    list(files.into_iter().map(|(name, what)| format!("[{name}]({name}): {what}")))
}

/// What holds of every decision.
fn always() -> impl Iterator<Item = String> {
    [
        "another host, kernel or hypervisor: no figure of this run means anything there",
        "a check that does not hold, or is unknown above, can be settled",
    ]
    .into_iter()
    .map(str::to_owned)
}
