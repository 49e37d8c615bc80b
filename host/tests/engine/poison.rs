//! Guests that fill their free pages with something: whether they report, and what becomes of what they report.

use host::axes::{Carrier, Completion, Doorbell, Way};
use host::engine::{EngineOutcome, EngineSpec, GuestCounter, Inhibited};
use host::probe::Facts;
use libtest_mimic::Trial;

use crate::common::Checked;
use crate::walks::counted;
use crate::{SPEC, ran};

/// What becomes of reports.
enum Fate {
    /// None are made, and this is why.
    Inhibited(Inhibited),
    /// They are acknowledged, and the pages stay as they are.
    Kept,
    /// The pages are given back.
    Returned,
}

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let ring = |poison, offer_poison| EngineSpec { poison, offer_poison, ..SPEC };
    let way = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
    let page = EngineSpec { way, poison: Some(0xaa), ..SPEC };
    let cases = [
        ("not-offered", ring(Some(0xaa), false), Fate::Inhibited(Inhibited::PoisonNotNegotiated)),
        ("zeroes-not-offered", ring(Some(0), false), Fate::Inhibited(Inhibited::PoisonNotNegotiated)),
        ("no-way-to-say-so", page, Fate::Inhibited(Inhibited::PoisonUnsaid)),
        ("offered", ring(Some(0xaa), true), Fate::Kept),
        ("zeroes-offered", ring(Some(0), true), Fate::Returned),
        ("offered-and-not-wanted", ring(None, true), Fate::Returned),
    ];
    cases
        .map(|(name, spec, fate)| Trial::test(format!("poison::{name}"), move || meets(&spec, &fate, facts)))
        .into()
}

fn meets(spec: &EngineSpec, fate: &Fate, facts: &Facts) -> Checked {
    let outcome = ran(spec, facts)?;
    assert_eq!(outcome.common.violations, []);
    let reported = counted(&outcome, GuestCounter::ReportedPages);
    let (inhibited, reports, discarded) = match fate {
        Fate::Inhibited(why) => (*why, false, 0),
        Fate::Kept => (Inhibited::No, true, 0),
        Fate::Returned => (Inhibited::No, true, reported),
    };
    assert_eq!(outcome.inhibited, inhibited);
    assert_eq!((reported > 0, outcome.common.discarded_pages), (reports, discarded));
    let returned = matches!(fate, Fate::Returned);
    assert!(outcome.settled.iter().all(|settled| settled.lost == 0 && settled.reported_resident == 0));
    assert!(is_resident(&outcome, spec) != returned, "{:?}", outcome.settled);
    Ok(())
}

/// Whether all of the footprint is still there after every round.
fn is_resident(outcome: &EngineOutcome, spec: &EngineSpec) -> bool {
    let footprint = spec.footprint >> 12;
    !outcome.settled.is_empty() && outcome.settled.iter().all(|settled| settled.resident >= footprint)
}
