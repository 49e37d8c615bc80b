//! Every discard with every memory that it goes with: the call is made, it frees what it is said to free, and reported
//! pages hold what they are said to hold. What this host does not have is refused with what would change that.

mod common;
#[path = "common/discarded.rs"]
mod discarded;
#[path = "common/samples.rs"]
mod samples;

use std::process::ExitCode;

use abi::addr::Order;
use abi::violation::Violation;
use host::axes::{Axis, Backing, Carrier, Coalesce, Completion, Discard, Doorbell, Way};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use host::testing::pressure::{Limited, Numbered};
use host::testing::specs::timed_over;
use host::timed::{Outcome, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::{Failed, Trial};

use common::{Checked, Transport};
use discarded::{answered, called, freed};
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
        let others = [
            Trial::test("free-under-pressure", freed_lazily_is_freed_when_memory_is_short),
            Trial::test("collateral", move || what_reports_do_to_other_pages(facts)),
            Trial::test("what-was-taken-back-is-not-dropped", move || put_off_without_a_look(facts)),
        ];
        both.chain(over(SERVED[0]).flat_map(|transport| planted(transport, facts))).chain(others).collect()
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
                let plain = plain || *discard == Discard::Deferred;
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
            let may_miss = matches!(
                backing,
                Backing::MemfdThp | Backing::Hugetlb | Backing::Locked | Backing::Userfault
            ) || discard == Discard::Vectored;
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
    answered(spec, &outcome);
    Ok(())
}

/// A host that does not ask what the guest has taken back.
fn put_off_without_a_look(facts: &Facts) -> Checked {
    let way = Way::plain(Carrier::Batch, Doorbell::Mmio, Completion::Return);
    let spec = timed_over(Way { discard: Discard::Deferred, coalesce: Coalesce::Merged, ..way });
    let outcome = trial(&spec, facts, Planted::new(Fault::ForgetLedger), &mut Samples::of(&spec))?;
    assert!(!outcome.common.violations.is_empty(), "the oracle saw nothing");
    Ok(())
}

/// Part of a huge page that is discarded takes the huge page with it; memory that is mapped anew is a mapping of its own where
/// it was a file (among anonymous memory the kernel merges the two again); and of nothing nothing comes.
fn what_reports_do_to_other_pages(facts: &Facts) -> Checked {
    let way = Way::plain(Carrier::Batch, Doorbell::Mmio, Completion::Return);
    let seen = |discard, backing| -> Result<_, Failed> {
        let spec = timed_over(Way { discard, backing, ..way });
        let spec =
            TimedSpec { batch: 4, arena: Some(64 << 20), warmup: 0, reports: 1, looks_around: true, ..spec };
        let outcome = trial(&spec, facts, Planted::NONE, &mut Samples::of(&spec))?;
        assert_eq!(outcome.common.violations, []);
        let seen = outcome.collateral.ok_or("nobody looked")?;
        println!("{} of {}: {seen:?}", discard.name(), backing.name());
        assert_eq!((seen.reports, seen.neighbours), (2, 2 * ((64 << 8) - 4)));
        Ok(seen)
    };
    let nothing = seen(Discard::None, Backing::AnonThp)?;
    assert_eq!((nothing.huge[0], nothing.mappings[0]), (nothing.huge[1], nothing.mappings[1]), "{nothing:?}");
    let [part, anew] = [seen(Discard::DontNeed, Backing::AnonThp)?, seen(Discard::Remap, Backing::File)?];
    assert!(part.huge[1] < part.huge[0] && part.mappings[0] == part.mappings[1], "{part:?}");
    assert!(part.faults >= nothing.faults, "{part:?} {nothing:?}");
    assert!(anew.mappings[1] > anew.mappings[0], "{anew:?}");
    Ok(())
}

/// In a control group with a limit: the kernel takes what is freed lazily and not written to since, and nothing else.
fn freed_lazily_is_freed_when_memory_is_short() -> Checked {
    const PAGES: u64 = 64 << 8;
    const FREED: u64 = PAGES / 2;
    const WRITTEN: u64 = FREED / 4;
    /// Pages on the lists of a few processors.
    const LISTED: u64 = 256;
    let limited = match Limited::enter() {
        Ok(limited) => limited,
        Err(error) => {
            println!("skipped: no control group of memory can be made here ({error}); as root it can");
            return Ok(());
        }
    };
    let memory = Numbered::new(PAGES)?;
    memory.free(0, FREED)?;
    memory.number(0, WRITTEN)?;
    let before = memory.resident_and_lazy()?;
    // A host that is short of memory itself takes some at once.
    assert!(before[0] <= PAGES && before[1] > 0 && before[1] <= FREED - WRITTEN, "{before:?}");
    limited.take(FREED / 2 * 4096)?;
    let after = memory.resident_and_lazy()?;
    println!("resident and lazy, in pages: {before:?}, and {after:?} under pressure");
    assert!(after[1] < before[1] / 2, "{before:?} {after:?}");
    // Some are marked as the kernel's to take only once a processor's list of them is full (Linux `mm/swap.c`): of those the
    // counts differ. What was taken wrongly the contents below show.
    let [taken, lazy] = [0, 1].map(|what| before[what] - after[what]);
    assert!(taken.abs_diff(lazy) <= LISTED, "{taken} were taken, of {lazy} freed lazily");
    for page in 0..PAGES {
        let (found, is_free) = (memory.read(page)?, (WRITTEN..FREED).contains(&page));
        assert!(found == page + 1 || is_free && found == 0, "page {page} holds {found}");
    }
    Ok(())
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
