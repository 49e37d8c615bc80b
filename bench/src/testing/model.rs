//! The model and the waterfall over the runs of `results/reference`.

use std::path::Path;

use super::timed::{FakeExecutor, environment};
use super::{plan, rebuild, run};
use crate::archive::Archive;
use crate::experiment::batch;
use crate::experiment::ladder::found::Found;
use crate::model::agree::agree;
use crate::model::fit::Fit;
use crate::model::floors::{doorbells_of, floors_of, transfer};
use crate::model::observed::Observed;
use crate::model::profile::Profile;
use crate::model::scale::Scale;
use crate::plan::keys::Keys;

/// Runs of the ladder: one of times, three of instructions.
const LADDERS: [&str; 4] = ["kvm_pvm", "lab-6.1", "lab-6.12", "lab-intel-6.1"];

fn reference(name: &str) -> Archive {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference").join(name);
    Archive::open(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn profile(archive: &Archive, name: &str) -> (Profile, Observed) {
    let observed = Observed::of(archive);
    let unit = Scale::from(archive.unit());
    let fit = Fit::of(&observed.cells, &doorbells_of(archive), unit, 1, archive.sampling()).unwrap();
    (fit.profile().called(name), observed)
}

#[test]
fn waterfalls_add_up_to_the_whole_in_time_and_in_instructions() {
    for name in LADDERS {
        let found = Found::new(&reference(name));
        assert_eq!(found.waterfalls.len(), 2, "{name}");
        for fall in &found.waterfalls {
            let parts: f64 = fall.steps.iter().map(|step| step.per_range.middle).sum();
            let whole = fall.whole;
            assert_eq!(fall.steps.len(), 6, "{name}");
            assert!(
                (whole.low..=whole.high).contains(&parts),
                "{name}, {}: {parts} of {whole:?}",
                fall.discard
            );
            // Every rung ran in every block: counts are the whole, and not only within its interval; middles are close to it.
            let off = if whole.is_counted() { 1e-6 } else { 0.01 };
            assert!((parts - whole.middle).abs() <= off * whole.middle.abs(), "{name}: {parts} of {whole:?}");
        }
    }
}

#[test]
fn a_lab_is_predicted_by_its_floors_and_the_terms_of_another() {
    let first = reference("lab-6.1");
    let (from, guest) = (profile(&first, "lab-6.1").0, floors_of(&first).instruction);
    for name in ["lab-6.12", "lab-intel-6.1"] {
        let archive = reference(name);
        let (own, observed) = profile(&archive, name);
        let transfer = transfer(&from, guest, &own, &floors_of(&archive), &observed.cells);
        assert!(transfer.cells.len() >= 18 && transfer.median < 0.30, "{transfer:?}");
        for cell in &transfer.cells {
            assert!(cell.share().abs() < 0.30 && cell.missing.is_none(), "{cell:?}");
        }
    }
}

#[test]
fn a_run_agrees_with_itself_and_not_with_one_of_another_host() {
    let [kvm, lab] = ["lab-intel-6.1", "lab-6.1"].map(reference);
    let same = agree(&kvm, &kvm);
    assert!(same.holds() && same.called > 10 && same.even > 0, "{same:?}");
    let other = agree(&kvm, &lab);
    assert!(other.compared == same.compared && !other.uneven.is_empty(), "{other:?}");
}

#[test]
fn a_batch_run_goes_from_plan_to_report_with_a_fit() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys { blocks: Some(6), batches: Some(vec![1, 8, 32]), warmup: Some(0), ..Keys::default() };
    run(directory.path(), &environment(), &plan("batch", &keys), None, &mut FakeExecutor::default());
    let summary = rebuild(directory.path()).unwrap().summary;
    let found: batch::found::Found = serde_json::from_value(summary.found.clone()).unwrap();
    let fit = found.fit.unwrap();
    assert!(fit.error.is_some() && fit.held_out.is_some_and(|held| held.cells >= 5), "{fit:?}");
    assert!(!found.measured.is_empty() && !found.even.is_empty() && !found.contests.is_empty());
    assert!(!summary.failed(), "{:#?}", summary.checks);
    assert!(summary.answer.iter().any(|said| said.contains("held out")), "{:#?}", summary.answer);
}
