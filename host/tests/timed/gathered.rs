//! Carriers that gather: hardly an exit a report, what was taken back left alone, and everything else acted on.

use abi::addr::Order;
use abi::axes::{Axis, Carrier, Workload};
use host::axes::{Backing, Coalesce, Discard, Way};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Outcome, Sample, TimedSpec};
use libtest_mimic::Trial;

use crate::common::{self, Checked, Transport};
use crate::designed::{agrees_with_kvm, sound};

/// Reports of one page, enough for some rounds.
const REPORTS: u64 = 2000;
/// Reports there must be at the least to an exit.
const REPORTS_AN_EXIT: u64 = 100;

/// The tests of all of them; what a ladder's transport is held to is not asked of these.
pub(crate) fn tests(_: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    common::gathering(facts).iter().flat_map(|transport| over(transport, facts)).collect()
}

/// A test of a trial.
type Test = (&'static str, fn(&TimedSpec, &Facts) -> Checked);

const TESTS: &[Test] = &[
    ("an-exit-for-hundreds-of-reports", an_exit_for_hundreds),
    ("phases-add-up", phases_add_up),
    ("larger-reports", larger_reports),
    ("every-workload", every_workload),
    ("discard-none-frees-nothing", frees_nothing),
    ("merges-neighbours-of-many-reports", merges_neighbours),
    ("huge-pages", huge_pages),
    ("a-nap-a-report", a_nap_a_report),
    ("same-seed-same-counts", same_counts),
];

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let spec = TimedSpec { batch: 1, reports: REPORTS, ..timed_over(transport.way) };
    let test = |(name, test): &Test| {
        let test = *test;
        Trial::test(format!("{}::{name}", transport.name), move || test(&spec, facts))
    };
    TESTS.iter().map(test).collect()
}

/// Pages that are discarded of those that are reported.
fn discarded(outcome: &Outcome, spec: &TimedSpec) -> u64 {
    // Of the whole trial it is known how many were taken back, of the measured part how many were discarded.
    let share = if spec.way.carrier == Carrier::Log { 8 } else { u64::MAX };
    let pages = outcome.ranges * spec.order.pages();
    pages - pages / share
}

/// Whether so many are about as many as is expected: some pages were taken back, by a seed.
fn about(found: u64, expected: u64) -> bool {
    found.abs_diff(expected) <= expected / 20 + 10
}

fn an_exit_for_hundreds(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, samples) = sound(spec, facts)?;
    let exits = outcome.common.exits.transport();
    assert!(exits * REPORTS_AN_EXIT <= outcome.reports, "{exits} exits for {} reports", outcome.reports);
    assert_eq!(
        exits,
        outcome.calls + outcome.overflows,
        "an exit a call, and one where KVM finds its queue full"
    );
    assert!(outcome.overflows <= outcome.calls, "{} writes found the queue full", outcome.overflows);
    assert_eq!(samples.iter().map(|sample| sample.calls).sum::<u64>(), outcome.calls, "calls of reports");
    let calls = outcome.reports.div_ceil(spec.way.gathers().unwrap_or(1));
    assert!(outcome.calls >= calls, "{} calls, of at least {calls}", outcome.calls);
    assert_eq!(outcome.taken_back, outcome.spared, "taken back and left alone");
    assert_eq!(outcome.taken_back > 0, spec.way.carrier == Carrier::Log, "only a log can be gone back on");
    assert!(about(outcome.common.discarded_pages, discarded(&outcome, spec)), "{outcome:?}");
    let proof = outcome.proof;
    assert!(proof.reported > 2 * 100, "a proof is a whole round: {proof:?}");
    assert_eq!((proof.resident_before, proof.unmapped), (proof.reported, proof.reported), "unmapped");
    agrees_with_kvm(spec, &outcome, facts);
    Ok(())
}

/// How many percent the phases of a report explain: the median, because a busy machine may preempt the host in between.
pub(crate) fn median_share<'a>(samples: impl Iterator<Item = &'a Sample>) -> u64 {
    let mut shares: Vec<_> = samples.map(|sample| sample.explained() * 100 / sample.total).collect();
    shares.sort_unstable();
    shares[shares.len() / 2]
}

/// What a report takes that rings for none is to put it into the carrier.
fn phases_add_up(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (_, samples) = sound(spec, facts)?;
    let (rings, others): (Vec<&Sample>, Vec<_>) = samples.iter().partition(|sample| sample.calls > 0);
    for sample in &others {
        assert_eq!((sample.prepare, sample.explained()), (sample.total, sample.total), "{sample:?}");
        assert_eq!(sample.ranges, u64::from(spec.batch));
    }
    for sample in &rings {
        assert!(sample.discard > 0 && sample.transit > 0, "{sample:?}");
        assert!(sample.explained() <= sample.total, "phases overlap: {sample:?}");
    }
    let share = median_share(rings.into_iter());
    assert!(share >= 90, "{share} % explained");
    Ok(())
}

fn larger_reports(spec: &TimedSpec, facts: &Facts) -> Checked {
    let most = spec.way.gathers().unwrap_or(1) / spec.way.entries_a_range();
    for batch in [2, 32, u16::try_from(most)?] {
        let (outcome, _) = sound(&TimedSpec { batch, reports: 40, ..*spec }, facts)?;
        assert_eq!(outcome.ranges, 40 * u64::from(batch), "ranges of {batch}");
        assert!(about(outcome.common.discarded_pages, discarded(&outcome, spec)), "{batch}: {outcome:?}");
        assert_eq!(outcome.taken_back, outcome.spared, "taken back and left alone");
    }
    Ok(())
}

fn every_workload(spec: &TimedSpec, facts: &Facts) -> Checked {
    for workload in Workload::ALL {
        sound(&TimedSpec { workload: *workload, reports: 600, ..*spec }, facts)?;
    }
    Ok(())
}

fn frees_nothing(spec: &TimedSpec, facts: &Facts) -> Checked {
    let way = Way { discard: Discard::None, ..spec.way };
    let (outcome, _) = sound(&TimedSpec { way, ..*spec }, facts)?;
    assert!(outcome.proof.reported > 0, "something is reported");
    assert_eq!((outcome.proof.unmapped, outcome.common.discarded_pages), (0, 0), "unmapped and discarded");
    Ok(())
}

fn merges_neighbours(spec: &TimedSpec, facts: &Facts) -> Checked {
    let way = Way { coalesce: Coalesce::Merged, ..spec.way };
    let (outcome, _) = sound(&TimedSpec { way, workload: Workload::Sequential, ..*spec }, facts)?;
    let (calls, pages) = (outcome.common.madvise_calls, outcome.common.discarded_pages);
    // Where nothing is taken back a round is one range.
    assert!(calls * 4 <= pages, "{calls} calls for {pages} pages");
    Ok(())
}

fn huge_pages(spec: &TimedSpec, facts: &Facts) -> Checked {
    // A block of some pages: of huge pages a round would be a gigabyte.
    let order = Order::new(3).unwrap_or_default();
    let way = Way { backing: Backing::AnonThp, ..spec.way };
    let (outcome, _) = sound(&TimedSpec { way, order, arena: None, reports: 600, ..*spec }, facts)?;
    assert!(about(outcome.common.discarded_pages, discarded(&outcome, &TimedSpec { order, ..*spec })));
    Ok(())
}

fn a_nap_a_report(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(&TimedSpec { idle: 100, reports: 600, ..*spec }, facts)?;
    assert_eq!(outcome.idles, outcome.reports, "naps");
    Ok(())
}

fn same_counts(spec: &TimedSpec, facts: &Facts) -> Checked {
    let counts = |outcome: &Outcome| {
        let Outcome { reports, ranges, calls, checked_pages, taken_back, spared, .. } = *outcome;
        let digests = (outcome.reported_digest, outcome.taken_digest);
        (reports, ranges, calls, checked_pages, taken_back, spared, digests, outcome.common.madvise_calls)
    };
    let ((first, _), (second, _)) = (sound(spec, facts)?, sound(spec, facts)?);
    assert_eq!(counts(&first), counts(&second), "counts of two runs");
    Ok(())
}
