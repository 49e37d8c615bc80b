//! The device's side of a ring: fetching a chain of 32 descriptors, and acknowledging it.

use abi::addr::{Order, PageRange, Pfn};
use abi::layout::ARENA_START;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use host::testing::parts::{Batch, Chains};

const DESCRIPTORS: u64 = 32;

fn ring(criterion: &mut Criterion) {
    let ranges: Vec<_> =
        (0..DESCRIPTORS).map(|n| PageRange::block(Pfn(ARENA_START.0 + n), Order::default())).collect();
    let mut chains = Chains::new(&ranges).expect("memory for a ring");
    let mut batch = Batch::default();
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(DESCRIPTORS));
    group.bench_function("offer-fetch-complete", |bencher| {
        bencher.iter(|| {
            chains.offer().expect("the ring is in memory");
            let head = chains.fetch(&mut batch).expect("the ring is whole");
            chains.complete(head.expect("a chain was offered")).expect("the ring is whole");
        });
    });
    group.finish();
}

criterion_group!(benches, ring);
criterion_main!(benches);
