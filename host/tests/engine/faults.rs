//! The oracle can fail: every bug that can be planted in guest or host is caught by its name.

use abi::addr::Order;
use abi::violation::Violation;
use host::axes::Axis;
use host::engine::{EngineSpec, GuestFault, Load, Walk};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use host::testing::physical::sees_frames;
use libtest_mimic::Trial;

use crate::common::{Checked, ignored, transports};
use crate::walks::{over, several};
use crate::{SPEC, planted};

/// Some bugs only show if another processor is quick enough.
const ATTEMPTS: u64 = 10;

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut tests = Vec::new();
    let mut add = |name: String, spec: EngineSpec, host: Planted, guest: GuestFault, found: Violation| {
        let name = format!("faults::{name}");
        tests.push(Trial::test(name, move || is_caught(&spec, facts, host, guest, found)));
    };
    for transport in transports(facts) {
        let tried = ["hypercall-batch", "hypercall-batch-by-port", "ring-sync", "virtio", "packed-sync"];
        if !tried.contains(&&*transport.name) {
            continue;
        }
        for walk in Walk::ALL.iter().copied() {
            let churn = over(&transport, crowded(EngineSpec { walk, ..SPEC }));
            for (fault, found) in [
                (GuestFault::ReportOnList, Violation::NotIsolated),
                (GuestFault::KeepMark, Violation::StaleMark),
                (GuestFault::PutBackEarly, Violation::HandedOutInFlight),
            ] {
                let name = format!("{}::{}::{}", transport.name, walk.name(), fault.name());
                add(name, churn, Planted::NONE, fault, found);
            }
        }
        let churn = over(&transport, crowded(SPEC));
        for (name, fault, found) in [
            ("skip-discard", Fault::SkipDiscard, Violation::StillThere),
            ("page-too-many", Fault::PageTooMany, Violation::ReusedLost),
            ("acknowledge-first", Fault::AcknowledgeFirst, Violation::StillThere),
            ("used-twice", Fault::UsedTwice, Violation::UsedAhead),
        ] {
            if fault == Fault::UsedTwice && !transport.way.carrier.is_ring() {
                continue;
            }
            let name = format!("{}::{name}", transport.name);
            add(name, churn, Planted::new(fault), GuestFault::None, found);
        }
    }
    for (name, fault) in [("skip-discard", Fault::SkipDiscard), ("page-too-many", Fault::PageTooMany)] {
        let test = move || the_host_sees(fault, facts);
        tests.push(Trial::test(format!("faults::the-host-sees::{name}"), test));
    }
    tests.push(Trial::test("faults::clock-that-moved-meanwhile", move || {
        let ended = planted(&SPEC, facts, Planted::new(Fault::ClockMoved), GuestFault::None);
        let moved = matches!(ended, Err(host::trial::TrialError::ClockMoved { ticks: 1000 }));
        if moved { Ok(()) } else { Err(format!("ended with {ended:?}").into()) }
    }));
    let name = "faults::the-host-sees::unmap-only".to_owned();
    tests.push(if sees_frames() {
        Trial::test(name, move || the_host_has_nothing_back(facts))
    } else {
        ignored(name, "only root sees of so few pages whether they are back")
    });
    tests
}

/// What is wrong with a page the host finds itself, whatever the guest says.
fn the_host_sees(fault: Fault, facts: &Facts) -> Checked {
    let mut seen = Vec::new();
    for seed in 0..ATTEMPTS {
        let spec = EngineSpec { seed, ..crowded(SPEC) };
        let sound = planted(&spec, facts, Planted::NONE, GuestFault::None)?.looked;
        let managed = spec.map().managed();
        assert_eq!((sound.pages, sound.wrong), (managed, 0), "without a fault");
        assert!(sound.read > 0, "{sound:?}");
        let looked = planted(&spec, facts, Planted::new(fault), GuestFault::None)?.looked;
        if looked.wrong > 0 {
            return Ok(());
        }
        seen.push(looked);
    }
    Err(format!("saw {seen:?}").into())
}

/// A discard that only unmaps gives back less than it unmaps, and the guest sees nothing of it.
fn the_host_has_nothing_back(facts: &Facts) -> Checked {
    let not_back = |fault| {
        let outcome = planted(&SPEC, facts, fault, GuestFault::None)?;
        assert_eq!(outcome.common.violations, [], "the guest sees nothing of it");
        assert_eq!(outcome.settled.len() as u64, SPEC.rounds, "rounds settled");
        let held = outcome.settled.iter().map(|round| {
            assert!(round.unmapped > 0 && round.unknown == 0, "{round:?}");
            round.unmapped - round.back
        });
        Ok::<Vec<u64>, host::trial::TrialError>(held.collect())
    };
    assert!(not_back(Planted::NONE)?.iter().all(|held| *held == 0), "without a fault");
    let held = not_back(Planted::new(Fault::UnmapOnly))?;
    // Of later rounds the witness has seen no page mapped, and cannot tell.
    if held.first().is_some_and(|held| *held > 0) { Ok(()) } else { Err(format!("held {held:?}").into()) }
}

/// Four processors that churn so much of a small memory that blocks are allocated soon after they were freed.
fn crowded(spec: EngineSpec) -> EngineSpec {
    let (unit, min_order) = (Order::new(6).unwrap_or_default(), Order::new(2).unwrap_or_default());
    let spec = EngineSpec { memory: 32 << 20, capacity: 32, budget: 0, ..several(Load::Churn, spec) };
    EngineSpec { unit, min_order, footprint: 5 << 20, ..spec }
}

fn is_caught(
    spec: &EngineSpec,
    facts: &Facts,
    host: Planted,
    guest: GuestFault,
    expected: Violation,
) -> Checked {
    let mut found = Vec::new();
    for seed in 0..ATTEMPTS {
        let outcome = planted(&EngineSpec { seed, ..*spec }, facts, host, guest)?;
        if outcome.common.violations.iter().any(|(violation, _)| *violation == expected) {
            return Ok(());
        }
        found.push(outcome.common.violations);
    }
    Err(format!("found {found:?}").into())
}
