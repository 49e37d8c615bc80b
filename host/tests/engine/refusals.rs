//! What means nothing, or cannot be had here, is refused before anything starts.

use std::sync::Arc;

use host::axes::{Carrier, Completion, Doorbell, Way};
use host::engine::{self, EngineSpec, EngineSpecError};
use host::probe::Facts;
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::SPEC;
use crate::common::{Checked, ignored};

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    type Change = fn(EngineSpec) -> EngineSpec;
    let cases: [(&str, Change, EngineSpecError); 6] = [
        (
            "no-capacity",
            |spec| EngineSpec { capacity: 0, ..spec },
            EngineSpecError::Capacity { capacity: 0, carrier: Carrier::Ring, most: 512 },
        ),
        (
            "a-ring-smaller-than-a-report",
            |spec| EngineSpec { capacity: 64, queue_size: Some(32), ..spec },
            EngineSpecError::QueueTooSmall { entries: 32, capacity: 64 },
        ),
        (
            "too-many-processors",
            |spec| EngineSpec { vcpus: 9, ..spec },
            EngineSpecError::Vcpus { vcpus: 9, most: 8 },
        ),
        (
            "an-empty-carrier",
            |spec| EngineSpec { way: plain(Carrier::Empty, Doorbell::Port), ..spec },
            EngineSpecError::NoRanges,
        ),
        (
            "a-log",
            |spec| EngineSpec { way: plain(Carrier::Log, Doorbell::Port), ..spec },
            EngineSpecError::Gathers { carrier: Carrier::Log, entries: 511 },
        ),
        (
            "writes-that-kvm-queues",
            |spec| EngineSpec { way: plain(Carrier::Store, Doorbell::CoalescedMmio), ..spec },
            EngineSpecError::Gathers { carrier: Carrier::Store, entries: 169 },
        ),
    ];
    let mut tests: Vec<_> = cases
        .into_iter()
        .map(|(name, change, error)| {
            Trial::test(format!("refuses::{name}"), move || {
                is_refused(&change(SPEC), facts, |ended| called(ended) == Some(&error))
            })
        })
        .collect();
    tests.push(Trial::test("refuses::more-processors-than-kvm-has", move || {
        let facts = Facts { max_vcpus: 1, ..facts.clone() };
        let spec = EngineSpec { vcpus: 2, footprint: 8 << 20, ..SPEC };
        is_refused(&spec, &facts, |ended| {
            called(ended) == Some(&EngineSpecError::Vcpus { vcpus: 2, most: 1 })
        })
    }));
    let name = "refuses::a-hypercall-that-is-not-delivered";
    tests.push(if facts.answers(Doorbell::Hypercall) {
        ignored(name.into(), "the doorbell answers here")
    } else {
        Trial::test(name, move || {
            let spec = EngineSpec { way: plain(Carrier::Batch, Doorbell::Hypercall), ..SPEC };
            is_refused(&spec, facts, |ended| matches!(ended, TrialError::NoHypercall))
        })
    });
    tests
}

fn plain(carrier: Carrier, doorbell: Doorbell) -> Way {
    Way::plain(carrier, doorbell, Completion::Return)
}

/// What a refusal of a specification is called.
fn called(ended: &TrialError) -> Option<&EngineSpecError> {
    match ended {
        TrialError::Spec(error) => error.downcast_ref(),
        _ => None,
    }
}

fn is_refused(spec: &EngineSpec, facts: &Facts, is_its_own: impl Fn(&TrialError) -> bool) -> Checked {
    let ended = engine::run(spec, facts, &Arc::default());
    assert!(ended.as_ref().is_err_and(is_its_own), "ended with {ended:?}");
    Ok(())
}
