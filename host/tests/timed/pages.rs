//! Which pages are discarded: exactly the reported ones, by the kernel's account, and the same ones over every
//! transport.

use abi::addr::Order;
use abi::axes::{Axis, Workload};
use host::axes::{Backing, Carrier, Coalesce, Discard, Way};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Outcome, Proof, TimedSpec};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, ignored};
use crate::designed::sound;

/// Orders, and ranges in a report of each.
const BLOCKS: [(u64, u16); 3] = [(0, 32), (3, 16), (9, 2)];

/// The tests of pages.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let each = transports.iter().flat_map(|transport| over(transport, facts));
    let all = Workload::ALL.iter().map(|workload| {
        let specs: Vec<_> = transports
            .iter()
            .map(|transport| TimedSpec { workload: *workload, ..timed_over(transport.way) })
            .collect();
        let name = format!("same-pages-over-every-transport-{}", workload.name());
        Trial::test(name, move || same_pages(&specs, facts))
    });
    each.chain(all).collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let name = |what: &str| format!("{}::{what}", transport.name);
    let spec = timed_over(transport.way);
    let mut tests = Vec::new();
    // The others are in the suite of discards.
    for backing in &[Backing::Anon, Backing::AnonThp] {
        let way = Way { backing: *backing, ..spec.way };
        for (order, batch) in BLOCKS {
            let spec = TimedSpec { way, order: block(order), batch, arena: None, reports: 4, ..spec };
            let what = name(&format!("unmaps-what-is-reported-{}-order-{order}", backing.name()));
            tests.push(if spec.validate().is_err() {
                ignored(what, "the carrier has no entries of this size")
            } else {
                Trial::test(what, move || unmaps_what_is_reported(&spec, facts))
            });
        }
    }
    tests.push(Trial::test(name("discard-none-frees-nothing"), move || frees_nothing(&spec, facts)));
    tests.push(Trial::test(name("same-seed-same-counts"), move || same_counts(&spec, facts)));
    tests.push(if transport.way.carrier.is_one_range() {
        ignored(name("merges-neighbours"), "a call has one range: nothing to merge")
    } else {
        Trial::test(name("merges-neighbours"), move || merges_neighbours(&spec, facts))
    });
    tests
}

fn block(order: u64) -> Order {
    Order::new(order).unwrap_or_default()
}

fn unmaps_what_is_reported(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(spec, facts)?;
    let report = u64::from(spec.batch) * spec.order.pages();
    assert_eq!(outcome.proof.proofs, 2, "before and after the measured part");
    assert_eq!(outcome.proof.reported, 2 * report, "pages reported for proof");
    assert_eq!(outcome.proof.resident_before, outcome.proof.reported, "resident before");
    assert_eq!(outcome.proof.unmapped, outcome.proof.reported, "unmapped");
    is_back(spec, &outcome);
    assert_eq!(outcome.common.discarded_pages, spec.reports * report, "pages in madvise calls");
    // A list of frames names each by itself.
    let each = if spec.way.carrier == Carrier::Inflate { spec.order.pages() } else { 1 };
    assert_eq!(outcome.common.madvise_calls, spec.reports * u64::from(spec.batch) * each, "madvise calls");
    Ok(())
}

/// Whole huge pages and pages of 4 KiB come back at once. A part of a huge page does not: the huge page is put on the
/// list of those to be split, and stays as it is.
fn is_back(spec: &TimedSpec, outcome: &Outcome) {
    let Proof { unmapped, back, unknown, .. } = outcome.proof;
    if unknown > 0 {
        // This host cannot say of so few pages.
        assert_eq!((unknown, back), (unmapped, 0), "nothing is said of what is not known");
        return;
    }
    if spec.way.backing == Backing::AnonThp && spec.order < Order::HUGE {
        assert_eq!(back, 0, "back with {:?}", outcome.common.witness);
        assert!(outcome.common.splits.is_none_or(|splits| splits.deferred > 0), "splits put off");
    } else {
        assert_eq!(back, unmapped, "back with {:?}", outcome.common.witness);
    }
}

fn frees_nothing(spec: &TimedSpec, facts: &Facts) -> Checked {
    let spec = TimedSpec { way: Way { discard: Discard::None, ..spec.way }, ..*spec };
    let (outcome, _) = sound(&spec, facts)?;
    assert!(outcome.proof.reported > 0, "something is reported");
    assert_eq!((outcome.proof.unmapped, outcome.proof.back), (0, 0), "unmapped and back");
    assert_eq!(
        (outcome.common.madvise_calls, outcome.common.discarded_pages),
        (0, 0),
        "madvise calls and pages"
    );
    Ok(())
}

fn merges_neighbours(spec: &TimedSpec, facts: &Facts) -> Checked {
    let calls = |workload, coalesce| {
        let spec = TimedSpec { way: Way { coalesce, ..spec.way }, workload, ..*spec };
        let (outcome, _) = sound(&spec, facts)?;
        let pages = spec.reports * u64::from(spec.batch);
        assert_eq!(outcome.common.discarded_pages, pages, "pages, {workload:?} {coalesce:?}");
        Ok::<_, host::trial::TrialError>(outcome.common.madvise_calls)
    };
    let ranges = spec.reports * u64::from(spec.batch);
    assert_eq!(calls(Workload::Sequential, Coalesce::Each)?, ranges, "neighbours, each by itself");
    assert_eq!(calls(Workload::Sequential, Coalesce::Merged)?, spec.reports, "neighbours, merged");
    assert_eq!(calls(Workload::Strided, Coalesce::Merged)?, ranges, "no neighbours, merged");
    Ok(())
}

/// Everything of a trial that must not change from run to run.
fn counts(outcome: &Outcome) -> impl PartialEq + std::fmt::Debug {
    // What is back depends on who else wants memory meanwhile.
    let unmapped = Proof { back: 0, unknown: 0, within: 0, ..outcome.proof };
    (
        (outcome.reports, outcome.ranges, outcome.calls, outcome.common.exits.transport()),
        (outcome.common.madvise_calls, outcome.common.discarded_pages, unmapped, outcome.checked_pages),
        (outcome.reported_digest, outcome.taken_digest),
    )
}

fn same_counts(spec: &TimedSpec, facts: &Facts) -> Checked {
    let ((first, _), (second, _)) = (sound(spec, facts)?, sound(spec, facts)?);
    assert_eq!(counts(&first), counts(&second), "counts of two runs");
    Ok(())
}

fn same_pages(specs: &[TimedSpec], facts: &Facts) -> Checked {
    let digest = |spec: &TimedSpec| Ok::<_, host::trial::TrialError>(sound(spec, facts)?.0.taken_digest);
    let first = digest(&specs[0])?;
    for spec in &specs[1..] {
        assert_eq!(digest(spec)?, first, "{spec:?}");
    }
    let other = TimedSpec { seed: specs[0].seed + 1, ..specs[0] };
    // The seed only orders the random workload.
    let depends_on_seed = specs[0].workload == Workload::Random;
    assert_eq!(digest(&other)? != first, depends_on_seed, "another seed");
    Ok(())
}
