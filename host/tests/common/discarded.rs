//! Reported pages are freed as their way says, by calls as it says.

use abi::addr::Order;
use abi::axes::Workload;
use abi::wire::frames;
use host::axes::{Backing, Carrier, Coalesce, Discard, Freed};
use host::timed::{Outcome, TimedSpec};
use host::trial::Common;

/// Pages that a report names.
fn named(spec: &TimedSpec) -> u64 {
    if spec.way.carrier == Carrier::Empty { 0 } else { u64::from(spec.batch) * spec.order.pages() }
}

/// Pages of both proofs. Of reports that go together a proof is a whole round.
fn proved(spec: &TimedSpec, outcome: &Outcome) -> u64 {
    if spec.way.gathers().is_some() {
        outcome.proof.reported
    } else {
        2 * named(spec) * u64::from(spec.in_flight)
    }
}

/// Times that ranges came to the host together.
fn came(spec: &TimedSpec, outcome: &Outcome) -> u64 {
    match spec.way.carrier {
        _ if spec.way.coalesce == Coalesce::Across => outcome.held.rounds,
        Carrier::CallAndRing => spec.reports,
        Carrier::Inflate => spec.reports * frames::lists(spec.batch.into(), spec.order),
        _ => outcome.calls,
    }
}

/// By the kernel's account.
pub(crate) fn freed(spec: &TimedSpec, outcome: &Outcome) {
    let proof = outcome.proof;
    let reported = proved(spec, outcome);
    assert_eq!(reported > 0, named(spec) > 0, "{proof:?}");
    assert_eq!((proof.reported, proof.resident_before), (reported, reported), "pages reported for proof");
    match spec.way.frees(spec.order) {
        Freed::Nothing => assert_eq!((proof.unmapped, proof.back, proof.lazy), (0, 0, 0), "{proof:?}"),
        Freed::AsItLikes => {
            // A host that is short of memory takes some at once; one that takes all was not asked so.
            assert!(proof.lazy > 0 || reported == 0, "{proof:?}");
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
pub(crate) fn called(spec: &TimedSpec, outcome: &Outcome) {
    if spec.way.discard == Discard::Deferred {
        return put_off(spec, outcome);
    }
    let is_made = spec.way.discard != Discard::None && named(spec) > 0;
    if is_made && spec.way.gathers().is_some() {
        // What was taken back before the call is left alone, and the last round is not over.
        let Common { discarded_pages: pages, madvise_calls: calls, .. } = outcome.common;
        assert!(
            calls > 0 && calls <= pages && pages <= 2 * spec.reports * named(spec),
            "{calls} calls, {pages} pages"
        );
        return;
    }
    let held = if spec.way.coalesce == Coalesce::Across { spec.reports } else { 0 };
    assert_eq!(outcome.held.reports, held, "reports held for others");
    let pages = if is_made { spec.reports * named(spec) } else { 0 };
    assert_eq!(outcome.common.discarded_pages, pages, "pages in calls");
    let (calls, ranges) = (outcome.common.madvise_calls, pages / spec.order.pages());
    let came = came(spec, outcome);
    match (spec.way.discard, spec.way.coalesce) {
        _ if !is_made => assert_eq!(calls, 0, "calls of a discard that is none"),
        _ if spec.way.module().is_some() => {
            assert_eq!(calls, 0, "system calls for what is zapped inside the kernel");
            let zapped = outcome.in_kernel.map(|counts| (counts.ranges, counts.refused));
            assert_eq!(zapped, Some((ranges, 0)), "by the module's account");
        }
        (Discard::Vectored, _) => assert_eq!(calls, came, "one call for all that came at once"),
        // Every range touches the next.
        (_, Coalesce::Merged | Coalesce::Across) if spec.workload == Workload::Sequential => {
            assert_eq!(calls, came, "one call for all that came at once");
        }
        (_, Coalesce::Merged | Coalesce::Across) => {
            assert!((came..=ranges).contains(&calls), "{calls} calls");
        }
        (_, Coalesce::Each | Coalesce::Sorted) => assert_eq!(calls, ranges, "one call a range"),
    }
}

/// Nothing is discarded but when memory is wanted, which is at the two proofs; the rest the guest had taken back.
fn put_off(spec: &TimedSpec, outcome: &Outcome) {
    let Some(counts) = outcome.common.put_off else { panic!("nothing was put off") };
    assert_eq!((outcome.common.madvise_calls, outcome.common.discarded_pages), (0, 0), "discarded at once");
    assert_eq!((counts.discarded, counts.failures), (proved(spec, outcome), 0), "{counts:?}");
    assert_eq!(counts.remembered, counts.discarded + counts.taken_back, "{counts:?}");
    // Two proofs, and the end.
    assert_eq!(counts.wanted, 3, "{counts:?}");
    let names = named(spec) > 0;
    assert_eq!((counts.calls > 0, counts.taken_back > 0), (names, names), "{counts:?}");
}

/// Who answers for userfaultfd heard of every discard, and answered for every page that was missing then.
pub(crate) fn answered(spec: &TimedSpec, outcome: &Outcome) {
    let Some(counts) = outcome.common.userfault else {
        return assert_ne!(spec.way.backing, Backing::Userfault, "nobody answered");
    };
    let calls = outcome.common.put_off.map_or(outcome.common.madvise_calls, |put_off| put_off.calls);
    assert!(counts.removed >= calls, "{counts:?}, {calls} discards");
    assert!(counts.zeroed >= spec.arena_pages() + outcome.common.discarded_pages, "{counts:?}");
}
