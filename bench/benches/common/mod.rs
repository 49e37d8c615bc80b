//! What the benches share: the facts of this host, or a sentence on why there is nothing to measure.

use abi::addr::Order;
use abi::axes::{Carrier, Completion, Workload};
use abi::timed::company::Company;
use host::axes::{Discard, Doorbell, Way};
use host::kvm::Counter;
use host::probe::Facts;
use host::timed::{Stopwatch, TimedSpec};

/// What this host can do. Without KVM, or where nothing tells the time, the bench says so and measures nothing.
pub(crate) fn facts() -> Option<Facts> {
    let facts = host::probe::probe().inspect_err(|error| eprintln!("SKIPPED: {error}")).ok()?;
    if facts.counter == Counter::Instructions {
        eprintln!("SKIPPED: this machine counts instructions, and criterion takes time");
        return None;
    }
    Some(facts)
}

/// An empty doorbell; the benches change what they sweep.
pub(crate) const BASE: TimedSpec = TimedSpec {
    company: Company::ALONE,
    way: Way { discard: Discard::None, ..Way::plain(Carrier::Empty, Doorbell::Port, Completion::Return) },
    workload: Workload::Random,
    order: Order::PAGE,
    batch: 32,
    in_flight: 1,
    arena: None,
    warmup: 10,
    reports: 1,
    idle: 0,
    looks_around: false,
    seed: 1,
    stopwatch: Stopwatch::Used,
};
