//! `report.html`: the run as one page that opens offline, without scripts: the question, the answer in one sentence, the
//! figures that carry it, and everything else on demand.

mod prose;
mod style;

use crate::archive::Archive;
use crate::archive::file;
use crate::archive::hlog;
use crate::experiment::told::Headline;
use crate::figure::chart::{Chart, Size};
use crate::figure::check::{Check, Standing};
use crate::figure::markup::Element;
use crate::figure::table::Grid;
use crate::report::again::again;
use crate::report::charts::charts;
use crate::report::summary::{Shown, Summary};

/// What the file is called.
pub const FILE: &str = "report.html";

/// The file of a run; `beside` are the derived files that it links to.
#[must_use]
pub fn page(archive: &Archive, shown: &Shown, beside: &[&str]) -> String {
    let summary = &shown.summary;
    let title = format!("pagehint {}: {}", summary.plan.name, summary.host);
    let head = Element::new("head")
        .holding(Element::new("meta").with("charset", "utf-8"))
        .holding(meta("viewport", "width=device-width, initial-scale=1"))
        .holding(meta("color-scheme", "light dark"))
        .holding(Element::of("title", title))
        .holding(Element::of("style", style::rules()));
    let mut charts = charts(archive, shown).into_iter();
    let first = charts.next();
    let main = Element::new("main")
        .holding(answer(shown))
        .all(first.map(|chart| section("carries", "The figure that carries it", [figure(&chart, summary)])))
        .all(more(charts, summary))
        .all(in_full(summary))
        .holding(tables(shown))
        .holding(checks(&summary.checks))
        .holding(environment(archive, summary))
        .holding(section("again", "Run it again", repeat(archive, shown)))
        .holding(files(archive, beside));
    let html =
        Element::new("html").with("lang", "en").holding(head).holding(Element::new("body").holding(main));
    format!("<!DOCTYPE html>\n{html}\n")
}

fn meta(name: &str, content: &str) -> Element {
    Element::new("meta").with("name", name).with("content", content)
}

fn section(id: &str, title: &str, body: impl IntoIterator<Item = Element>) -> Element {
    Element::new("section").with("id", id).holding(Element::of("h2", title)).all(body)
}

/// What is shown when it is asked for.
fn on_demand(summary: impl Into<String>, body: impl IntoIterator<Item = Element>) -> Element {
    Element::new("details").holding(Element::of("summary", summary)).all(body)
}

fn list<'a>(class: &str, items: impl IntoIterator<Item = &'a String>) -> Element {
    Element::new("ul").with("class", class).all(items.into_iter().map(|item| Element::of("li", item.clone())))
}

/// The question, the answer, how sure it is, the figures that carry it, and what has to be known of the host.
fn answer(shown: &Shown) -> Element {
    let summary = &shown.summary;
    let mut header = Element::new("header")
        .with("id", "answer")
        .holding(Element::of("p", format!("pagehint {}", summary.plan.name)).with("class", "kind"))
        .holding(Element::of("h1", shown.experiment.question()));
    let Some(Headline { sentence, confidence, figures }) = &summary.headline else {
        header.push(
            Element::of("p", "This run answers no question: its figures are below.").with("class", "answer"),
        );
        return header.holding(place(summary));
    };
    header.push(Element::of("p", sentence.clone()).with("class", "answer"));
    let sure = Element::of("strong", "How sure: ");
    header.push(Element::new("p").with("class", "soft").holding(sure).text(format!("{confidence}.")));
    let tile = |figure: &crate::experiment::told::KeyFigure| {
        let value = Element::of("dd", figure.value.clone());
        Element::new("div").holding(Element::of("dt", figure.what.clone())).holding(value)
    };
    if !figures.is_empty() {
        header.push(Element::new("dl").with("class", "tiles").all(figures.iter().map(tile)));
    }
    header.holding(place(summary))
}

/// Where it holds, and what is to be known of that place.
fn place(summary: &Summary) -> Element {
    let host = Element::of("p", format!("On {}", summary.host)).with("class", "soft");
    let remarks = summary.remarks.iter().map(|remark| format!("Remark: {remark}."));
    let notes: Vec<String> = summary.notes.iter().map(|note| format!("{note}.")).chain(remarks).collect();
    let failed = summary.checks.iter().filter(|check| check.standing == Standing::Fails);
    let failed: Vec<String> =
        failed.map(|check| format!("A check fails: {} ({}).", check.what, check.detail)).collect();
    let all: Vec<&String> = failed.iter().chain(&notes).collect();
    let list = (!all.is_empty()).then(|| list("caveats", all));
    Element::new("div").holding(host).all(list)
}

/// A chart, laid out for telephones and for desks, with what has to be known of it and its figures as a table.
fn figure(chart: &Chart, summary: &Summary) -> Element {
    let caveats = (!chart.caveats.is_empty()).then(|| list("caveats", &chart.caveats));
    Element::new("figure")
        .with("id", chart.id.clone())
        .holding(Element::of("figcaption", chart.title.clone()))
        .holding(Element::of("p", chart.reading.clone()).with("class", "soft"))
        .holding(chart.svg(Size::Narrow))
        .holding(chart.svg(Size::Wide))
        .all(caveats)
        .holding(Element::of("p", format!("On {}", summary.host)).with("class", "place"))
        .holding(on_demand("The same as a table", [scrolling(&chart.table())]))
}

/// A table in a box of its own, so that a wide one is no wider than the page.
fn scrolling(grid: &Grid) -> Element {
    Element::new("div")
        .with("class", "scroll")
        .with("role", "region")
        .with("tabindex", "0")
        .with("aria-label", grid.title.clone())
        .holding(grid.element())
}

fn more(charts: impl Iterator<Item = Chart>, summary: &Summary) -> Option<Element> {
    let charts: Vec<Element> =
        charts.map(|chart| on_demand(chart.title.clone(), [figure(&chart, summary)])).collect();
    (!charts.is_empty()).then(|| section("figures", "More figures", charts))
}

fn in_full(summary: &Summary) -> Option<Element> {
    let answer = &summary.answer;
    let body = on_demand(format!("All {} sentences", answer.len()), [list("", answer)]);
    (answer.len() > 1).then(|| section("in-full", "The answer in full", [body]))
}

fn tables(shown: &Shown) -> Element {
    let host = &shown.summary.host;
    let table = |grid: &Grid| {
        let place = Element::of("p", grid.place(host)).with("class", "place");
        on_demand(grid.title.clone(), [scrolling(grid), place])
    };
    let how = on_demand("How to read them", [prose::list(&shown.found.how_to_read())]);
    let details: Vec<Element> = shown.found.details().iter().map(table).collect();
    let details = (!details.is_empty()).then(|| on_demand("Every cell in detail", details));
    section(
        "tables",
        "Tables",
        std::iter::once(how).chain(shown.found.tables().iter().map(table)).chain(details),
    )
}

fn checks(checks: &[Check]) -> Element {
    let item = |check: &Check| {
        let word = Element::of("strong", check.standing.word()).with("class", class(check.standing));
        Element::new("li").holding(word).text(format!(" {} ({})", check.what, check.detail))
    };
    let holds = checks.iter().filter(|check| check.standing == Standing::Holds).count();
    let summary = format!("{holds} of {} hold", checks.len());
    let body = on_demand(summary, [Element::new("ul").all(checks.iter().map(item))]);
    // What does not hold is not behind a click.
    let is_open = checks.iter().any(|check| matches!(check.standing, Standing::Fails | Standing::Doubtful));
    section("checks", "Checks", [if is_open { body.with("open", "open") } else { body }])
}

const fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Holds => "is-holds",
        Standing::Unknown | Standing::Doubtful => "is-doubtful",
        Standing::Fails => "is-fails",
    }
}

fn environment(archive: &Archive, summary: &Summary) -> Element {
    let value = serde_json::to_value(&archive.environment).unwrap_or_default();
    let mut rows = Vec::new();
    prose::flatten("", &value, &mut rows);
    let header = ["what", "value"].map(str::to_owned).to_vec();
    let grid = Grid::new("Where it ran", header, rows);
    section("environment", "Environment", [on_demand(summary.host.clone(), [scrolling(&grid)])])
}

fn repeat(archive: &Archive, shown: &Shown) -> [Element; 4] {
    let said = again(shown, &archive.environment);
    let code = |line: String| Element::new("pre").with("tabindex", "0").holding(Element::of("code", line));
    let plan = on_demand("The plan, as it was resolved", [code(archive.plan.to_toml())]);
    [
        code(said.typed),
        Element::of("p", "The same trials in the same order, from the plan beside this file:"),
        code(said.planned),
        plan,
    ]
}

/// What the page was made of, beside it.
fn files(archive: &Archive, beside: &[&str]) -> Element {
    let log = (!archive.merged.histograms.is_empty()).then_some(hlog::FILE);
    let raw = [file::ENVIRONMENT, file::PLAN, file::TRIALS].into_iter().chain(log);
    let link = |name: &str| Element::new("li").holding(Element::of("a", name).with("href", name));
    let all = raw.chain(beside.iter().copied());
    section("files", "Files of this run", [Element::new("ul").with("class", "files").all(all.map(link))])
}
