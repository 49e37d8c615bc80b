//! What ringing a doorbell costs, exit and all where there is one: a bare `KVM_RUN` loop beside the harness's own empty
//! round trip, in the same process and on the same guest. What the harness adds is to be below 5 %; nothing here fails
//! if it is not, `results/reference/floor-kvm_pvm.txt` has what it was.
//!
//! On a machine that others use, two figures taken one after the other differ by more than that for no reason
//! of ours. Whichever of the two is being measured, bursts of both are run in turns, so that both see the same
//! machine; and the medians of all bursts of a doorbell are compared in a line of their own.

use std::time::Duration;

use abi::axes::{Axis, GuestRing};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use host::axes::{RingChoice, Way};
use host::probe::{Answered, DoorbellFact, Facts};
use host::testing::parts::Knocker;
use host::timed::TimedSpec;
use host::trial::TrialError;

mod common;

/// Rings in a burst: enough that entering and leaving a burst does not show.
const BURST: u32 = 200;

/// Bursts of both loops in turns, and what each took.
struct Turns {
    knocker: Knocker,
    bare: Vec<Duration>,
    harness: Vec<Duration>,
}

/// Which of the two loops criterion is asking about.
#[derive(Clone, Copy)]
enum Loop {
    Bare,
    Harness,
}

impl Turns {
    fn new(knocker: Knocker) -> Self {
        Self { knocker, bare: Vec::new(), harness: Vec::new() }
    }

    /// The time `rings` rings take in one of the loops, measured over whole bursts.
    fn timed(&mut self, which: Loop, rings: u64) -> Duration {
        let bursts = rings.div_ceil(BURST.into());
        let took: Duration = (0..bursts).map(|_| self.pair(which)).sum();
        took.mul_f64(rings as f64 / (bursts * u64::from(BURST)) as f64)
    }

    /// A burst of each, in an order that alternates.
    fn pair(&mut self, which: Loop) -> Duration {
        let bare_first = self.bare.len().is_multiple_of(2);
        let only_rings = "the guest only rings";
        let before = bare_first.then(|| self.knocker.bare().expect(only_rings));
        let harness = self.knocker.harness().expect(only_rings);
        let bare = before.unwrap_or_else(|| self.knocker.bare().expect(only_rings));
        self.bare.push(bare);
        self.harness.push(harness);
        match which {
            Loop::Bare => bare,
            Loop::Harness => harness,
        }
    }

    /// One line on how the medians compare; nothing of a doorbell that was listed or filtered out, not rung.
    fn compare(&mut self, id: &str) {
        let bursts = self.bare.len();
        let (Some(bare), Some(harness)) = (median(&mut self.bare), median(&mut self.harness)) else { return };
        let more = 100.0 * (harness.as_secs_f64() / bare.as_secs_f64() - 1.0);
        eprintln!(
            "floor/{id}: harness against bare {more:+.2} % (medians of {bursts} bursts each: {:?} and {:?} a ring)",
            harness / BURST,
            bare / BURST
        );
    }
}

fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn floor(criterion: &mut Criterion) {
    let Some(facts) = common::facts() else { return };
    let mut group = criterion.benchmark_group("floor");
    group.sample_size(30).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    // What KVM queues is a range: it goes with no empty call.
    for fact in facts.doorbells.iter().filter(|fact| !fact.doorbell.is_coalesced()) {
        let id = format!("{}-ring{}", fact.doorbell.name(), fact.guest_ring.name());
        if let Answered::Not { reason } = &fact.answered {
            eprintln!("SKIPPED floor/{id}: {reason}");
            continue;
        }
        let mut turns = Turns::new(knocker(fact, &facts).expect("a doorbell that was probed answers"));
        for (name, which) in [("bare", Loop::Bare), ("harness", Loop::Harness)] {
            group.bench_function(BenchmarkId::new(&id, name), |bencher| {
                bencher.iter_custom(|rings| turns.timed(which, rings));
            });
        }
        turns.compare(&id);
    }
    group.finish();
}

fn knocker(fact: &DoorbellFact, facts: &Facts) -> Result<Knocker, TrialError> {
    let spec = TimedSpec {
        way: Way {
            doorbell: fact.doorbell,
            servicer: fact.doorbell.servicer(),
            guest_ring: match fact.guest_ring {
                GuestRing::Zero => RingChoice::Zero,
                GuestRing::Three => RingChoice::Three,
            },
            ..common::BASE.way
        },
        reports: BURST.into(),
        ..common::BASE
    };
    Knocker::new(&spec, facts)
}

criterion_group!(benches, floor);
criterion_main!(benches);
