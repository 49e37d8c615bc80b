//! What the benches share: the facts of this host, or a sentence on why there is nothing to measure.

use abi::addr::Order;
use abi::axes::{Carrier, Completion, Workload};
use host::axes::{Backing, Coalesce, Discard, Doorbell, RingChoice, Servicer};
use host::facts::{Counter, Facts};
use host::trial::TrialSpec;

/// What this host can do. Without KVM, or where nothing tells the time, the bench says so and measures nothing.
pub(crate) fn facts() -> Option<Facts> {
    let facts = host::probe().inspect_err(|error| eprintln!("SKIPPED: {error}")).ok()?;
    if facts.counter == Counter::Instructions {
        eprintln!("SKIPPED: this machine counts instructions, and criterion takes time");
        return None;
    }
    Some(facts)
}

/// An empty doorbell; the benches change what they sweep.
pub(crate) const BASE: TrialSpec = TrialSpec {
    carrier: Carrier::Empty,
    doorbell: Doorbell::Port,
    servicer: Servicer::Vcpu,
    completion: Completion::Return,
    discard: Discard::None,
    coalesce: Coalesce::Each,
    backing: Backing::Anon,
    guest_ring: RingChoice::Auto,
    workload: Workload::Random,
    order: match Order::new(0) {
        Ok(order) => order,
        Err(_) => Order::MAX,
    },
    batch: 32,
    arena: None,
    warmup: 10,
    reports: 1,
    seed: 1,
};
