//! Runs that add blocks until they know enough, with a fake executor.

use std::sync::atomic::AtomicBool;

use super::timed::{FakeExecutor, environment};
use super::{Count, plan, rebuild, standing};
use crate::experiment;
use crate::figure::check::Standing;
use crate::plan::keys::Keys;
use crate::report::summary::Summary;
use crate::report::sure::Stopped;
use crate::run::journal::Journal;
use crate::run::listener::Tally;
use crate::run::sequential::{Goal, run_until};
use crate::trial::checks::COMPLETE;

/// Runs the ladder until `share`, after a first look at six blocks.
fn go(share: &str, within: &str, enough_at: usize, mut executor: FakeExecutor) -> (Tally, Summary) {
    let [until, within] = [share, within].map(str::to_owned);
    let keys = Keys {
        blocks: Some(6),
        until: Some(until.parse().unwrap()),
        within: Some(within.parse().unwrap()),
        ..Keys::default()
    };
    let (plan, directory) = (plan("ladder", &keys), tempfile::tempdir().unwrap());
    let mut journal = Journal::create(directory.path(), &environment(), &plan).unwrap();
    let slots = experiment::named("ladder").unwrap().schedule(&plan, environment().call());
    let cells = slots.iter().take_while(|slot| slot.block == 0).count();
    let mut is_enough = |journal: &Journal| journal.archive().unwrap().trials.len() >= enough_at * cells;
    let goal = Goal { first: 6, within: plan.within().duration(), is_enough: &mut is_enough };
    let (stop, mut count) = (AtomicBool::new(false), Count(Vec::new()));
    let (tally, kept) = run_until(&slots, goal, &mut executor, &stop, &mut journal, &mut count);
    kept.unwrap();
    assert_eq!(count.0.len(), tally.measured);
    (tally, rebuild(directory.path()).unwrap().summary)
}

#[test]
fn it_stops_at_the_first_look_that_is_enough_and_says_so() {
    let (tally, summary) = go("90%", "30m", 7, FakeExecutor::default());
    let sure = summary.sure.as_ref().unwrap();
    assert_eq!((sure.stopped, sure.blocks, tally.missing), (Some(Stopped::Narrow), 9, 0));
    assert!(!summary.is_wanting() && standing(&summary, COMPLETE) == Standing::Holds);
    assert!(
        summary.answer[1].contains("stopped after 9 blocks because they are as narrow"),
        "{:?}",
        summary.answer
    );
}

#[test]
fn when_its_time_is_over_it_ends_with_a_block_and_is_wanting() {
    let (tally, summary) = go("0.0001%", "0.001s", 1, FakeExecutor::default());
    let sure = summary.sure.as_ref().unwrap();
    assert_eq!((sure.stopped, tally.missing), (Some(Stopped::TimeIsOver), 0));
    assert!(sure.blocks < 6 && summary.is_wanting(), "{sure:?}");
    assert_eq!(standing(&summary, COMPLETE), Standing::Holds);
}

#[test]
fn interrupted_it_is_reported_as_far_as_it_went() {
    let (tally, summary) =
        go("2%", "30m", 100, FakeExecutor { stopped_at: Some(20), ..FakeExecutor::default() });
    assert!(tally.measured == 20 && tally.missing > 0, "{tally:?}");
    assert_eq!(summary.sure.as_ref().unwrap().stopped, Some(Stopped::Interrupted));
    assert_eq!(standing(&summary, COMPLETE), Standing::Doubtful);
}
