//! What an exit costs, per doorbell: a bare `KVM_RUN` loop beside the harness's own empty round trip, in the
//! same process and on the same guest. The two must be within 5 % of each other.

use std::time::Duration;

use abi::axes::{Axis, GuestRing};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use host::TrialError;
use host::axes::{RingChoice, Servicer};
use host::facts::{Answered, DoorbellFact, Facts};
use host::parts::Knocker;
use host::trial::TrialSpec;

mod common;

/// Rings in a burst: enough that entering and leaving a burst does not show.
const BURST: u64 = 200;

fn floor(criterion: &mut Criterion) {
    let Some(facts) = common::facts() else { return };
    let mut group = criterion.benchmark_group("floor");
    group.sample_size(30).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for fact in &facts.doorbells {
        let id = format!("{}-ring{}", fact.doorbell.name(), fact.guest_ring.name());
        if let Answered::Not { reason } = &fact.answered {
            eprintln!("SKIPPED floor/{id}: {reason}");
            continue;
        }
        let mut knocker = knocker(fact, &facts).expect("a doorbell that was probed answers");
        for (name, burst) in [("bare", Knocker::bare as fn(&mut Knocker) -> _), ("harness", Knocker::harness)]
        {
            group.bench_function(BenchmarkId::new(&id, name), |bencher| {
                bencher.iter_custom(|rings| timed(&mut knocker, rings, burst));
            });
        }
    }
    group.finish();
}

fn knocker(fact: &DoorbellFact, facts: &Facts) -> Result<Knocker, TrialError> {
    let spec = TrialSpec {
        doorbell: fact.doorbell,
        servicer: if fact.doorbell.is_ioeventfd() { Servicer::Device } else { Servicer::Vcpu },
        guest_ring: match fact.guest_ring {
            GuestRing::Zero => RingChoice::Zero,
            GuestRing::Three => RingChoice::Three,
        },
        reports: BURST,
        ..common::BASE
    };
    Knocker::new(&spec, facts)
}

/// The time `rings` rings take, measured over whole bursts.
fn timed(
    knocker: &mut Knocker,
    rings: u64,
    burst: fn(&mut Knocker) -> Result<Duration, TrialError>,
) -> Duration {
    let bursts = rings.div_ceil(BURST);
    let took: Duration = (0..bursts).map(|_| burst(knocker).expect("the guest only rings")).sum();
    took.mul_f64(rings as f64 / (bursts * BURST) as f64)
}

criterion_group!(benches, floor);
criterion_main!(benches);
