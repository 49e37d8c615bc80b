//! Guests of the engine over every discard and every memory that goes with it: what is reported is freed or not, and holds
//! what it must, by the guest's oracle and by the host's own look.

use host::axes::{Axis, Backing, Discard, Freed, Way};
use host::engine::EngineSpec;
use host::probe::Facts;
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::Checked;
use crate::{SPEC, ran};

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut tests = Vec::new();
    for discard in Discard::ALL {
        for backing in Backing::ALL {
            let way = Way { discard: *discard, backing: *backing, ..SPEC.way };
            // An engine says nowhere what it has taken back.
            if way.validate().is_ok() && *discard != Discard::Deferred {
                let spec = EngineSpec { way, ..SPEC };
                let name = format!("discards::{}-of-{}", discard.name(), backing.name());
                tests.push(Trial::test(name, move || is_as_it_must_be(&spec, facts)));
            }
        }
    }
    tests
}

fn is_as_it_must_be(spec: &EngineSpec, facts: &Facts) -> Checked {
    let outcome = match ran(spec, facts) {
        // What this host does not have: the suite of discards looks at what is said.
        Err(TrialError::Backing(missing)) => {
            println!("{missing}");
            return Ok(());
        }
        outcome => outcome?,
    };
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.common.madvise_failures, 0, "calls that failed: {:?}", outcome.common.madvise_error);
    let called = outcome.common.madvise_calls > 0 && outcome.common.discarded_pages > 0;
    assert_eq!(called, spec.way.discard != Discard::None, "calls");
    assert_eq!(
        (outcome.looked.pages, outcome.looked.wrong),
        (outcome.managed, 0),
        "pages looked at, and wrong"
    );
    for round in &outcome.settled {
        assert_eq!((round.lost, round.reported_resident), (0, 0), "{round:?}");
        match spec.way.frees(spec.min_order) {
            Freed::Nothing => assert_eq!(round.unmapped, 0, "{round:?}"),
            Freed::AsItLikes => {}
            Freed::All => assert!(round.reported > 0 && round.unmapped >= round.reported, "{round:?}"),
        }
    }
    Ok(())
}
