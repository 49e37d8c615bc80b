//! How long a plan may take, from what a probe measured. Nothing but an estimate: it knows the doorbells of
//! this host and guesses the rest.

use std::time::Duration;

use host::axes::{Carrier, Discard};
use host::kvm::Counter;
use host::probe::{Answered, Facts};
use host::timed::TimedSpec;

use crate::ladder::CallBy;
use crate::plan::Plan;
use crate::schedule::schedule;
use crate::unit::float;

/// Guest image, memory, a few checks: what a trial takes before and after its reports.
const AROUND: Duration = Duration::from_millis(60);
/// Touching a page that has to be faulted in, with the discard before it.
const REFAULT: Duration = Duration::from_micros(10);
/// Touching a page twice that is there.
const TOUCH: Duration = Duration::from_micros(1);
/// A doorbell the probe has no figure for.
const UNKNOWN: Duration = Duration::from_micros(50);

/// The time all trials of a plan may take; `None` where instructions are counted, which say nothing about it.
#[must_use]
pub fn duration(plan: &Plan, facts: &Facts, call: CallBy) -> Option<Duration> {
    let trials = || {
        schedule(plan)
            .iter()
            .map(|slot| plan.spec(slot.cell.rung, slot.cell.discard, call, slot.seed))
            .map(|spec| trial(&spec, facts))
            .sum()
    };
    (facts.counter == Counter::Time).then(trials)
}

fn trial(spec: &TimedSpec, facts: &Facts) -> Duration {
    let ranges = u32::from(spec.batch);
    let calls = match spec.way.carrier {
        Carrier::Empty => 1,
        _ => ranges.div_ceil(u32::from(spec.capacity().max(1))),
    };
    let pages = ranges * u32::try_from(spec.order.pages()).unwrap_or(u32::MAX);
    let gone = spec.way.discard != Discard::None && spec.way.carrier != Carrier::Empty;
    let report = round_trip(spec, facts) * calls + if gone { REFAULT } else { TOUCH } * pages;
    let reports = u32::try_from(spec.warmup + spec.reports).unwrap_or(u32::MAX);
    AROUND + report.saturating_mul(reports)
}

/// The slowest ring counts: which one the trial will use is the runner's business.
fn round_trip(spec: &TimedSpec, facts: &Facts) -> Duration {
    facts
        .doorbells
        .iter()
        .filter(|fact| fact.doorbell == spec.way.doorbell)
        .filter_map(|fact| match fact.answered {
            Answered::After { round_trip_ticks } => Some(of_ticks(round_trip_ticks, facts.tsc_khz)),
            Answered::Not { .. } => None,
        })
        .max()
        .unwrap_or(UNKNOWN)
}

/// Ticks of a counter of time.
fn of_ticks(ticks: u64, tsc_khz: u32) -> Duration {
    Duration::from_secs_f64(float(ticks) / 1e3 / f64::from(tsc_khz.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_reports_and_more_blocks_take_longer() {
        let facts = crate::testing::facts();
        let estimate = |plan: &Plan| duration(plan, &facts, CallBy::Hypercall).unwrap();
        let plan = crate::testing::plan();
        let once = estimate(&plan);
        assert!(once > AROUND * 8 * 2 * plan.blocks);
        assert_eq!(estimate(&Plan { blocks: 2 * plan.blocks, ..plan.clone() }), once * 2);
        assert!(estimate(&Plan { reports: 10 * plan.reports, ..plan }) > once);
    }

    #[test]
    fn a_round_trip_is_as_long_as_its_ticks() {
        assert_eq!(of_ticks(3000, 2_000_000), Duration::from_nanos(1500));
    }

    #[test]
    fn instructions_say_nothing_about_how_long_a_run_takes() {
        let facts = Facts { counter: Counter::Instructions, ..crate::testing::facts() };
        assert_eq!(duration(&Plan::default(), &facts, CallBy::Hypercall), None);
    }
}
