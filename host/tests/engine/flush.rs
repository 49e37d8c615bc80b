//! Everything at once, when the host asks: over every transport; and what is held, until memory is asked for.

use std::time::Duration;

use host::engine::{EngineSpec, GuestCounter, Load, Walk};
use host::probe::Facts;
use libtest_mimic::Trial;

use crate::common::{Checked, transports};
use crate::walks::{counted, over};
use crate::{SPEC, ran};

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    // Those that the engine refuses are in `refusals`.
    let flush = transports(facts).into_iter().filter_map(|transport| {
        let spec = over(&transport, EngineSpec { load: Load::Flush, delay: Duration::from_secs(60), ..SPEC });
        spec.validate().ok()?;
        Some(Trial::test(format!("flush::{}", transport.name), move || is_flushed(&spec, facts)))
    });
    let hold = EngineSpec { load: Load::Flush, walk: Walk::Hold, delay: Duration::from_secs(60), ..SPEC };
    let others = [
        Trial::test("flush::hold", move || is_flushed(&hold, facts)),
        Trial::test("hold::what-is-held-goes-back-when-it-is-asked-for", move || is_released(facts)),
    ];
    flush.chain(others).collect()
}

/// The delay is far longer than the trial: what is reported was asked for.
fn is_flushed(spec: &EngineSpec, facts: &Facts) -> Checked {
    let outcome = ran(spec, facts)?;
    assert_eq!(outcome.common.violations, [], "first at frame {:?}", outcome.first_wrong);
    assert_eq!(outcome.settled.len() as u64, spec.rounds, "rounds");
    let (mut reports, mut pages) = (0, 0);
    for settled in &outcome.settled {
        let flushed = settled.flushed.ok_or("no flush")?;
        assert!(flushed.ticks > 0 && flushed.reports > 0, "{flushed:?}");
        assert!(flushed.pages >= spec.footprint / 4096, "{flushed:?}");
        assert_eq!((settled.lost, settled.reported_resident), (0, 0), "{settled:?}");
        assert_eq!(settled.unmapped, settled.reported, "{settled:?}");
        reports += flushed.reports;
        pages += flushed.pages;
    }
    assert_eq!(counted(&outcome, GuestCounter::Reports), reports, "reports that nobody asked for");
    assert_eq!((outcome.common.discarded_pages, pages), (pages, pages), "pages");
    Ok(())
}

/// Nearly all of the guest is held after the first round, and taken again in the second.
fn is_released(facts: &Facts) -> Checked {
    let spec = EngineSpec { walk: Walk::Hold, ..SPEC };
    let outcome = ran(&spec, facts)?;
    assert_eq!(outcome.common.violations, [], "first at frame {:?}", outcome.first_wrong);
    let [held, released] = [GuestCounter::Held, GuestCounter::Released].map(|what| counted(&outcome, what));
    assert_eq!(held, counted(&outcome, GuestCounter::Reported), "what is reported is held");
    assert!(released > 0 && released < held, "{released} of {held} blocks went back");
    assert_eq!(counted(&outcome, GuestCounter::Failed), 0, "allocations that found nothing");
    Ok(())
}
