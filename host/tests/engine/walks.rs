//! Every walk over every transport: what was freed is returned, nothing else is lost, and host and guest count the
//! same.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use host::axes::Axis;
use host::engine::{
    EngineOutcome, EngineSpec, GuestCounter, Inhibited, Load, PerCpuLists, Reporting, Shuffle, Tally, Walk,
};
use host::probe::Facts;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport, transports};
use crate::{SPEC, ran};

/// Of what is free outside zone DMA this much has to be returned once the burst has settled, in percent.
const RETURNED: u64 = 95;

/// Bytes of zone DMA in a guest this small: one block of the largest order. It was written to before the trial, and
/// taking it off its list would leave the zone below its min watermark, so no walk reports it.
const ZONE_DMA: u64 = 4 << 20;

/// Beside a comb fewer blocks than this stay free.
const BESIDE: u64 = 8;

/// How often a trial that made no report is run again, for longer: a busy machine may let nothing happen for a while.
const ATTEMPTS: u32 = 3;

/// The rungs of the ladder that report something, and what else is tried.
const RUNGS: usize = 7;
const BESIDE_THEM: [&str; 5] =
    ["packed-sync", "packed-virtio-polled", "store-mmio", "request-mmio", "call-and-ring-mmio"];

type Test = fn(&Facts) -> Checked;

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut transports = transports(facts);
    let others = transports.split_off(RUNGS).into_iter();
    transports.extend(others.filter(|transport| BESIDE_THEM.contains(&&*transport.name)));
    let mut tests = Vec::new();
    for transport in &transports {
        for walk in Walk::ALL {
            // What does not fit in the array is forgotten, by design: it has to hold a round's blocks.
            let capacity = if *walk == Walk::PerCpuArray { 32 } else { SPEC.capacity };
            let memhog = over(transport, EngineSpec { walk: *walk, capacity, ..SPEC });
            let churn = several(Load::Churn, memhog);
            for (name, spec) in [("memhog", memhog), ("churn-of-several", churn)] {
                let name = format!("{}::{}::{name}", transport.name, walk.name());
                tests.push(Trial::test(name, move || is_sound(&spec, facts)));
            }
        }
        let spec = over(transport, SPEC);
        let pages = EngineSpec { unit: Order::default(), ..spec };
        for (name, spec) in [
            ("memhog-of-several", EngineSpec { vcpus: 4, footprint: 8 << 20, ..spec }),
            ("page-faults-of-several", several(Load::PageFault1, spec)),
            ("small-pages-of-several", several(Load::PageFault1, pages)),
            ("small-pages-in-processors-lists", listed(several(Load::PageFault1, pages))),
            ("churn-in-processors-lists", listed(several(Load::Churn, spec))),
        ] {
            let name = format!("{}::{name}", transport.name);
            tests.push(Trial::test(name, move || is_sound(&spec, facts)));
        }
    }
    for walk in Walk::ALL.iter().filter(|walk| walk.walks_lists()) {
        let spec = EngineSpec { walk: *walk, shuffle: Shuffle::Compaction, ..SPEC };
        let name = format!("compaction::{}", walk.name());
        tests.push(Trial::test(name, move || is_shuffled(&spec, facts)));
    }
    let others: [(&str, Test); 5] = [
        ("below-the-watermark-nothing-is-reported", below_the_watermark),
        ("a-comb-is-reported-in-reports-of-the-capacity", a_comb_is_reported),
        ("a-burst-is-returned-while-nothing-happens", a_burst_is_returned),
        ("who-does-not-report-makes-no-exits", who_does_not_report),
        ("a-pass-keeps-its-budget", a_pass_keeps_its_budget),
    ];
    tests.extend(others.map(|(name, test)| Trial::test(name, move || test(facts))));
    tests
}

/// The same over a transport.
pub(crate) fn over(transport: &Transport, spec: EngineSpec) -> EngineSpec {
    EngineSpec { way: transport.way, ..spec }.neutral()
}

/// The same with four processors, for a moment, with reports as often as can be.
pub(crate) fn several(load: Load, spec: EngineSpec) -> EngineSpec {
    let (warmup, window) = (Duration::from_millis(20), Duration::from_millis(100));
    let (min_order, delay) = (Order::new(4).unwrap_or_default(), Duration::from_micros(200));
    EngineSpec { load, vcpus: 4, footprint: 8 << 20, warmup, window, min_order, delay, ..spec }.neutral()
}

/// The same with lists of free pages of each processor's own.
fn listed(spec: EngineSpec) -> EngineSpec {
    EngineSpec { pcp: PerCpuLists::Linux, ..spec }
}

/// The sum of a counter over the processors.
pub(crate) fn counted(outcome: &EngineOutcome, counter: GuestCounter) -> u64 {
    outcome.counters.iter().map(|counters| counters[counter as usize]).sum()
}

/// How many values a tally has.
fn tallied(outcome: &EngineOutcome, tally: Tally) -> u64 {
    outcome.tallies[tally as usize].iter().map(|bucket| bucket.count).sum()
}

fn is_sound(spec: &EngineSpec, facts: &Facts) -> Checked {
    let mut spec = *spec;
    for _ in 1..ATTEMPTS {
        let outcome = ran(&spec, facts)?;
        if counted(&outcome, GuestCounter::Reports) > 0 {
            check(&spec, &outcome);
            return Ok(());
        }
        assert_eq!(outcome.common.violations, []);
        spec.window *= 4;
    }
    check(&spec, &ran(&spec, facts)?);
    Ok(())
}

/// What has to be right whatever is run.
fn check(spec: &EngineSpec, outcome: &EngineOutcome) {
    assert_eq!(outcome.common.violations, [], "violations; first at frame {:?}", outcome.first_wrong);
    assert_eq!(outcome.common.refused.total(), 0, "ranges refused");
    assert_eq!(outcome.common.madvise_failures, 0, "madvise calls that failed");
    assert_eq!(outcome.inhibited, Inhibited::No);
    assert!(counted(outcome, GuestCounter::Operations) > 0, "operations");
    assert!(counted(outcome, GuestCounter::Checked) > 0, "pages checked");
    assert!(counted(outcome, GuestCounter::Reports) > 0, "reports");
    if spec.load.is_timed() {
        return;
    }
    // Nothing was under way at either end.
    assert_eq!(counted(outcome, GuestCounter::ReportedPages), outcome.common.discarded_pages, "pages");
    assert_eq!(counted(outcome, GuestCounter::Reported), outcome.common.madvise_calls, "blocks");
    assert_eq!(tallied(outcome, Tally::Report), counted(outcome, GuestCounter::Reports), "reports");
    assert_eq!(outcome.settled.len() as u64, spec.rounds, "rounds settled");
    for (settled, round) in outcome.settled.iter().zip(1..) {
        assert_eq!((settled.round, settled.free), (round, outcome.managed), "{settled:?}");
        assert_eq!((settled.lost, settled.reported_resident), (0, 0), "{settled:?}");
        // All memory was written to before the trial, so what is not reported (zone DMA, and for the walks that look
        // only at what the load frees, the rest) stays resident: reported and given back have to be the same.
        assert_eq!(settled.unmapped, settled.reported, "{settled:?}");
        assert!(settled.reported > 0, "{settled:?}");
    }
}

fn is_shuffled(spec: &EngineSpec, facts: &Facts) -> Checked {
    let outcome = ran(spec, facts)?;
    check(spec, &outcome);
    assert!(counted(&outcome, GuestCounter::Shuffled) > 0, "lists moved");
    let resets = counted(&outcome, GuestCounter::Resets);
    assert_eq!(resets > 0, spec.walk == Walk::Boundary, "{resets} boundaries reset");
    Ok(())
}

/// A list of 128 blocks that cannot merge, 16 a report, as many as are needed. What the watermark leaves free beside
/// them is reported too.
fn a_comb_is_reported(facts: &Facts) -> Checked {
    let order = Order::new(3).map_err(|_| "an order")?;
    let blocks: u64 = 128;
    let footprint = 2 * blocks * order.pages() * PAGE_SIZE;
    for walk in Walk::ALL.iter().copied().filter(|walk| walk.walks_lists()) {
        let spec = EngineSpec {
            walk,
            load: Load::Comb,
            unit: order,
            min_order: order,
            footprint,
            capacity: 16,
            budget: 0,
            watermark: false,
            ..SPEC
        };
        let outcome = ran(&spec.neutral(), facts)?;
        assert_eq!(outcome.common.violations, []);
        let reported = counted(&outcome, GuestCounter::Reported);
        // What holds leaves an eighth of every zone alone: some blocks are found and not taken.
        let is_spared = walk == Walk::Hold && counted(&outcome, GuestCounter::Missed) > 0;
        let least = if is_spared { blocks - BESIDE } else { blocks };
        assert!((least..blocks + BESIDE).contains(&reported), "{reported} blocks, {walk:?}");
        let reports = counted(&outcome, GuestCounter::Reports);
        // A zone has a last report of its own.
        assert!(
            (reported.div_ceil(16)..=reported.div_ceil(16) + 1).contains(&reports),
            "{reports}, {walk:?}"
        );
        assert_eq!(reported, outcome.common.madvise_calls, "{walk:?}");
    }
    Ok(())
}

fn a_burst_is_returned(facts: &Facts) -> Checked {
    let watch = Some(Duration::from_millis(1));
    let spec = EngineSpec { load: Load::IdleAfterBurst, watch, vcpus: 2, footprint: 16 << 20, ..SPEC };
    let spec = spec.neutral();
    let outcome = ran(&spec, facts)?;
    check(&spec, &outcome);
    let managed = outcome.managed * PAGE_SIZE;
    let most = outcome.curve.iter().map(|point| point.resident).max().unwrap_or(0);
    assert!(most * 10 >= 2 * spec.footprint * 9, "at most {most} bytes were seen resident");
    let [.., last] = outcome.curve.as_slice() else { return Err("nothing was seen".into()) };
    let beyond_dma = last.resident.saturating_sub(ZONE_DMA);
    assert!(beyond_dma * 100 <= managed * (100 - RETURNED), "{last:?}");
    assert_eq!(last.free, managed, "the guest's own count");
    assert!(outcome.curve.is_sorted_by_key(|point| point.at_ns));
    assert!(outcome.began < outcome.freed && outcome.freed < outcome.ended);
    Ok(())
}

fn who_does_not_report(facts: &Facts) -> Checked {
    for reporting in [Reporting::Absent, Reporting::Off] {
        for load in [Load::PageFault1, Load::Churn, Load::Memhog] {
            let spec = EngineSpec { reporting, ..several(load, SPEC) };
            let outcome = ran(&spec, facts)?;
            assert_eq!(outcome.common.violations, [], "{reporting:?} {load:?}");
            assert!(counted(&outcome, GuestCounter::Operations) > 0, "{reporting:?} {load:?}");
            assert_eq!(counted(&outcome, GuestCounter::Reports), 0, "{reporting:?} {load:?}");
            assert_eq!(
                (outcome.common.exits.transport(), outcome.common.discarded_pages),
                (0, 0),
                "{reporting:?} {load:?}"
            );
        }
    }
    Ok(())
}

/// A full report would be more than all there is.
fn below_the_watermark(facts: &Facts) -> Checked {
    let outcome = ran(&EngineSpec { watermark: true, capacity: 32, ..SPEC }, facts)?;
    assert_eq!((outcome.common.violations.as_slice(), outcome.common.discarded_pages), ([].as_slice(), 0));
    assert!(counted(&outcome, GuestCounter::BelowWatermark) > 0, "zones skipped");
    assert!(outcome.settled.iter().all(|settled| settled.resident * PAGE_SIZE >= SPEC.footprint));
    Ok(())
}

/// A pass makes `ceil(blocks / (capacity × budget)) + 1` reports of a list.
fn a_pass_keeps_its_budget(facts: &Facts) -> Checked {
    let order = Order::new(3).map_err(|_| "an order")?;
    let (blocks, capacity, budget): (u64, u64, u64) = (128, 2, 8);
    let spec = EngineSpec {
        load: Load::Comb,
        unit: order,
        min_order: order,
        footprint: 2 * blocks * order.pages() * PAGE_SIZE,
        capacity: 2,
        budget,
        watermark: false,
        ..SPEC
    };
    let outcome = ran(&spec.neutral(), facts)?;
    assert_eq!(outcome.common.violations, []);
    // What stays free beside the comb may be of its order too: one block, or two.
    let a_pass = |beside: u64| (blocks + beside).div_ceil(capacity * budget) + 1;
    let expected = a_pass(0)..=a_pass(2);
    let reports: Vec<_> = outcome.passes.iter().map(|pass| pass.reports).collect();
    let [first, between @ .., _] = reports.as_slice() else { return Err("no passes".into()) };
    let Some(a_pass) = between.first().filter(|reports| expected.contains(reports)) else {
        return Err(format!("{reports:?}, expected {expected:?} each").into());
    };
    assert!(between.iter().all(|reports| reports == a_pass), "{reports:?}");
    // The first one has those of other orders too.
    assert!((*a_pass..a_pass + BESIDE).contains(first), "{reports:?}");
    assert!(counted(&outcome, GuestCounter::OutOfBudget) > 0);
    Ok(())
}
