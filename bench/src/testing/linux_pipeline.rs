//! Whole runs of Linux guests with a fake executor.

use super::engine::FakeEngine;
use super::{plan_called, rebuild, run, standing, timed};
use crate::figure::check::Standing;
use crate::plan::keys::Keys;

#[test]
fn what_a_guest_frees_is_told_of_and_gone() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan_called("default", "linux", &Keys::default());
    let tally = run(directory.path(), &timed::environment(), &plan, None, &mut FakeEngine::default());
    assert_eq!((tally.measured, tally.failed, tally.missing), (3, 0, 0));
    let shown = rebuild(directory.path()).unwrap();
    for what in [
        "guest and host count the same",
        "was told of, and is gone",
        "was gone when the report was answered",
        "no more pages are gone",
        "no byte was lost",
    ] {
        assert_eq!(standing(&shown.summary, what), Standing::Holds, "{what}: {:#?}", shown.summary.checks);
    }
    let answer = shown.summary.answer.join("\n");
    assert!(answer.contains("32768 of 32768 different pages that were told of are gone"), "{answer}");
    let text: String = shown.found.tables().iter().map(crate::figure::table::Grid::to_text).collect();
    assert!(text.contains("90 % back after") && text.contains("2.00 s"), "{text}");
}

#[test]
fn page_faults_are_held_against_a_guest_that_does_not_report() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys { blocks: Some(12), ..Keys::default() };
    let plan = plan_called("page-fault", "linux", &keys);
    run(directory.path(), &timed::environment(), &plan, None, &mut FakeEngine::default());
    let shown = rebuild(directory.path()).unwrap();
    let changes: Vec<&String> =
        shown.summary.answer.iter().filter(|line| line.contains("with reporting by")).collect();
    // In pages of both sizes: two ways, each with and without a discard.
    assert_eq!(changes.len(), 8, "{:#?}", shown.summary.answer);
    assert!(changes.iter().all(|line| line.contains("2.0 % fewer operations a second")), "{changes:#?}");
}
