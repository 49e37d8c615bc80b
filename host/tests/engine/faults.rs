//! The oracle can fail: every bug that can be planted in guest or host is caught by its name.

use abi::addr::Order;
use abi::violation::Violation;
use host::axes::{Axis, Carrier};
use host::engine::{EngineSpec, GuestFault, Load, Walk};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use libtest_mimic::Trial;

use crate::common::{Checked, transports};
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
        if !["hypercall-batch", "hypercall-batch-by-port", "ring-sync", "virtio"].contains(&&*transport.name)
        {
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
            if fault == Fault::UsedTwice && transport.way.carrier != Carrier::Ring {
                continue;
            }
            let name = format!("{}::{name}", transport.name);
            add(name, churn, Planted::new(fault), GuestFault::None, found);
        }
    }
    tests
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
        if outcome.violations.iter().any(|(violation, _)| *violation == expected) {
            return Ok(());
        }
        found.push(outcome.violations);
    }
    Err(format!("found {found:?}").into())
}
