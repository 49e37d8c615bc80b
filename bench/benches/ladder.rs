//! What a report costs on each rung, for several batches, without a discard: the transport alone.
//!
//! Each measurement is a trial of its own: a guest is booted, warmed up, and reports; what it reported, up to
//! 400 times, is scaled to as often as criterion asks for. Verdicts come from `pagehint compare`, whose trials are
//! interleaved and whose reports are looked at one by one; these figures are for watching one rung change.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use abi::axes::Axis;
use bench::axes::rung::{Rung, Transport};
use bench::site::calls::Calls;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use host::axes::Way;
use host::probe::Facts;
use host::timed::{Observer, Sample, TimedSpec};

mod common;

/// Reports of one trial at most: more only repeats.
const REPORTS: u64 = 400;

/// Adds up what reports took.
#[derive(Default)]
struct Total {
    ticks: u64,
    reports: u64,
}

impl Observer for Total {
    fn sample(&mut self, sample: &Sample) {
        self.ticks += sample.total;
        self.reports += 1;
    }
}

fn ladder(criterion: &mut Criterion) {
    let Some(facts) = common::facts() else { return };
    let calls = Calls::on(&facts);
    let mut group = criterion.benchmark_group("ladder");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for rung in Rung::ALL.iter().copied() {
        if let Some(reason) = calls.refusal(rung) {
            eprintln!("SKIPPED ladder/{}: {reason}", rung.name());
            continue;
        }
        for batch in [1, 32, 256] {
            if !rung.names_pages() && batch > 1 {
                continue;
            }
            let spec = spec(rung, batch, &calls);
            if let Err(reason) = spec.validate() {
                eprintln!("SKIPPED ladder/{}/{batch}: {reason}", rung.name());
                continue;
            }
            group.throughput(Throughput::Elements(u64::from(batch)));
            group.bench_function(BenchmarkId::new(rung.name(), batch), |bencher| {
                bencher.iter_custom(|reports| timed(&spec, reports, &facts));
            });
        }
    }
    group.finish();
}

fn spec(rung: Rung, batch: u16, calls: &Calls) -> TimedSpec {
    let Transport { carrier, ring_features, doorbell, servicer, completion, halt_poll } =
        rung.transport(calls.by);
    let way = Way { carrier, ring_features, doorbell, servicer, completion, halt_poll, ..common::BASE.way };
    TimedSpec { way, batch, ..common::BASE }
}

/// The time `reports` reports take, scaled from those of one trial.
fn timed(spec: &TimedSpec, reports: u64, facts: &Facts) -> Duration {
    let mut total = Total::default();
    let spec = TimedSpec { reports: reports.min(REPORTS), ..*spec };
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = host::timed::run(&spec, facts, &stop, &mut total).expect("a rung of the ladder runs");
    let nanoseconds = total.ticks as f64 * 1e6 / f64::from(outcome.common.tsc_khz);
    Duration::from_secs_f64(nanoseconds / 1e9 / total.reports.max(1) as f64 * reports as f64)
}

criterion_group!(benches, ladder);
criterion_main!(benches);
