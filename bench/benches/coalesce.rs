//! What it costs to find out which ranges touch: sorted, strided and shuffled batches.

use abi::addr::{Order, PageRange, Pfn};
use abi::digest::mix;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use host::testing::parts::coalesce;

type Arrangement = (&'static str, fn(u64) -> u64);

/// Which frame comes as the n-th.
const ARRANGEMENTS: [Arrangement; 3] =
    [("adjacent", |n| n), ("apart", |n| 2 * n), ("shuffled", |n| mix(n) % 4096)];

fn coalescing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coalesce");
    group.sample_size(30);
    for (name, frame) in ARRANGEMENTS {
        for batch in [32, 511] {
            let ranges: Vec<_> =
                (0..batch).map(|n| PageRange::block(Pfn(frame(n)), Order::default())).collect();
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
