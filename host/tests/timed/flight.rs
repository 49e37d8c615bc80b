//! Several reports in flight over rings of both formats: that they really are, that each is acknowledged and acted on, and
//! that their stamps fit together.

use abi::axes::{Axis, Carrier, Completion, RingFeatures, Workload};
use host::axes::{Coalesce, Doorbell, Way};
use host::probe::Facts;
use host::serve::{HOLD, HeldCounts};
use host::testing::specs::timed_over;
use host::timed::TimedSpec;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::designed::{agrees_with_kvm, sound};
use crate::gathered::median_share;

/// Reports in flight.
const IN_FLIGHT: [u16; 4] = [2, 3, 5, 8];

/// The tests, over the transports that can have several.
pub(crate) fn tests(_: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    let over = |(name, way): (String, Way)| {
        let spec = TimedSpec { reports: 120, ..timed_over(way) };
        let test = |what: &str, test: fn(&TimedSpec, &Facts) -> Checked| {
            Trial::test(format!("{name}::{what}"), move || test(&spec, facts))
        };
        [
            test("in-flight-at-once", at_once),
            test("in-flight-every-batch", every_batch),
            test("in-flight-phases-do-not-overlap", phases_do_not_overlap),
            test("in-flight-same-pages", same_pages),
            test("across-discards-once-for-several", discards_once),
            test("across-holds-no-longer-than-it-says", holds_for_so_long),
        ]
    };
    ways().into_iter().flat_map(over).collect()
}

fn ways() -> Vec<(String, Way)> {
    let carriers = [Carrier::Ring, Carrier::PackedRing];
    let completions = [Completion::Poll, Completion::Interrupt];
    let way = |carrier: Carrier, completion: Completion| {
        let name = format!("{}-{}", carrier.name(), completion.name());
        (name, Way::plain(carrier, Doorbell::IoeventfdMmio, completion))
    };
    let called = carriers.iter().flat_map(|carrier| completions.map(|completion| way(*carrier, completion)));
    let polled = carriers.map(|carrier| {
        (format!("{}-polled", carrier.name()), Way::plain(carrier, Doorbell::None, Completion::Poll))
    });
    let all = RingFeatures { indirect: true, event_idx: true, in_order: true };
    let optional = [(Carrier::Ring, all), (Carrier::PackedRing, RingFeatures { in_order: false, ..all })];
    let optional = optional.map(|(carrier, ring_features)| {
        let (name, way) = way(carrier, Completion::Interrupt);
        (format!("{name}-options"), Way { ring_features, ..way })
    });
    called.chain(polled).chain(optional).collect()
}

/// The guest has told of several, and the host of none of them.
fn at_once(spec: &TimedSpec, facts: &Facts) -> Checked {
    for in_flight in IN_FLIGHT {
        let (outcome, samples) = sound(&TimedSpec { in_flight, ..*spec }, facts)?;
        let most = outcome.in_flight;
        assert!(most >= 2 && most <= in_flight.into(), "{most} of {in_flight} at once");
        assert_eq!(outcome.calls, spec.reports, "a call a report");
        assert!(samples.iter().all(|sample| sample.calls == 1), "a call a report");
        let per_proof = u64::from(spec.batch) * u64::from(in_flight);
        assert_eq!(outcome.proof.reported, 2 * per_proof, "a proof is a round");
        assert_eq!(outcome.proof.unmapped, outcome.proof.reported, "unmapped");
        assert_eq!(outcome.common.discarded_pages, spec.reports * u64::from(spec.batch), "discarded");
        let (features, ring) = (spec.way.ring_features, outcome.common.ring);
        let calls = |option| if option { outcome.calls } else { 0 };
        assert_eq!((ring.tables, ring.in_order), (calls(features.indirect), calls(features.in_order)));
        assert_eq!(ring.interrupts_due + ring.interrupts_suppressed, calls(features.event_idx));
        assert_eq!(outcome.common.exits.transport(), 0, "exits");
        agrees_with_kvm(spec, &outcome, facts);
    }
    Ok(())
}

fn every_batch(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(&TimedSpec { idle: 100, in_flight: 4, reports: 50, ..*spec }, facts)?;
    assert_eq!(outcome.idles, outcome.reports, "naps");
    for (batch, in_flight) in [(1, 8), (2, 7), (63, 8), (100, 5), (255, 2)] {
        let (outcome, _) = sound(&TimedSpec { batch, in_flight, reports: 30, ..*spec }, facts)?;
        assert_eq!(outcome.ranges, 30 * u64::from(batch), "{batch} by {in_flight}");
    }
    Ok(())
}

/// Those of a report; reports in flight overlap, which is what they are for.
fn phases_do_not_overlap(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (_, samples) = sound(&TimedSpec { in_flight: 8, ..*spec }, facts)?;
    assert!(samples.iter().all(|sample| sample.explained() <= sample.total), "phases overlap");
    let share = median_share(samples.iter());
    assert!(share >= 90, "{share} % explained");
    Ok(())
}

/// The same seed, the same pages, in either format and however the guest waits.
fn same_pages(spec: &TimedSpec, facts: &Facts) -> Checked {
    let ring = Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll);
    for workload in Workload::ALL {
        let spec = TimedSpec { in_flight: 4, workload: *workload, reports: 40, ..*spec };
        let digest =
            |way| Ok::<_, host::trial::TrialError>(sound(&TimedSpec { way, ..spec }, facts)?.0.taken_digest);
        assert_eq!(digest(spec.way)?, digest(ring)?, "{workload:?}");
    }
    Ok(())
}

/// Reports of neighbours that are merged with each other, by calls that discard: fewer than one a report.
fn discards_once(spec: &TimedSpec, facts: &Facts) -> Checked {
    let way = Way { coalesce: Coalesce::Across, ..spec.way };
    for (batch, in_flight) in [(8, 2), (32, 8), (1, 5)] {
        let spec = TimedSpec { way, batch, in_flight, workload: Workload::Sequential, ..*spec };
        let (outcome, _) = sound(&spec, facts)?;
        let HeldCounts { reports, rounds, .. } = outcome.held;
        assert_eq!(reports, spec.reports, "held");
        assert!(rounds < reports && rounds * u64::from(in_flight) >= reports, "{rounds} rounds");
        // Neighbours, but where the arena ends and begins again.
        let calls = outcome.common.madvise_calls;
        assert!((rounds..=rounds + 2).contains(&calls), "{calls} calls in {rounds} rounds");
        assert_eq!(outcome.common.discarded_pages, spec.reports * u64::from(batch), "discarded");
        assert_eq!(outcome.proof.unmapped, outcome.proof.reported, "unmapped");
    }
    Ok(())
}

/// Seven reports and five in flight: the last two are held for more that never come, and acknowledged all the same.
fn holds_for_so_long(spec: &TimedSpec, facts: &Facts) -> Checked {
    let way = Way { coalesce: Coalesce::Across, ..spec.way };
    let spec = TimedSpec { way, in_flight: 5, warmup: 0, reports: 7, ..*spec };
    let (outcome, samples) = sound(&spec, facts)?;
    assert!(outcome.held.longest >= HOLD, "{:?}", outcome.held);
    // A machine that runs others meanwhile may take its time.
    assert!(outcome.held.longest < 1000 * HOLD, "{:?}", outcome.held);
    assert_eq!(samples.len(), 7);
    Ok(())
}
