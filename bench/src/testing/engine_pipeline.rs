//! From a plan to the report, with a fake machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use host::axes::Axis;
use host::engine::{PerCpuLists, Walk};

use super::engine::{FakeEngine, Wrong};
use super::timed::environment;
use super::{plan, rebuild, run as run_plan, standing};
use crate::archive::{Archive, file, hlog};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::contract::Findings;
use crate::experiment::page_faults::breakdown::LoadPhase;
use crate::experiment::page_faults::found::Found;
use crate::experiment::page_faults::state::State;
use crate::experiment::walk::found::Found as Walks;
use crate::experiment::{self, flush};
use crate::figure::check::Standing;
use crate::figure::table::Grid;
use crate::plan::keys::Keys;
use crate::report::summary::Summary;
use crate::report::terminal;
use crate::run::listener::Tally;

/// Experiments whose trials are of the engine.
const OF_THE_ENGINE: [&str; 8] =
    ["page-faults", "walk", "memhog", "flush", "rate", "sweep", "soak", "engine"];

fn run(directory: &Path, name: &str, wrong: Option<(usize, Wrong)>) -> Tally {
    let (plan, mut engine) = (plan(name, &Keys::default()), FakeEngine { wrong, ..FakeEngine::default() });
    // Two blocks of a soak are as good as any number.
    let most = plan.time().map(|_| Duration::from_millis(300));
    run_plan(directory, &environment(), &plan, most, &mut engine)
}

fn summary_of(name: &str, wrong: Option<(usize, Wrong)>) -> Summary {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), name, wrong);
    rebuild(directory.path()).unwrap().summary
}

/// How long a guest waits before it reports is half of what reporting costs.
#[test]
fn every_experiment_of_the_engine_takes_a_delay() {
    for name in OF_THE_ENGINE {
        let experiment = experiment::named(name).unwrap();
        assert!(["delay-ms", "delays-ms"].iter().any(|key| experiment.looks_at(key)), "{name}");
    }
}

#[test]
fn a_flush_takes_what_its_reports_take() {
    let directory = tempfile::tempdir().unwrap();
    run_plan(
        directory.path(),
        &environment(),
        &plan("flush", &Keys::default()),
        None,
        &mut FakeEngine::default(),
    );
    let summary = rebuild(directory.path()).unwrap().summary;
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert_eq!(standing(&summary, "after every flush"), Standing::Holds);
    let found: flush::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    // The two ends of the argument.
    assert_eq!(found.cells.len(), 2);
    for cell in &found.cells {
        let expected = cell.reports * 20_000.0 + cell.pages / 512.0 * 1000.0;
        assert!((cell.took.middle - expected).abs() < 2000.0, "{cell:?}");
    }
    assert_eq!(summary.answer.iter().filter(|said| said.starts_with("Over ")).count(), 2);
    let of_the_other = found.cells.iter().filter_map(|cell| cell.against_least);
    assert_eq!(of_the_other.map(|against| against.more.blocks).collect::<Vec<_>>(), [6]);
}

#[test]
fn every_experiment_becomes_a_report() {
    for name in OF_THE_ENGINE {
        let directory = tempfile::tempdir().unwrap();
        let tally = run(directory.path(), name, None);
        let shown = rebuild(directory.path()).unwrap();
        let summary = &shown.summary;
        assert!(!summary.failed(), "{}: {:#?}", name, summary.checks);
        assert_eq!((summary.measured, tally.failed + tally.missing), (tally.measured, 0));
        let text = fs::read_to_string(directory.path().join("report.md")).unwrap();
        for part in [summary.host.as_str(), "## Figures", "## Checks", "ok: no byte was lost", "n"] {
            assert!(text.contains(part), "{}: {part} in {text}", name);
        }
        for grid in shown.found.tables() {
            assert!(text.contains(&grid.title), "{}", grid.title);
        }
        let read: Summary =
            serde_json::from_slice(&fs::read(directory.path().join("summary.json")).unwrap()).unwrap();
        assert_eq!((&read.checks, &read.answer), (&summary.checks, &summary.answer));
        let mut out = Vec::new();
        terminal::show(&mut out, &shown).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("Checks"));
        let curves = ["curve.csv", "curve.svg"].map(|name| directory.path().join(name).exists());
        assert_eq!(curves, [name == "memhog"; 2], "{}", name);
    }
}

#[test]
fn the_fakes_costs_come_back_out_of_page_faults() {
    let summary = summary_of("page-faults", None);
    let found: Found = serde_json::from_value(summary.found.clone()).unwrap();
    let units: Vec<_> = found.units.iter().map(|unit| (unit.unit, unit.pcp.0)).collect();
    assert_eq!(units, [(9, PerCpuLists::Off), (9, PerCpuLists::Linux)]);
    let huge = &found.units[0];
    assert_eq!(huge.rows.len(), 1 + 2 * 3);
    let row =
        |rung, state| huge.rows.iter().find(|row| row.rung == rung && row.state.0 == state).expect("a row");
    let off = row(None, State::Off);
    assert!(!off.change.shows_difference(), "{off:?}");
    // 99 µs instead of 95, of which 2 are touching again; the oracle's 5 are in neither.
    let on = row(Some(Named(Rung::Virtio)), State::WithDiscard);
    assert!((on.change.middle - (95.0 / 99.0 - 1.0)).abs() < 0.002, "{on:?}");
    assert!(on.change.shows_difference());
    assert!((on.breakdown.whole.middle - 4000.0).abs() < 100.0, "{:?}", on.breakdown.whole);
    let touch = &on.breakdown.phases[&Named(LoadPhase::Touch)];
    assert!((touch.middle - 2000.0).abs() < 1.0, "{touch:?}");
    let sum: f64 = on.breakdown.phases.values().map(|phase| phase.middle).sum();
    assert!((sum - on.breakdown.whole.middle).abs() < 1e-6, "the phases add up");
    assert!((on.taken_reported - 0.1).abs() < 1e-9);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("Blocks of 2 MiB, off: cannot be told from none"), "{answer}");
    assert!(answer.contains("fewer operations a second (-4.0"), "{answer}");
    let tables: Vec<String> = found.tables().iter().map(Grid::to_text).collect();
    assert!(tables[2].contains("unused page reporting v7, 2019-09"), "{}", tables[2]);
    // Every transport has its three rows, off among them.
    assert_eq!(tables[0].matches(" off ").count(), 3, "{}", tables[0]);
}

#[test]
fn growth_is_named() {
    let summary = summary_of("walk", None);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("rewalk: blocks looked at for a block reported: linear in the list"), "{answer}");
    assert!(answer.contains("rotation: blocks looked at for a block reported: constant"), "{answer}");
    assert!(answer.contains(
        "rotation, with compaction moving the list: blocks looked at for a block reported: linear"
    ));
    let found: Walks = serde_json::from_value(summary.found.clone()).unwrap();
    // Hold is asked for by name.
    assert_eq!(found.loads.len(), Walk::ALL.len() - 1);
    assert!(found.loads.iter().all(|row| row.on.is_some() && row.off.is_some()));
}

#[test]
fn a_rate_that_is_not_the_formulas_is_named() {
    let summary = summary_of("rate", None);
    assert_eq!(standing(&summary, "predicted rate"), Standing::Holds);
    let summary = summary_of("rate", Some((1, Wrong::Slow)));
    assert_eq!(standing(&summary, "predicted rate"), Standing::Unknown, "one block of six is no rate");
    let summary = summary_of("rate", Some((1, Wrong::Stalls)));
    assert_eq!(standing(&summary, "predicted rate"), Standing::Fails);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("Reporting stopped before a third pass: order "), "{answer}");
    assert!(answer.contains(": 1 pass instead of "), "{answer}");
}

#[test]
fn whatever_goes_wrong_fails_by_name() {
    let cases = [
        (Wrong::Fails, "ran to its end"),
        (Wrong::HandedOutTwice, "no byte was lost"),
        (Wrong::Lost, "by the kernel's view"),
        (Wrong::Kept, "by the kernel's view"),
        (Wrong::Calls, "called as often"),
        (Wrong::Discards, "discarded what the guest reported"),
        (Wrong::Resident, "returns at least 95.0 %"),
        (Wrong::SeenByTheHost, "as it must be"),
        (Wrong::NotLooked, "as it must be"),
    ];
    for (wrong, what) in cases {
        // The first trials of the first block are over some transport each; one of them is served by the vCPU's thread.
        let failing = (0..6).map(|trial| summary_of("memhog", Some((trial, wrong))));
        let mut failing = failing.filter(Summary::failed);
        let summary = failing.next().unwrap_or_else(|| panic!("{wrong:?} goes unnoticed"));
        assert_eq!(standing(&summary, what), Standing::Fails, "{wrong:?}");
        let others = summary.checks.iter().filter(|check| check.standing == Standing::Fails).count();
        assert_eq!(others, 1, "{wrong:?}: {:#?}", summary.checks);
    }
}

#[test]
fn memory_that_is_only_unmapped_is_not_called_back() {
    let summary = summary_of("memhog", Some((0, Wrong::UnmapsOnly)));
    assert_eq!(standing(&summary, "unmapped pages are back"), Standing::Fails);
    assert_eq!(standing(&summary, "returns at least 95.0 %"), Standing::Fails);
    let summary = summary_of("memhog", Some((0, Wrong::CannotTell)));
    for what in ["unmapped pages are back", "returns at least 95.0 %"] {
        assert_eq!(standing(&summary, what), Standing::Unknown, "{:#?}", summary.checks);
    }
}

#[test]
fn what_ended_before_a_signal_is_reported_and_torn_ends_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let tally = run(directory.path(), "rate", Some((5, Wrong::Stopped)));
    assert_eq!((tally.measured, tally.failed), (5, 0));
    let summary = rebuild(directory.path()).unwrap().summary;
    assert_eq!((summary.measured, standing(&summary, "ran to its end")), (5, Standing::Doubtful));
    for name in [file::TRIALS, hlog::FILE] {
        let path = directory.path().join(name);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 30]).unwrap();
    }
    let archive = Archive::open(directory.path()).unwrap();
    assert_eq!((archive.trials.len(), archive.remarks.len()), (4, 2), "{:?}", archive.remarks);
    rebuild(directory.path()).unwrap();
}

#[test]
fn a_soak_ends_when_its_time_is_up() {
    let directory = tempfile::tempdir().unwrap();
    let (plan, mut engine) = (plan("soak", &Keys::default()), FakeEngine::default());
    let tally = run_plan(directory.path(), &environment(), &plan, Some(Duration::ZERO), &mut engine);
    assert_eq!(tally, Tally { measured: 1, failed: 0, missing: 0 });
    let summary = rebuild(directory.path()).unwrap().summary;
    assert_eq!((summary.failed(), standing(&summary, "ran to its end")), (false, Standing::Doubtful));

    let again = directory.path().join("stopped");
    let tally = run(&again, "soak", Some((1, Wrong::Stopped)));
    assert_eq!(
        tally,
        Tally { measured: 1, failed: 0, missing: 1 },
        "nobody knows how many there would have been"
    );
}

#[test]
fn a_cell_without_its_histograms_says_so() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), "rate", None);
    fs::write(directory.path().join(hlog::FILE), "").unwrap();
    let summary = rebuild(directory.path()).unwrap().summary;
    assert_eq!(summary.remarks.len(), summary.cells.len(), "{:?}", summary.remarks);
}

#[test]
fn a_counter_that_nobody_knows_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), "rate", None);
    let path = directory.path().join(file::TRIALS);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen("\"operations\":", "\"opera\":", 1)).unwrap();
    let said = rebuild(directory.path()).err().unwrap().to_string();
    assert!(said.contains("line 1 of ") && said.contains("opera"), "{said}");
}
