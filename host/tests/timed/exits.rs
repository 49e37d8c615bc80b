//! Exits to user space: as designed, and as KVM says.

use host::axes::{Axis, Carrier, RingChoice, Way};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::TimedSpec;
use libtest_mimic::Trial;

use crate::common::{Transport, ignored};
use crate::designed::{cannot_run_in, exits_are_as_designed, sound};
use crate::over_floors;

/// Ranges in a report: one, a few, and all there can be.
const BATCHES: [u16; 3] = [1, 7, 511];

/// Exits over each transport, and over a doorbell with nothing in it.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    transports.iter().flat_map(|transport| over(transport, facts)).chain(over_floors(over, facts)).collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let exits = |what: String, spec: TimedSpec| {
        Trial::test(format!("{}::exits-{what}", transport.name), move || {
            let (outcome, _) = sound(&spec, facts)?;
            exits_are_as_designed(&spec, &outcome, facts);
            Ok(())
        })
    };
    let spec = timed_over(transport.way);
    // The floor carries no batch.
    let batches = if transport.way.carrier == Carrier::Empty { &BATCHES[..1] } else { &BATCHES };
    // A guest that sleeps before each report: its naps are in no count of the transport's.
    let idle = exits("idle".into(), TimedSpec { idle: 2000, batch: 1, ..spec });
    let batches =
        batches.iter().map(|batch| exits(format!("batch-{batch}"), TimedSpec { batch: *batch, ..spec }));
    let rings = [RingChoice::Zero, RingChoice::Three].map(|guest_ring| {
        let what = format!("guest-ring-{}", guest_ring.name());
        let way = Way { guest_ring, ..spec.way };
        match cannot_run_in(guest_ring, transport.way.doorbell, facts) {
            Some(reason) => ignored(format!("{}::exits-{what}", transport.name), reason),
            None => exits(what, TimedSpec { way, batch: 8, reports: 16, ..spec }),
        }
    });
    batches.chain(rings).chain([idle]).collect()
}
