//! What it costs to find out which ranges touch: of batches that do, that do not, and that do once they are sorted.

use abi::addr::{Order, PageRange, Pfn};
use abi::digest::mix;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use host::testing::parts::coalesce;

/// A name, and the frames of a batch of so many in their order.
type Arrangement = (&'static str, fn(u64) -> Vec<u64>);

const ARRANGEMENTS: [Arrangement; 3] = [
    ("adjacent", |batch| (0..batch).collect()),
    ("apart", |batch| (0..batch).map(|n| 2 * n).collect()),
    ("shuffled", shuffled),
];

/// The adjacent ones in another order: each once, so that all of them still merge into one.
fn shuffled(batch: u64) -> Vec<u64> {
    let mut frames: Vec<u64> = (0..batch).collect();
    frames.sort_by_key(|frame| mix(*frame));
    frames
}

fn coalescing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coalesce");
    group.sample_size(30);
    for (name, frames) in ARRANGEMENTS {
        for batch in [32, 511] {
            let block = |frame| PageRange::block(Pfn(frame), Order::default());
            let ranges: Vec<_> = frames(batch).into_iter().map(block).collect();
            group.throughput(Throughput::Elements(batch));
            group.bench_function(BenchmarkId::new(name, batch), |bencher| {
                bencher.iter_batched_ref(|| ranges.clone(), coalesce, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, coalescing);
criterion_main!(benches);
