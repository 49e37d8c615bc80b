//! How long a plan may take, from what a probe measured. Nothing but an estimate: it knows the doorbells of
//! this host and guesses the rest.

use std::time::Duration;

use abi::addr::PAGE_SIZE;
use abi::wire::frames;
use host::axes::{Carrier, Discard};
use host::engine::{EngineSpec, Load};
use host::kvm::Counter;
use host::probe::{Answered, Facts};
use host::timed::TimedSpec;

use super::schedule::Slot;
use crate::figure::unit::float;
use crate::trial::spec::Spec;

/// Guest image, memory, a few checks: what a trial takes before and after its reports.
const AROUND: Duration = Duration::from_millis(60);
/// A kernel that boots, and reports two seconds after it may, several times.
const A_GUEST: Duration = Duration::from_secs(15);
/// Touching a page that has to be faulted in, with the discard before it.
const REFAULT: Duration = Duration::from_micros(10);
/// Touching a page twice that is there.
const TOUCH: Duration = Duration::from_micros(1);
/// Passes that a round of a load that is not timed may need.
const PASSES: u64 = 5;
/// In a second.
const NANOS: u128 = 1_000_000_000;
/// A doorbell the probe has no figure for.
const UNKNOWN: Duration = Duration::from_micros(50);

/// The time all trials may take; `None` where instructions are counted, which say nothing about it.
#[must_use]
pub fn duration(slots: &[Slot<Spec>], facts: &Facts) -> Option<Duration> {
    let trial = |slot: &Slot<Spec>| match &slot.cell {
        Spec::Timed(spec) => timed(spec, facts).saturating_add(slot.cell.least_time()),
        Spec::Engine(spec) => engine(spec),
        Spec::Linux(_) => A_GUEST,
    };
    (facts.counter == Counter::Time)
        .then(|| slots.iter().map(trial).fold(Duration::ZERO, Duration::saturating_add))
}

/// What a load is told to take, or a delay for each pass it may need, and every page touched once before. A flush waits for no
/// delay: it touches every page again each round.
fn engine(spec: &EngineSpec) -> Duration {
    let pages = spec.memory / PAGE_SIZE;
    let working = spec.warmup.saturating_add(spec.window);
    let settling = match spec.load {
        Load::Flush => times(TOUCH, pages),
        load if load.is_timed() => Duration::ZERO,
        _ => times(spec.delay, PASSES),
    };
    AROUND
        .saturating_add(times(TOUCH, pages))
        .saturating_add(working)
        .saturating_add(times(settling, spec.rounds))
}

fn timed(spec: &TimedSpec, facts: &Facts) -> Duration {
    let ranges = u64::from(spec.batch);
    let calls = match spec.way.carrier {
        Carrier::Empty => 1,
        Carrier::CallAndRing => ranges + 1,
        Carrier::Inflate => 2 * frames::lists(ranges, spec.order),
        _ => ranges.div_ceil(spec.capacity().max(1).into()),
    };
    let pages = ranges.saturating_mul(spec.order.pages());
    let gone = spec.way.discard != Discard::None && spec.way.carrier != Carrier::Empty;
    let touched = if gone { REFAULT } else { TOUCH };
    let report = times(round_trip(spec, facts), calls).saturating_add(times(touched, pages));
    // As if all shared one processor.
    let report = times(report, spec.company.vcpus.into());
    AROUND.saturating_add(times(report, spec.warmup.saturating_add(spec.reports)))
}

/// So many times as long; what is longer than can be said is as long as can be said.
fn times(once: Duration, count: u64) -> Duration {
    let nanos = once.as_nanos().saturating_mul(count.into());
    // The rest of the division is below 10^9.
    let part = u32::try_from(nanos % NANOS).unwrap_or_default();
    u64::try_from(nanos / NANOS).map_or(Duration::MAX, |seconds| Duration::new(seconds, part))
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
    use crate::plan::schedule::interleaved;
    use crate::testing::timed::{facts, spec};

    #[test]
    fn more_reports_and_more_blocks_take_longer() {
        let estimate = |reports, blocks| {
            let spec = Spec::Timed(TimedSpec { reports, ..spec() });
            duration(&interleaved(vec![spec], blocks, 1), &facts()).unwrap()
        };
        let once = estimate(400, 3);
        assert!(once > AROUND * 3);
        assert_eq!(estimate(400, 6), once * 2);
        assert!(estimate(4000, 3) > once);
        let (many, most) = (estimate(1 << 40, 3), estimate(u64::MAX, 3));
        assert!(many > estimate(1 << 39, 3) && most > many * 1_000_000, "it neither wraps nor ends early");
        assert_eq!(times(Duration::MAX, u64::MAX), Duration::MAX);
        assert_eq!(times(Duration::from_nanos(1_500_000_001), 3), Duration::from_nanos(4_500_000_003));
    }

    #[test]
    fn a_round_trip_is_as_long_as_its_ticks() {
        assert_eq!(of_ticks(3000, 2_000_000), Duration::from_nanos(1500));
    }

    #[test]
    fn instructions_say_nothing_about_how_long_a_run_takes() {
        let facts = Facts { counter: Counter::Instructions, ..facts() };
        assert_eq!(duration(&[], &facts), None);
    }
}
