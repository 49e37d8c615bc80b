//! The time of a report: the phases must explain it.

use host::axes::{Axis, Discard, Way};
use host::probe::Facts;
use host::timed::{Sample, TimedSpec};
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::{over_floors, sound};

/// The share of a report's time that the phases must explain, in percent.
const EXPLAINED: u64 = 95;
/// A busy machine may preempt the host between two stamps.
const ATTEMPTS: u32 = 3;

/// Phases over each transport, and over a doorbell with nothing in it.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    transports.iter().flat_map(|transport| over(transport, facts)).chain(over_floors(over, facts)).collect()
}

fn over(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |discard: &Discard| {
        let way = Way { discard: *discard, ..transport.way };
        let spec = TimedSpec { way, reports: 100, ..transport.spec() };
        let name = format!("{}::phases-explain-the-time-discard-{}", transport.name, discard.name());
        Trial::test(name, move || phases_explain_the_time(&spec, facts))
    };
    Discard::ALL.iter().map(test).collect()
}

fn phases_explain_the_time(spec: &TimedSpec, facts: &Facts) -> Checked {
    let mut shares = Vec::new();
    for _ in 0..ATTEMPTS {
        let (_, samples) = sound(spec, facts)?;
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
        let (explained, total) = (sum(Sample::explained), sum(|sample| sample.total));
        assert!(explained <= total, "phases do not overlap: {explained} of {total}");
        if explained * 100 >= total * EXPLAINED {
            return Ok(());
        }
        shares.push(explained * 1000 / total);
    }
    Err(format!("phases explain only {shares:?} thousandths").into())
}
