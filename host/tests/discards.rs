//! Every discard with every memory that it goes with: the call is made, it frees what it is said to free, and reported
//! pages hold what they are said to hold. What this host does not have is refused with what would change that.

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::process::ExitCode;

use abi::addr::Order;
use abi::violation::Violation;
use host::axes::{Axis, Backing, Coalesce, Discard, Freed, Way};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Outcome, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::{Failed, Trial};

use common::{Checked, Transport};
use samples::{Samples, trial};

/// Transports: by whom they are served.
const SERVED: [&str; 2] = ["batch-mmio", "ring-async"];

/// Orders, and ranges in a report of each.
const BLOCKS: [(Order, u16); 2] = [(Order::PAGE, 32), (Order::HUGE, 2)];

/// Discards whose bugs are planted: one of each kind of call.
const PLANTED: [(Discard, Backing); 6] = [
    (Discard::DontNeed, Backing::File),
    (Discard::Remove, Backing::Memfd),
    (Discard::PunchHole, Backing::Memfd),
    (Discard::Remap, Backing::Anon),
    (Discard::Remap, Backing::Locked),
    (Discard::Vectored, Backing::Anon),
];

fn main() -> ExitCode {
    common::run(|facts| {
        let transports = common::transports(facts);
        let over = |name: &'static str| transports.iter().filter(move |transport| transport.name == name);
        // The vCPU's own thread discards, and another while the vCPU runs.
        let both = SERVED.into_iter().flat_map(over).flat_map(|transport| all(transport, facts));
        both.chain(over(SERVED[0]).flat_map(|transport| planted(transport, facts))).collect()
    })
}

fn all(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    ways(transport).into_iter().flat_map(|(name, way)| tests(&name, way, facts)).collect()
}

/// Every discard with every memory it goes with, and with every order of ranges where there is one call a range and
/// where there is one a report.
fn ways(transport: &Transport) -> Vec<(String, Way)> {
    let mut ways = Vec::new();
    for discard in Discard::ALL.iter().filter(|discard| **discard != Discard::None) {
        for backing in Backing::ALL {
            for coalesce in Coalesce::ALL {
                let way = Way { discard: *discard, backing: *backing, coalesce: *coalesce, ..transport.way };
                let plain =
                    *coalesce == Coalesce::Each || *backing == Backing::Anon || *backing == Backing::Memfd;
                if plain && way.validate().is_ok() {
                    let names = [discard.name(), backing.name(), coalesce.name()].join("-");
                    ways.push((format!("{}::{names}", transport.name), way));
                }
            }
        }
    }
    ways
}

fn tests(name: &str, way: Way, facts: &'static Facts) -> Vec<Trial> {
    let test = |(order, batch): (Order, u16)| {
        let spec = TimedSpec { order, batch, arena: None, reports: 4, ..timed_over(way) };
        Trial::test(format!("{name}-order-{}", order.get()), move || frees_what_it_is_said_to(&spec, facts))
    };
    BLOCKS.into_iter().map(test).collect()
}

/// The outcome, unless this host does not have such memory or such a call: that has to be said with what would help.
fn had(spec: &TimedSpec, facts: &Facts, planted: Planted) -> Result<Option<Outcome>, Failed> {
    let found = trial(spec, facts, planted, &mut Samples::of(spec));
    let Way { discard, backing, .. } = spec.way;
    match found {
        Ok(outcome) => Ok(Some(outcome)),
        Err(TrialError::Backing(error)) => {
            let said = error.to_string();
            println!("{} with {}: {said}", discard.name(), backing.name());
            let may_miss = matches!(backing, Backing::MemfdThp | Backing::Hugetlb | Backing::Locked)
                || discard == Discard::Vectored;
            assert!(may_miss, "every host has this: {said}");
            assert!(said.contains("as root") || said.contains("use --discard"), "no way out: {said}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn frees_what_it_is_said_to(spec: &TimedSpec, facts: &Facts) -> Checked {
    let Some(outcome) = had(spec, facts, Planted::NONE)? else { return Ok(()) };
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.reported_digest, outcome.taken_digest, "pages reported and taken");
    assert_eq!(outcome.common.madvise_failures, 0, "calls that failed: {:?}", outcome.common.madvise_error);
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    freed(spec, &outcome);
    called(spec, &outcome);
    Ok(())
}

/// By the kernel's account.
fn freed(spec: &TimedSpec, outcome: &Outcome) {
    let proof = outcome.proof;
    let report = u64::from(spec.batch) * spec.order.pages();
    assert_eq!((proof.reported, proof.resident_before), (2 * report, 2 * report), "pages reported for proof");
    match spec.way.frees(spec.order) {
        Freed::Nothing => assert_eq!((proof.unmapped, proof.back, proof.lazy), (0, 0, 0), "{proof:?}"),
        Freed::AsItLikes => {
            // A host that is short of memory takes some at once; one that takes all was not asked so.
            assert!(proof.lazy > 0, "{proof:?}");
            assert_eq!(proof.unmapped + proof.lazy, proof.reported, "{proof:?}");
        }
        Freed::All => {
            assert_eq!((proof.unmapped, proof.lazy), (proof.reported, 0), "{proof:?}");
            // A part of a huge page is back when the kernel has split that.
            let in_part = spec.way.backing.is_thp() && spec.order < Order::HUGE;
            assert!(in_part || proof.back + proof.unknown == proof.unmapped, "{proof:?}");
        }
    }
}

/// By our own: a discard that was left out has no call.
fn called(spec: &TimedSpec, outcome: &Outcome) {
    let ranges = spec.reports * u64::from(spec.batch);
    assert_eq!(outcome.common.discarded_pages, ranges * spec.order.pages(), "pages in calls");
    let calls = outcome.common.madvise_calls;
    match (spec.way.discard, spec.way.coalesce) {
        (Discard::Vectored, _) => assert_eq!(calls, spec.reports, "one call a report"),
        (_, Coalesce::Merged) => assert!((spec.reports..=ranges).contains(&calls), "{calls} calls"),
        (_, Coalesce::Each | Coalesce::Sorted) => assert_eq!(calls, ranges, "one call a range"),
    }
}

fn planted(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let bugs = [(Fault::SkipDiscard, Violation::StillThere), (Fault::PageTooMany, Violation::UnreportedLost)];
    let test = |(discard, backing): (Discard, Backing), (fault, violation): (Fault, Violation)| {
        let spec = timed_over(Way { discard, backing, ..transport.way });
        let name = format!("{}-{}-{}-is-caught", discard.name(), backing.name(), violation.name());
        Trial::test(name, move || {
            let Some(outcome) = had(&spec, facts, Planted::new(fault))? else { return Ok(()) };
            let found = &outcome.common.violations;
            assert!(found.iter().any(|(kind, _)| *kind == violation), "found {found:?}");
            Ok(())
        })
    };
    PLANTED.iter().flat_map(|way| bugs.map(|bug| test(*way, bug))).collect()
}
