//! Every report of results/reference as a page: well-formed, whole without anything from elsewhere, and readable by those
//! who see no pictures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bench::archive::{Archive, ArchiveError};
use bench::report::{Report, decision, markdown, page};
use roxmltree::{Document, Node, ParsingOptions};

const REFERENCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/reference");

/// Every run directory of the references that can be reported.
fn runs() -> Vec<(PathBuf, Report)> {
    let mut runs = Vec::new();
    let mut places = vec![PathBuf::from(REFERENCES)];
    while let Some(place) = places.pop() {
        let entries = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
        places.extend(entries.filter(|path| path.is_dir()));
        match Archive::open(&place) {
            Ok(archive) => runs.push((place, Report::of_run(&archive).unwrap())),
            // A folder of runs; or one that keeps its medians alone.
            Err(ArchiveError::NotARun { .. } | ArchiveError::Empty { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(runs.len() > 12, "{} runs", runs.len());
    runs
}

fn text<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    report.files.iter().find(|(file, _)| *file == name).map(|(_, text)| text.as_str())
}

fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}"))
}

fn named<'a>(document: &'a Document<'_>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

/// All text of an element.
fn said(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Nothing is wrong with a page, or this.
fn faults(directory: &Path, report: &Report) -> Vec<String> {
    let text = text(report, page::FILE).unwrap();
    let document = parsed(text);
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let beside: BTreeSet<&str> = report.files.iter().map(|(name, _)| *name).collect();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        if ["script", "link", "iframe", "img", "object", "embed", "base", "form"].contains(&name) {
            faults.push(format!("there is a {name}"));
        }
        for attribute in node.attributes() {
            let value = attribute.value();
            match attribute.name() {
                "id" if !ids.insert(value.to_owned()) => faults.push(format!("{value} is the name of two")),
                "href" if !beside.contains(value) && !directory.join(value).is_file() => {
                    faults.push(format!("{value} is not beside it"));
                }
                "src" | "srcset" | "action" | "style" => {
                    faults.push(format!("{} of {name}", attribute.name()));
                }
                name if name.starts_with("on") => faults.push(format!("a script in {name}")),
                _ => {}
            }
        }
    }
    for outside in ["http:", "https:", "url(", "@import", "//cdn"] {
        if text.contains(outside) {
            faults.push(format!("it asks for {outside}"));
        }
    }
    for picture in named(&document, "svg") {
        faults.extend(unsaid(picture, &document));
    }
    for figure in named(&document, "figure") {
        let has = |name| figure.descendants().any(|node| node.has_tag_name(name));
        let lacks = ["figcaption", "svg", "table"].into_iter().filter(|name| !has(*name));
        faults.extend(lacks.map(|name| format!("a figure lacks its {name}")));
    }
    faults
}

/// What is missing for those who do not see a picture.
fn unsaid(picture: Node<'_, '_>, document: &Document<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if picture.attribute("role") != Some("img") {
        faults.push("a picture is none".to_owned());
    }
    let names = picture.attribute("aria-labelledby").unwrap_or_default();
    let parts: Vec<Node<'_, '_>> = names
        .split(' ')
        .filter_map(|name| document.descendants().find(|node| node.attribute("id") == Some(name)))
        .collect();
    if parts.len() != 2 || parts.iter().any(|part| part.text().unwrap_or_default().len() < 12) {
        faults.push(format!("{names} says too little"));
    }
    faults
}

#[test]
fn every_reference_is_a_page_that_stands_alone() {
    for (directory, report) in runs() {
        let faults = faults(&directory, &report);
        assert!(faults.is_empty(), "{}: {faults:#?}", directory.display());
    }
}

#[test]
fn every_page_begins_with_its_question_its_answer_and_a_figure() {
    for (directory, report) in runs() {
        let page = text(&report, page::FILE).unwrap();
        let document = parsed(page);
        let of = |class: &str| document.descendants().find(|node| node.attribute("class") == Some(class));
        let question = named(&document, "h1").next().map(said).unwrap();
        assert_eq!(question, report.shown.experiment.question());
        let headline = report.shown.summary.headline.as_ref();
        let headline = headline.unwrap_or_else(|| panic!("{} has no headline", directory.display()));
        assert_eq!(of("answer").map(said).as_ref(), Some(&headline.sentence), "{}", directory.display());
        assert!(headline.figures.len() <= 3 && !headline.confidence.is_empty());
        let experiments_own = named(&document, "figure").count();
        assert!(experiments_own > 0, "{} has no figure", directory.display());
        let words = report.files[0].1.as_str();
        assert!(words.contains(&headline.sentence) && words.contains("report.html"), "{}", markdown::FILE);
    }
}

/// A record says that something is decided only where its run does not withhold the answer, and names its evidence.
#[test]
fn decisions_rest_on_files_that_are_there() {
    let mut records = 0;
    for (directory, report) in runs() {
        let Some(record) = text(&report, decision::FILE) else { continue };
        records += 1;
        for section in
            ["## Question", "## Options", "## Decision", "## Confidence", "## Evidence", "## When to revisit"]
        {
            assert!(record.contains(section), "{}: {section}", directory.display());
        }
        let is_decided = record.contains("Status: decided");
        assert!(is_decided != record.contains("Not decided: cannot say."), "{record}");
        assert!(!(is_decided && report.shown.is_withheld), "{record}");
        for link in record.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_derived = report.files.iter().any(|(name, _)| *name == link);
            assert!(is_derived || directory.join(link).is_file(), "{}: {link}", directory.display());
        }
        assert!(record.lines().count() < 80, "{}: a page is what is read", directory.display());
    }
    assert!(records > 6, "{records} records");
}

/// The checks above can fail.
#[test]
fn a_page_with_faults_is_found_out() {
    let (directory, report) = runs().remove(0);
    let spoilt = |from: &str, to: &str| {
        let mut files = report.files.clone();
        for (_, text) in files.iter_mut().filter(|(name, _)| *name == page::FILE) {
            assert!(text.contains(from), "{from}");
            *text = text.replacen(from, to, 1);
        }
        let shown = Archive::open(&directory).unwrap();
        let report = Report { files, ..Report::of_run(&shown).unwrap() };
        faults(&directory, &report).join("; ")
    };
    assert!(spoilt("</main>", "<script></script></main>").contains("there is a script"));
    assert!(spoilt("href=\"trials.jsonl\"", "href=\"../trials.jsonl\"").contains("not beside it"));
    assert!(spoilt("role=\"img\"", "role=\"none\"").contains("a picture is none"));
    assert!(spoilt("</main>", "<p>see https://example.org</p></main>").contains("https:"));
    assert!(spoilt("id=\"again\"", "id=\"files\"").contains("name of two"));
}
