//! The experiments on several vCPUs and on processor time, from a plan to what is found, with a fake machine.

use super::timed::{FakeExecutor, environment};
use super::{plan, rebuild, run as run_plan, standing};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::{cpu, stall};
use crate::figure::check::Standing;
use crate::plan::keys::Keys;
use crate::report::summary::Summary;

fn summary(name: &str) -> (Summary, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(name, &Keys::default());
    run_plan(directory.path(), &environment(), &plan, None, &mut FakeExecutor::default());
    (rebuild(directory.path()).unwrap().summary, directory)
}

#[test]
fn who_is_kept_how_long_comes_out_of_the_far_end() {
    let (summary, directory) = summary("stall");
    let found: stall::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    assert!(!summary.failed(), "{:#?}", summary.checks);
    // Two transports: three rows of those that report, two of those that fault; and those beside whom nobody reports.
    assert_eq!(found.rows.len(), 2 * (3 + 2) + 1);
    let row = |rung: Option<Rung>, reporters, does| {
        let is = |row: &&stall::found::Row| {
            row.rung == rung.map(Named) && row.reporters == reporters && row.does == Named(does)
        };
        found.rows.iter().find(is).unwrap()
    };
    let (faults, reports) = (stall::found::Does::Faults, stall::found::Does::Reports);
    // Ticks of half a nanosecond: a fault is 2 µs, one in five hundred 1.5 ms for each that reports.
    let beside = row(Some(Rung::Virtio), 3, faults);
    assert!(
        (beside.kept.p50 - 2000.0).abs() < 1.0 && (beside.kept.p999 - 4_502_000.0).abs() < 50.0,
        "{beside:?}"
    );
    assert!(beside.against.unwrap().shows_difference(), "{beside:?}");
    assert!((row(None, 0, faults).kept.max - 2010.0).abs() < 11.0);
    assert_eq!(row(Some(Rung::HypercallBatch), 3, reports).kept.n, 8 * 3 * 40);
    assert!(
        summary.answer.iter().any(|said| said.contains("3 reporting, 1 faulting")),
        "{:#?}",
        summary.answer
    );
    assert!(summary.answer.iter().any(|said| said.contains("MADV_DONTNEED")), "{:#?}", summary.answer);
    let picture = std::fs::read_to_string(directory.path().join("tail.svg")).unwrap();
    assert_eq!(picture.matches("class=\"line").count(), 2 * found.rows.len(), "each once, and in the legend");
    // A trial of 40 reports in eight blocks is not enough for the tail of those that report alone.
    assert_eq!(standing(&summary, "samples enough"), Standing::Doubtful);
}

#[test]
fn processor_time_comes_out_of_the_far_end_thread_by_thread() {
    let (summary, _) = summary("cpu");
    let found: cpu::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    assert!(!summary.failed(), "{:#?}", summary.checks);
    let row = |rung| found.rows.iter().find(|row| row.rung == Some(Named(rung))).unwrap();
    // 32 pages a report, 8192 reports a GiB.
    let (batch, virtio, polling) = (row(Rung::HypercallBatch), row(Rung::Virtio), row(Rung::PollingVirtio));
    assert!((batch.both.middle / 8192.0 - 20_000.0).abs() < 20.0, "{batch:?}");
    assert_eq!((batch.device, batch.against, batch.looks), (None, None, 0.0));
    assert!((virtio.device.unwrap().middle / 8192.0 - 10_000.0).abs() < 20.0, "{virtio:?}");
    assert!((polling.against.unwrap().middle / 8192.0 - 90_000.0).abs() < 20.0, "{polling:?}");
    assert!((polling.looks - 50.0).abs() < f64::EPSILON, "{polling:?}");
    assert!(summary.answer.iter().any(|said| said.starts_with("polling-virtio")), "{:#?}", summary.answer);
}
