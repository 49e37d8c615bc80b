//! From a plan to the report, with a fake machine.

use std::fs;
use std::path::Path;

use host::axes::Discard;
use serde_json::Value;

use super::timed::{Badly, FakeExecutor, Weighing, environment, lab};
use super::{plan, rebuild, run as run_plan, standing};
use crate::SCHEMA_VERSION;
use crate::archive::hlog;
use crate::archive::{Archive, ArchiveError, file};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::discards;
use crate::experiment::ladder::found::Found;
use crate::figure::check::Standing;
use crate::figure::table::Grid;
use crate::plan::Plan;
use crate::plan::keys::Keys;
use crate::report::summary::Summary;
use crate::report::{ReportError, terminal};
use crate::run::journal::{Journal, JournalError};
use crate::run::listener::Tally;
use crate::site::environment::Environment;

fn ladder() -> Plan {
    plan("ladder", &Keys { reports: Some(20), warmup: Some(0), ..Keys::default() })
}

fn run(directory: &Path, executor: FakeExecutor) -> Tally {
    run_at(directory, &environment(), executor)
}

fn run_at(directory: &Path, environment: &Environment, mut executor: FakeExecutor) -> Tally {
    run_plan(directory, environment, &ladder(), None, &mut executor)
}

fn rebuilt(directory: &Path) -> Summary {
    rebuild(directory).unwrap().summary
}

#[test]
fn discards_that_free_nothing_are_said_to() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys { blocks: Some(2), warmup: Some(0), ..Keys::default() };
    run_plan(directory.path(), &environment(), &plan("discards", &keys), None, &mut FakeExecutor::default());
    let summary = rebuilt(directory.path());
    let found: discards::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    // Pairs of a discard and a memory it goes with, of one order.
    assert_eq!(found.cells.len(), 16);
    let put_off = found.cells.iter().filter_map(|cell| cell.later);
    assert!(put_off.clone().count() == 2 && put_off.into_iter().all(|later| later.middle > 0.0));
    assert_eq!(standing(&summary, "what was put off"), Standing::Holds);
    assert!(!summary.failed(), "{:#?}", summary.checks);
    for cell in &found.cells {
        let all = cell.proof.unmapped == cell.proof.reported;
        let lazily = cell.proof.lazy == cell.proof.reported;
        assert!(all || lazily || cell.why_nothing.is_some(), "{cell:?}");
    }
    assert!(summary.answer.iter().any(|said| said.contains("dontneed of memfd")), "{:#?}", summary.answer);
    assert_eq!(standing(&summary, "discarded pages are unmapped"), Standing::Doubtful);
    assert_eq!(standing(&summary, "freed lazily"), Standing::Holds);
}

#[test]
fn what_reports_do_to_other_pages_is_told_by_discard_and_memory() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::default();
    run_plan(
        directory.path(),
        &environment(),
        &plan("collateral", &keys),
        None,
        &mut FakeExecutor::default(),
    );
    let summary = rebuilt(directory.path());
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert_eq!(standing(&summary, "looked at every other page"), Standing::Holds);
    let answer = summary.answer.join("\n");
    assert!(
        answer.contains("dontneed of anon-thp in blocks of 4 KiB") && !answer.contains("dontneed of anon in"),
        "{answer}"
    );
    assert!(answer.contains("5.00 mappings more"), "{answer}");
}

#[test]
fn one_call_for_all_ranges_is_cheaper_from_a_size_on() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys { warmup: Some(0), ..Keys::default() };
    run_plan(directory.path(), &environment(), &plan("vectored", &keys), None, &mut FakeExecutor::default());
    let summary = rebuilt(directory.path());
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert_eq!(standing(&summary, "a call for each range"), Standing::Holds);
    let answer = summary.answer.join("\n");
    assert!(answer.contains("from 8 ranges on"), "{answer}");
    assert!(
        answer.contains("At 32 ranges its discard takes") && answer.contains("At 511 ranges"),
        "{answer}"
    );
}

#[test]
fn a_plan_becomes_a_report() {
    let directory = tempfile::tempdir().unwrap();
    let tally = run(directory.path(), FakeExecutor::default());
    assert_eq!(tally, Tally { measured: 200, failed: 0, missing: 0 });
    let summary = rebuilt(directory.path());
    let found: Found = serde_json::from_value(summary.found.clone()).unwrap();
    assert_eq!(found.cells.len(), 18);
    assert!(!summary.failed(), "{:#?}", summary.checks);

    // The fake's costs come back out of the far end: 31 exits of 1 µs spared over 32 ranges.
    let batch = found.cell(Rung::HypercallBatch, Discard::None).unwrap().step.unwrap();
    assert_eq!(batch.from, Named(Rung::HypercallEach));
    assert!((batch.per_range.middle + 31.0 / 32.0 * 1000.0).abs() < 5.0, "{batch:?}");
    assert!(batch.per_range.shows_difference());
    // What the stopwatch adds is taken off again, once a call: 100 ticks of half a nanosecond.
    for (rung, calls) in [(Rung::HypercallEach, 32.0), (Rung::HypercallBatch, 1.0), (Rung::InKernel, 1.0)] {
        let cell = found.cell(rung, Discard::None).unwrap();
        let net = cell.net.as_ref().unwrap();
        assert!((net.taken_off.middle - 50.0 * calls).abs() < 1e-9, "{net:?}");
        assert!((cell.per_report.p50 - net.per_report.p50 - 50.0 * calls).abs() < 1e-6, "{net:?}");
    }
    assert_eq!(standing(&summary, "what the stopwatch costs"), Standing::Holds);
    // The other half of an exit: 1000 ticks of half a nanosecond.
    let floor = found.cell(Rung::Floor, Discard::None).unwrap().step.unwrap();
    assert_eq!(floor.from, Named(Rung::InKernel));
    assert!((floor.per_range.middle - 500.0).abs() < 20.0, "{floor:?}");
    // The call and the notify register cost the same there: nothing may be claimed.
    let sync = found.cell(Rung::RingSync, Discard::None).unwrap().step.unwrap();
    assert!(!sync.per_range.shows_difference(), "{sync:?}");
    // Waking a thread: 9000 ticks of half a nanosecond over 32 ranges.
    let wake = found.cell(Rung::RingAsync, Discard::None).unwrap().step.unwrap();
    assert!((wake.per_range.middle - 4500.0 / 32.0).abs() < 5.0, "{wake:?}");

    let waterfall = &found.waterfalls[0];
    let sum: f64 = waterfall.steps.iter().map(|step| step.per_range.middle).sum();
    // Each is the middle of its own blocks, and these scatter.
    let close = |is: f64, known: f64| (is - known).abs() < 0.01 * known.abs();
    assert!(close(sum, waterfall.whole.middle), "the steps add up");
    // What the vCPU's flushes cost is neither hidden in the discard nor taken for the path.
    let apart = |rung| found.apart.iter().find(|apart| apart.rung == Named(rung)).unwrap();
    let polled = apart(Rung::RingAsync);
    let dearer = polled.dearer_discard.unwrap().middle;
    assert!((dearer - 900.0 * 32.0 / 2.0).abs() < 50.0, "{polled:?}");
    assert_eq!(polled.more_flushes, Some(32.0));
    assert!(polled.attribution(found.unit).unwrap().contains("32.0 more flushes"));
    assert!(close(polled.path.middle + dearer, polled.transport.middle), "{polled:?}");
    assert!(apart(Rung::RingSync).dearer_discard.unwrap().middle.abs() < 1e-9);
    let cheapest = apart(Rung::HypercallEach);
    assert_eq!(
        (cheapest.cheapest, cheapest.dearer_discard),
        (cheapest.rung, None),
        "nothing is dearer than itself"
    );
    // The transport of one side less that of the other is what lies between them.
    let whole = found.waterfalls.iter().find(|fall| fall.discard == Named(Discard::DontNeed)).unwrap();
    let more = apart(Rung::Virtio).transport.middle - apart(Rung::HypercallEach).transport.middle;
    assert!(close(more, whole.whole.middle * 32.0), "{more} {whole:?}");
    let verdict = summary.answer.join("\n");
    assert!(verdict.contains("coalescing exits matters more than everything else"), "{verdict}");
    assert!(verdict.contains("notify register instead of the call: equal within 5.0 %"), "{verdict}");
    assert!(verdict.contains("leaving the kernel costs a call +"), "{verdict}");
    assert!(!verdict.contains("in-kernel is the cheapest"), "it names no pages: {verdict}");

    let text = fs::read_to_string(directory.path().join("report.md")).unwrap();
    for part in [&summary.host, "| hypercall-batch", "## Checks", "ok: no byte was lost"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let csv = fs::read_to_string(directory.path().join("percentiles.csv")).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
    let read: Summary =
        serde_json::from_slice(&fs::read(directory.path().join("summary.json")).unwrap()).unwrap();
    assert_eq!((read.answer, read.cells.len()), (summary.answer, 20));
}

/// A run whose counter counts instructions, with what its kernel says about idling.
fn run_in_the_lab(directory: &Path, idle_ticks: Option<u64>) -> Summary {
    let executor = FakeExecutor { counts_instructions: true, idle_ticks, ..FakeExecutor::default() };
    run_at(directory, &lab(), executor);
    rebuilt(directory)
}

/// Whether some word of a text is a unit of time.
fn speaks_of_time(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !"_'".contains(c));
    words.into_iter().find(|word| {
        ["ns", "µs", "ms", "s", "seconds", "nanoseconds", "tsc_khz", "started_s", "took_s"].contains(word)
            || word.ends_with("_ns")
    })
}

#[test]
fn a_run_of_instructions_speaks_of_no_time_in_any_file() {
    let directory = tempfile::tempdir().unwrap();
    let summary = run_in_the_lab(directory.path(), Some(0));
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert_eq!(standing(&summary, "never went idle"), Standing::Holds);
    for name in
        ["report.md", "report.html", "summary.json", "percentiles.csv", file::TRIALS, file::ENVIRONMENT]
    {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        assert!(text.contains("instructions"), "{name}");
        assert_eq!(speaks_of_time(&text), None, "{name}");
    }
    let mut shown = Vec::new();
    terminal::show(&mut shown, &rebuild(directory.path()).unwrap()).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains(" instr ") && shown.contains("not time"), "{shown}");
    assert_eq!(speaks_of_time(&shown), None, "{shown}");
}

#[test]
fn the_same_instructions_give_the_same_summary_wherever_and_whenever() {
    let summary = || {
        let directory = tempfile::tempdir().unwrap();
        run_in_the_lab(directory.path(), Some(0));
        ["summary.json", "percentiles.csv", file::TRIALS, hlog::FILE]
            .map(|name| fs::read(directory.path().join(name)).unwrap())
    };
    assert!(summary() == summary());
}

#[test]
fn ticks_that_nobody_executed_are_no_instructions() {
    let directory = tempfile::tempdir().unwrap();
    let summary = run_in_the_lab(&directory.path().join("idle"), Some(17));
    assert_eq!(standing(&summary, "never went idle"), Standing::Fails);
    let summary = run_in_the_lab(&directory.path().join("silent"), None);
    assert_eq!(standing(&summary, "never went idle"), Standing::Unknown);
    run(&directory.path().join("time"), FakeExecutor::default());
    let summary = rebuilt(&directory.path().join("time"));
    assert!(summary.checks.iter().all(|check| !check.what.contains("idle")));
}

#[test]
fn a_figure_in_one_unit_is_not_shown_in_the_other() {
    let directory = tempfile::tempdir().unwrap();
    run_at(directory.path(), &lab(), FakeExecutor::default());
    let refusal = rebuild(directory.path()).err().unwrap().to_string();
    assert!(
        refusal.contains("trial 0") && refusal.contains("is in ns, its environment.json says instructions"),
        "{refusal}"
    );
}

#[test]
fn a_stopwatch_that_was_not_weighed_or_costs_less_than_nothing_is_no_ok() {
    for (stopwatch, expected, taken_off) in [
        (Weighing::Never, Standing::Unknown, false),
        (Weighing::Backwards, Standing::Fails, true),
        (Weighing::InOneBlock, Standing::Doubtful, true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        run(directory.path(), FakeExecutor { weighing: stopwatch, ..FakeExecutor::default() });
        let summary = rebuilt(directory.path());
        assert_eq!(standing(&summary, "what the stopwatch costs"), expected, "{stopwatch:?}");
        let found: Found = serde_json::from_value(summary.found.clone()).unwrap();
        assert!(found.cells.iter().all(|cell| cell.net.is_some() == taken_off), "{stopwatch:?}");
        let said = summary.answer.iter().any(|sentence| sentence.contains("was not weighed"));
        assert_eq!(said, !taken_off, "{:?}", summary.answer);
    }
}

#[test]
fn a_failed_trial_is_kept_and_the_run_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let tally = run(directory.path(), FakeExecutor { fails_at: Some(3), ..FakeExecutor::default() });
    assert_eq!(tally, Tally { measured: 199, failed: 1, missing: 0 });
    let summary = rebuilt(directory.path());
    assert!(summary.failed[&3].contains("/dev/kvm"));
    assert_eq!(standing(&summary, "ran to its end"), Standing::Fails);
}

#[test]
fn what_ended_before_a_signal_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let tally = run(directory.path(), FakeExecutor { stopped_at: Some(20), ..FakeExecutor::default() });
    assert_eq!(tally, Tally { measured: 20, failed: 0, missing: 180 });
    let summary = rebuilt(directory.path());
    assert_eq!((summary.measured, summary.planned), (20, 200));
    assert_eq!(standing(&summary, "ran to its end"), Standing::Doubtful);
    assert!(summary.answer[0].contains("over 1 block; too few to show a difference"), "{:?}", summary.answer);
}

#[test]
fn what_the_stopwatch_costs_is_not_known_of_five_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan("ladder", &Keys { reports: Some(20), blocks: Some(5), ..Keys::default() });
    for weighing in [Weighing::Rightly, Weighing::Backwards] {
        let directory = directory.path().join(format!("{weighing:?}"));
        let mut executor = FakeExecutor { weighing, ..FakeExecutor::default() };
        run_plan(&directory, &environment(), &plan, None, &mut executor);
        assert_eq!(standing(&rebuilt(&directory), "what the stopwatch costs"), Standing::Unknown);
    }
}

#[test]
fn a_violated_oracle_fails_by_name() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), FakeExecutor { scrambled_at: Some(5), ..FakeExecutor::default() });
    let summary = rebuilt(directory.path());
    let check = summary.checks.iter().find(|check| check.standing == Standing::Fails).unwrap();
    assert!(check.detail.contains("scrambled 1 times in trial 5"), "{check:?}");
    assert!(summary.failed());
    let [answer] = summary.answer.as_slice() else { panic!("{:?}", summary.answer) };
    assert!(answer.starts_with("There is no answer") && answer.contains("no byte was lost"), "{answer}");
}

/// A run that discards badly.
fn discarded(badly: Badly) -> Summary {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), FakeExecutor { discards: Some(badly), ..FakeExecutor::default() });
    rebuilt(directory.path())
}

#[test]
fn unmapped_and_back_are_two_checks() {
    let standings = |badly| {
        let summary = discarded(badly);
        ["discarded pages are unmapped", "unmapped pages are back"].map(|what| standing(&summary, what))
    };
    assert_eq!(standings(Badly::UnmapsOnly), [Standing::Holds, Standing::Fails]);
    assert_eq!(standings(Badly::CannotTell), [Standing::Holds, Standing::Unknown]);
    let found: Found = serde_json::from_value(discarded(Badly::CannotTell).found).unwrap();
    let tables: String =
        crate::experiment::contract::Findings::tables(&found).iter().map(Grid::to_text).collect();
    assert!(tables.contains("unmapped") && tables.contains("unknown"), "{tables}");
    assert_eq!(standing(&discarded(Badly::NotAtAll), "discarded pages are unmapped"), Standing::Fails);
}

#[test]
fn torn_ends_are_left_out_and_said() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), FakeExecutor::default());
    for name in [file::TRIALS, hlog::FILE] {
        let path = directory.path().join(name);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 30]).unwrap();
    }
    let archive = Archive::open(directory.path()).unwrap();
    assert_eq!(archive.trials.len(), 199);
    assert_eq!(archive.remarks.len(), 2, "{:?}", archive.remarks);
    rebuild(directory.path()).unwrap();
}

#[test]
fn every_way_a_directory_can_be_wrong_has_its_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| rebuild(path).err().unwrap();
    assert!(matches!(refusal(directory.path()), ReportError::Archive(ArchiveError::NotARun { .. })));

    let run_at = directory.path().join("run");
    let killed = Journal::create(&run_at, &environment(), &ladder()).unwrap();
    assert!(matches!(refusal(&run_at), ReportError::Archive(ArchiveError::Empty { .. })));
    let again = Journal::create(&run_at, &environment(), &ladder()).err().unwrap();
    assert!(matches!(again, JournalError::NotEmpty { .. }));

    drop(killed);
    run(&run_at, FakeExecutor::default());
    let trials = run_at.join(file::TRIALS);
    let good = fs::read_to_string(&trials).unwrap();
    fs::write(
        &trials,
        good.replacen(&format!("\"schema_version\":{SCHEMA_VERSION}"), "\"schema_version\":7", 1),
    )
    .unwrap();
    assert!(refusal(&run_at).to_string().contains("schema version 7"));
    fs::write(&trials, good.replacen("\"hypercall", "\"hipercall", 1)).unwrap();
    assert!(refusal(&run_at).to_string().contains("line "));
    fs::write(&trials, &good).unwrap();

    let plan = run_at.join(file::PLAN);
    fs::write(&plan, "rungs = 7").unwrap();
    assert!(refusal(&run_at).to_string().contains("is not a plan"));
    fs::write(&plan, ladder().to_toml()).unwrap();
    fs::remove_file(run_at.join(hlog::FILE)).unwrap();
    let summary = rebuilt(&run_at);
    assert_eq!(summary.remarks, ["histograms.hlog is missing: there are no quantiles"]);
}

#[test]
fn a_plan_that_nobody_could_have_run_is_refused_with_its_file_and_key() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), FakeExecutor::default());
    let path = directory.path().join(file::PLAN);
    let good = ladder().to_toml();
    for (key, line, wrong) in [
        ("name", "name = \"ladder-quick\"", "name = \"../up\""),
        ("blocks", "blocks = 10", "blocks = 4294967295"),
        ("minutes", "blocks = 10", "minutes = -1"),
        ("minutes", "blocks = 10", "minutes = nan"),
        ("order", "order = 0", "order = 11"),
        ("rungs", "\"floor\", ", "\"floor\", \"floor\", "),
    ] {
        assert!(good.contains(line), "{line} in {good}");
        fs::write(&path, good.replacen(line, wrong, 1)).unwrap();
        let said = rebuild(directory.path()).err().unwrap().to_string();
        assert!(said.starts_with(&format!("{}: {key} is ", path.display())), "{said}");
    }
    fs::write(&path, good.replacen("schema-version = 3", "schema-version = 2", 1)).unwrap();
    let said = rebuild(directory.path()).err().unwrap().to_string();
    assert!(said.starts_with("schema-version is 2: ") && said.ends_with(path.to_str().unwrap()), "{said}");
}

type Change = fn(&mut Value);

#[test]
fn a_record_that_contradicts_itself_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), FakeExecutor::default());
    let path = directory.path().join(file::TRIALS);
    let good = fs::read_to_string(&path).unwrap();
    let cases: [(&str, Change); 3] = [
        ("trial is 0, after 0", |record| record["trial"] = 0.into()),
        ("rung is another", |record| drop(record.as_object_mut().unwrap().remove("rung"))),
        ("phases has no wake", |record| drop(record["phases"].as_object_mut().unwrap().remove("wake"))),
    ];
    for (what, change) in cases {
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        let mut record = serde_json::from_str(&lines[1]).unwrap();
        change(&mut record);
        lines[1] = record.to_string();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let said = rebuild(directory.path()).err().unwrap().to_string();
        assert!(said.contains(&format!("line 2 of {}", path.display())) && said.contains(what), "{said}");
    }
}
