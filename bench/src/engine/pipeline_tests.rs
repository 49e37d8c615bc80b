//! From a plan to the report, with a fake machine.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use abi::axes::Axis;
use host::engine::Walk;

use super::archive::{self, EngineArchive};
use super::executor::run_all;
use super::experiment::Experiment;
use super::page_faults::State;
use super::phases::LoadPhase;
use super::plan::EnginePlan;
use super::summary::{EngineSummary, Found};
use super::testing::{FakeEngine, Wrong};
use super::{cells, report};
use crate::axis::Named;
use crate::checks::Standing;
use crate::executor::{Listener, Tally};
use crate::export::hlog;
use crate::journal::{Journal, Trial, file};
use crate::ladder::{CallBy, Rung};
use crate::schedule::interleaved;
use crate::testing::environment;

struct Nobody;

impl Listener for Nobody {
    fn ended(&mut self, _: &dyn Trial, _: usize) {}
}

fn run(directory: &Path, experiment: Experiment, wrong: Option<(usize, Wrong)>) -> Tally {
    let plan = EnginePlan::built_in(experiment, true).unwrap().on(2, CallBy::Port).unwrap();
    let mut journal = Journal::create(directory, &environment(), Some(plan.to_toml())).unwrap();
    let blocks = if experiment == Experiment::Soak { 2 } else { plan.choices.blocks.unwrap_or(1) };
    let slots = interleaved(cells::of(&plan, CallBy::Port), blocks, plan.seed());
    let mut engine = FakeEngine { wrong, ..FakeEngine::default() };
    let stop = AtomicBool::new(false);
    run_all(&slots, None, &mut engine, &stop, &mut journal, &mut Nobody).unwrap()
}

fn summary_of(experiment: Experiment, wrong: Option<(usize, Wrong)>) -> EngineSummary {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), experiment, wrong);
    report::rebuild(directory.path()).unwrap()
}

fn standing(summary: &EngineSummary, what: &str) -> Standing {
    summary.checks.iter().find(|check| check.what.contains(what)).expect(what).standing
}

#[test]
fn every_experiment_becomes_a_report() {
    for experiment in Experiment::ALL {
        let directory = tempfile::tempdir().unwrap();
        let tally = run(directory.path(), *experiment, None);
        assert!(archive::is_engine(directory.path()));
        let summary = report::rebuild(directory.path()).unwrap();
        assert!(!summary.failed(), "{}: {:#?}", experiment.name(), summary.checks);
        assert_eq!((summary.measured, tally.failed + tally.missing), (tally.measured, 0));
        let text = fs::read_to_string(directory.path().join("report.md")).unwrap();
        for part in [summary.host.as_str(), "## Figures", "## Checks", "ok: no byte was lost", "n"] {
            assert!(text.contains(part), "{}: {part} in {text}", experiment.name());
        }
        for grid in summary.found.tables() {
            assert!(text.contains(&grid.title), "{}", grid.title);
        }
        let read: EngineSummary =
            serde_json::from_slice(&fs::read(directory.path().join("summary.json")).unwrap()).unwrap();
        assert_eq!((&read.checks, &read.answer), (&summary.checks, &summary.answer));
        let mut shown = Vec::new();
        report::show(&mut shown, &summary).unwrap();
        assert!(String::from_utf8(shown).unwrap().contains("Checks"));
        let curves = ["curve.csv", "curve.svg"].map(|name| directory.path().join(name).exists());
        assert_eq!(curves, [*experiment == Experiment::Memhog; 2], "{}", experiment.name());
    }
}

#[test]
fn the_fakes_costs_come_back_out_of_page_faults() {
    let summary = summary_of(Experiment::PageFaults, None);
    let Found::PageFaults(found) = &summary.found else { panic!("{:?}", summary.found) };
    assert_eq!(found.units.iter().map(|unit| unit.unit).collect::<Vec<_>>(), [9, 0]);
    let huge = &found.units[0];
    assert_eq!(huge.rows.len(), 1 + 2 * 6);
    let row =
        |rung, state| huge.rows.iter().find(|row| row.rung == rung && row.state.0 == state).expect("a row");
    let off = row(None, State::Off);
    assert!(!off.change.shows_difference(), "{off:?}");
    // 104 µs instead of 100, of which 2 are touching again.
    let on = row(Some(Named(Rung::Virtio)), State::WithDiscard);
    assert!((on.change.mean - (100.0 / 104.0 - 1.0)).abs() < 0.002, "{on:?}");
    assert!(on.change.shows_difference());
    assert!((on.breakdown.whole.mean - 4000.0).abs() < 100.0, "{:?}", on.breakdown.whole);
    let touch = &on.breakdown.phases[&Named(LoadPhase::Touch)];
    assert!((touch.mean - 2000.0).abs() < 1.0, "{touch:?}");
    let sum: f64 = on.breakdown.phases.values().map(|phase| phase.mean).sum();
    assert!((sum - on.breakdown.whole.mean).abs() < 1e-6, "the phases add up");
    assert!((on.taken_reported - 0.1).abs() < 1e-9);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("Blocks of 2 MiB, off: no difference shown"), "{answer}");
    assert!(answer.contains("fewer operations a second (-3.8"), "{answer}");
    let tables: Vec<String> = summary.found.tables().iter().map(crate::table::Grid::to_text).collect();
    assert!(tables[2].contains("unused page reporting v7, 2019-09"), "{}", tables[2]);
    // Every transport has its three rows, off among them.
    assert_eq!(tables[0].matches(" off ").count(), 6, "{}", tables[0]);
}

#[test]
fn growth_is_named() {
    let summary = summary_of(Experiment::Walk, None);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("rewalk: blocks looked at for a block reported: linear in the list"), "{answer}");
    assert!(answer.contains("rotation: blocks looked at for a block reported: constant"), "{answer}");
    assert!(answer.contains(
        "rotation, with compaction moving the list: blocks looked at for a block reported: linear"
    ));
    let Found::Walk(found) = &summary.found else { panic!("{:?}", summary.found) };
    assert_eq!(found.loads.len(), Walk::ALL.len());
    assert!(found.loads.iter().all(|row| row.on.is_some() && row.off.is_some()));
}

#[test]
fn a_rate_that_is_not_the_formulas_fails() {
    let summary = summary_of(Experiment::Rate, None);
    assert_eq!(standing(&summary, "predicted rate"), Standing::Holds);
    let summary = summary_of(Experiment::Rate, Some((1, Wrong::Slow)));
    assert_eq!(standing(&summary, "predicted rate"), Standing::Fails);
}

#[test]
fn whatever_goes_wrong_fails_by_name() {
    let cases = [
        (Wrong::Fails, "ran to its end"),
        (Wrong::HandedOutTwice, "no byte was lost"),
        (Wrong::Lost, "by the kernel's view"),
        (Wrong::Kept, "by the kernel's view"),
        (Wrong::Calls, "called as often"),
        (Wrong::Discards, "discarded the pages"),
        (Wrong::Resident, "returns at least 95.0 %"),
    ];
    for (wrong, what) in cases {
        // The first trials of the first block are over some transport each; one of them is served by the vCPU's thread.
        let failing = (0..6).map(|trial| summary_of(Experiment::Memhog, Some((trial, wrong))));
        let mut failing = failing.filter(EngineSummary::failed);
        let summary = failing.next().unwrap_or_else(|| panic!("{wrong:?} goes unnoticed"));
        assert_eq!(standing(&summary, what), Standing::Fails, "{wrong:?}");
        let others = summary.checks.iter().filter(|check| check.standing == Standing::Fails).count();
        assert_eq!(others, 1, "{wrong:?}: {:#?}", summary.checks);
    }
}

#[test]
fn what_ended_before_a_signal_is_reported_and_torn_ends_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let tally = run(directory.path(), Experiment::Rate, Some((5, Wrong::Stopped)));
    assert_eq!((tally.measured, tally.failed), (5, 0));
    let summary = report::rebuild(directory.path()).unwrap();
    assert_eq!((summary.measured, standing(&summary, "ran to its end")), (5, Standing::Doubtful));
    for name in [file::TRIALS, hlog::FILE] {
        let path = directory.path().join(name);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 30]).unwrap();
    }
    let archive = EngineArchive::open(directory.path()).unwrap();
    assert_eq!((archive.trials.len(), archive.remarks.len()), (4, 2), "{:?}", archive.remarks);
    report::rebuild(directory.path()).unwrap();
}

#[test]
fn a_soak_ends_when_its_time_is_up() {
    let directory = tempfile::tempdir().unwrap();
    let plan = EnginePlan::built_in(Experiment::Soak, true).unwrap().on(2, CallBy::Port).unwrap();
    let mut journal = Journal::create(directory.path(), &environment(), Some(plan.to_toml())).unwrap();
    let slots = interleaved(cells::of(&plan, CallBy::Port), 1, 1);
    let stop = AtomicBool::new(false);
    let mut engine = FakeEngine::default();
    let most = Some(Duration::ZERO);
    let tally = run_all(&slots, most, &mut engine, &stop, &mut journal, &mut Nobody).unwrap();
    assert_eq!(tally, Tally { measured: 1, failed: 0, missing: 0 });
    assert!(!report::rebuild(directory.path()).unwrap().failed());
}
