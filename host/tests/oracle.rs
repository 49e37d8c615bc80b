//! The oracle can fail: every bug that can be planted is caught by its name, over every transport, and without
//! one nothing is found.

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::process::ExitCode;

use abi::violation::Violation;
use host::axes::{Axis, Discard, Way};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use host::testing::physical::sees_frames;
use host::testing::specs::{TIMED, timed_over};
use host::timed::{Outcome, Proof, TimedSpec};
use libtest_mimic::Trial;

use common::{Checked, Transport, ignored};
use samples::{Samples, trial};

/// A bug, and what gives it away.
struct Case {
    name: &'static str,
    fault: Fault,
    /// What the guest must find, whatever else it finds.
    found: &'static [Violation],
    /// What the kernel's account must show.
    proved: fn(&Outcome) -> bool,
}

const CASES: &[Case] = &[
    Case {
        name: "acknowledge-first",
        fault: Fault::AcknowledgeFirst,
        found: &[Violation::StillThere, Violation::ReusedLost],
        proved: |outcome| outcome.proof.unmapped < outcome.proof.reported,
    },
    Case {
        name: "page-too-many",
        fault: Fault::PageTooMany,
        found: &[Violation::UnreportedLost],
        proved: |outcome| outcome.proof.lost > 0,
    },
    Case {
        name: "skip-discard",
        fault: Fault::SkipDiscard,
        found: &[Violation::StillThere],
        proved: |outcome| outcome.proof.unmapped == 0 && outcome.proof.reported > 0,
    },
    Case {
        name: "unmap-only",
        fault: Fault::UnmapOnly,
        // The guest finds zeroes, as it should: only the host can tell.
        found: &[],
        proved: |outcome| {
            let Proof { unmapped, reported, back, unknown, .. } = outcome.proof;
            unmapped == reported && back < unmapped && unknown == 0
        },
    },
    Case {
        name: "used-twice",
        fault: Fault::UsedTwice,
        found: &[Violation::UsedAhead],
        // The used ring is not the kernel's business.
        proved: |_| true,
    },
];

fn main() -> ExitCode {
    common::run(|facts| {
        common::transports(facts).iter().flat_map(|transport| tests(transport, facts)).collect()
    })
}

fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let faults = CASES.iter().map(|case| {
        let name = format!("{}::{}", transport.name, case.name);
        if case.fault == Fault::UsedTwice && !transport.way.carrier.is_ring() {
            return ignored(name, "no ring");
        }
        if case.fault == Fault::UnmapOnly && !sees_frames() {
            return ignored(name, "only root sees of so few pages whether they are back");
        }
        let spec = timed_over(transport.way);
        Trial::test(name, move || is_caught(case, &spec, facts))
    });
    let nothing = [Discard::None, Discard::DontNeed].into_iter().map(|discard| {
        let spec = TimedSpec { way: Way { discard, ..transport.way }, ..TIMED };
        let name = format!("{}::no-fault-discard-{}", transport.name, discard.name());
        Trial::test(name, move || nothing_is_found(&spec, facts))
    });
    faults.chain(nothing).collect()
}

fn is_caught(case: &Case, spec: &TimedSpec, facts: &Facts) -> Checked {
    let outcome = trial(spec, facts, Planted::new(case.fault), &mut Samples::of(spec))?;
    let found: Vec<_> = outcome.common.violations.iter().map(|(violation, _)| *violation).collect();
    if case.found.iter().all(|violation| found.contains(violation)) && (case.proved)(&outcome) {
        Ok(())
    } else {
        Err(format!("found {:?}, proved {:?}", outcome.common.violations, outcome.proof).into())
    }
}

fn nothing_is_found(spec: &TimedSpec, facts: &Facts) -> Checked {
    let outcome = trial(spec, facts, Planted::NONE, &mut Samples::of(spec))?;
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.taken_digest, outcome.reported_digest, "pages taken and reported");
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    // Each page of the arena at the end, each reported page before and after.
    let reports = spec.warmup + spec.reports + 2;
    let checked = spec.arena_pages() + 2 * reports * u64::from(spec.batch) * spec.order.pages();
    assert_eq!(outcome.checked_pages, checked, "pages looked at");
    Ok(())
}
