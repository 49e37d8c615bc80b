//! What a discard costs: advice x block size x backing, of resident memory, without any guest.

use std::time::{Duration, Instant};

use abi::addr::{Order, PageRange, Pfn};
use abi::axes::Axis;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use host::axes::{Backing, Carrier, Completion, Discard, Doorbell, Way};
use host::testing::parts::Discards;

/// Memory that is filled and discarded block by block: 64 MiB.
const PAGES: u64 = 16_384;

fn discard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("discard");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    // Advice none is no system call at all: there is nothing to measure.
    for advice in Discard::ALL.iter().filter(|advice| **advice != Discard::None) {
        for backing in Backing::ALL.iter().copied() {
            let way = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
            if (Way { discard: *advice, backing, ..way }).validate().is_err() {
                continue;
            }
            let mut memory = match Discards::new(PAGES, backing, *advice) {
                Ok(memory) => memory,
                Err(why) => {
                    println!("{}-{}: {why}", advice.name(), backing.name());
                    continue;
                }
            };
            for order in [0, 4, 9, 10] {
                let order = Order::new(order).expect("an order");
                group.throughput(Throughput::Bytes(order.bytes()));
                let id = format!("{}-{}", advice.name(), backing.name());
                group.bench_function(BenchmarkId::new(id, format!("order-{order}")), |bencher| {
                    bencher.iter_custom(|blocks| timed(&mut memory, order, blocks));
                });
            }
        }
    }
    group.finish();
}

/// The time to discard `blocks` resident blocks, scaled from at most one pass over the memory.
fn timed(memory: &mut Discards, order: Order, blocks: u64) -> Duration {
    let pass = blocks.min(PAGES / order.pages());
    let block = |index| PageRange::block(Pfn(index * order.pages()), order);
    for index in 0..pass {
        memory.touch(block(index)).expect("inside the memory");
    }
    let start = Instant::now();
    for index in 0..pass {
        memory.discard(block(index)).expect("it could be discarded before");
    }
    start.elapsed().mul_f64(blocks as f64 / pass as f64)
}

criterion_group!(benches, discard);
criterion_main!(benches);
