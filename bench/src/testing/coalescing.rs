//! A whole run of the experiment of every carrier by the ranges of a report, with a fake machine.

use std::fs;

use super::timed::{FakeExecutor, environment};
use super::{plan, rebuild, run};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::coalescing;
use crate::plan::keys::Keys;

#[test]
fn curves_of_carriers_are_held_against_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys { blocks: Some(9), batches: Some(vec![1, 32]), reports: Some(2), ..Keys::default() };
    run(directory.path(), &environment(), &plan("coalescing", &keys), None, &mut FakeExecutor::default());
    let summary = rebuild(directory.path()).unwrap().summary;
    let found: coalescing::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert_eq!(found.cells.len(), 8 * 2);
    let exits = |rung, batch| {
        let is_it = |cell: &&coalescing::found::Cell| cell.rung == Some(Named(rung)) && cell.batch == batch;
        found.cells.iter().find(is_it).unwrap().exits_per_1000_ranges
    };
    assert_eq!(exits(Rung::HypercallEach, 32).round(), 1000.0);
    assert_eq!(exits(Rung::HypercallBatch, 32).round(), 31.0);
    let text = fs::read_to_string(directory.path().join("report.md")).unwrap();
    assert!(text.contains("A range over hypercall-batch against hypercall-each: cheaper at 32"), "{text}");
}
