//! Every experiment told: a page that can be read back, figures of its own, a decision where it decides something.

use std::collections::BTreeSet;
use std::time::Duration;

use roxmltree::{Document, ParsingOptions};

use super::{engine, plan, run, timed};
use crate::archive::Archive;
use crate::experiment::{self, contract::Experiment};
use crate::figure::chart::Body;
use crate::plan::keys::Keys;
use crate::report::{Report, decision, page};
use crate::run::executor::Executor;
use crate::trial::spec::Spec;

/// Those that decide nothing: they look, or run what they are told.
const UNDECIDED: [&str; 8] = ["linux", "batch", "collateral", "memhog", "soak", "same", "run", "engine"];

/// Whether a page can be read back, and names nothing twice.
pub(super) fn stands(report: &Report) {
    let (_, text) = report.files.iter().find(|(name, _)| *name == page::FILE).unwrap();
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).unwrap();
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    assert!(!text.contains("NaN") && !text.contains("\"inf"), "no number of a picture is none");
}

/// A run of its quick plan on the fake host.
fn archive(experiment: &dyn Experiment) -> Archive {
    let plan = plan(experiment.name(), &Keys::default());
    let directory = tempfile::tempdir().unwrap();
    let is_timed = |spec: &Spec| matches!(spec, Spec::Timed(_));
    let cells = experiment.cells(&plan.choices, timed::environment().call());
    let mut executors: [Box<dyn Executor>; 2] =
        [Box::new(engine::FakeEngine::default()), Box::new(timed::FakeExecutor::default())];
    let executor = executors[usize::from(cells.iter().any(is_timed))].as_mut();
    let most = plan.time().map(|_| Duration::from_millis(500));
    run(directory.path(), &timed::environment(), &plan, most, executor);
    Archive::open(directory.path()).unwrap()
}

#[test]
fn every_experiment_has_a_figure_and_those_that_decide_a_record() {
    for experiment in experiment::ALL {
        let archive = archive(experiment);
        let report = Report::of_run(&archive).unwrap();
        let name = experiment.name();
        stands(&report);
        let charts = report.shown.found.charts(&archive);
        assert!(!charts.is_empty(), "{name}");
        let drawn = charts.iter().filter(|chart| match &chart.body {
            Body::Bars(bars) => !bars.bars.is_empty(),
            Body::Plot(plot) => plot.lines.iter().any(|line| !line.points.is_empty()),
            Body::Map(map) => !map.cells.is_empty(),
        });
        assert!(drawn.count() > 0, "{name} draws nothing");
        assert!(charts.iter().all(|chart| !chart.reading.is_empty() && !chart.title.is_empty()), "{name}");
        let record = report.files.iter().find(|(file, _)| *file == decision::FILE);
        assert_eq!(record.is_none(), UNDECIDED.contains(&name), "{name}");
        if let Some((_, record)) = record {
            assert!(record.contains("| option |"), "{name}: {record}");
        }
        let headline = report.shown.summary.headline.as_ref();
        let sentence = headline.map(|headline| headline.sentence.as_str()).unwrap_or_default();
        // One trial of the engine is asked nothing.
        let is_told = sentence.ends_with('.') && sentence.len() < 600;
        assert!(is_told || name == "engine", "{name}: {sentence}");
    }
}
