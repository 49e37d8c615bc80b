//! The oracle can fail: every bug that can be planted in guest or host is caught by its name.

use abi::trace::Violation;
use host::axes::{Axis, Carrier};
use host::engine::{EngineSpec, GuestFault, Load, Walk};
use host::facts::Facts;
use host::{Fault, Planted};
use libtest_mimic::Trial;

use crate::common::{Checked, transports};
use crate::walks::{over, several};
use crate::{SPEC, planted};

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
            let churn = over(&transport, several(Load::Churn, EngineSpec { walk, ..SPEC }));
            for (fault, found) in [
                (GuestFault::ReportOnList, Violation::NotIsolated),
                (GuestFault::KeepMark, Violation::StaleMark),
                (GuestFault::PutBackEarly, Violation::HandedOutInFlight),
            ] {
                let name = format!("{}::{}::{}", transport.name, walk.name(), fault.name());
                add(name, churn, Planted::NONE, fault, found);
            }
        }
        let memhog = over(&transport, SPEC);
        for (name, fault, found) in [
            ("skip-discard", Fault::SkipDiscard, Violation::StillThere),
            ("page-too-many", Fault::PageTooMany, Violation::UnreportedLost),
            ("acknowledge-first", Fault::AcknowledgeFirst, Violation::StillThere),
            ("used-twice", Fault::UsedTwice, Violation::UsedAhead),
        ] {
            if fault == Fault::UsedTwice && transport.carrier != Carrier::Ring {
                continue;
            }
            let name = format!("{}::{name}", transport.name);
            add(name, memhog, Planted::new(fault), GuestFault::None, found);
        }
    }
    tests
}

fn is_caught(
    spec: &EngineSpec,
    facts: &Facts,
    host: Planted,
    guest: GuestFault,
    expected: Violation,
) -> Checked {
    let outcome = planted(spec, facts, host, guest)?;
    let found: Vec<_> = outcome.violations.iter().map(|(violation, _)| *violation).collect();
    if found.contains(&expected) { Ok(()) } else { Err(format!("found {:?}", outcome.violations).into()) }
}
