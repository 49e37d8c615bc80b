//! A thread that polls the ring: nobody rings, nothing exits, and its processor time is charged. What it frees is looked at
//! with the other transports.

use std::time::Duration;

use host::axes::{Carrier, Completion, Doorbell, Way};
use host::probe::Facts;
use host::testing::specs::timed_over;
use host::timed::{Threads, TimedSpec};
use libtest_mimic::Trial;

use crate::common::Checked;
use crate::designed::sound;

/// The tests of polling.
pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut tests = Vec::new();
    for carrier in [Carrier::Ring, Carrier::PackedRing] {
        for completion in [Completion::Poll, Completion::Interrupt] {
            let spec = timed_over(Way::plain(carrier, Doorbell::None, completion));
            let name = format!("polling-{carrier:?}-{completion:?}-rings-nobody-and-takes-a-processor");
            tests.push(Trial::test(name, move || takes_a_processor(&spec, facts)));
        }
    }
    let spec = timed_over(Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Interrupt));
    tests.push(Trial::test("a-thread-that-sleeps-takes-little", move || takes_little(&spec, facts)));
    tests
}

/// While the guest sleeps nobody rings; a thread that is called sleeps then too.
fn idle(spec: &TimedSpec) -> TimedSpec {
    TimedSpec { idle: 2000, reports: 50, ..*spec }
}

fn takes_a_processor(spec: &TimedSpec, facts: &Facts) -> Checked {
    let spec = idle(spec);
    let (outcome, _) = sound(&spec, facts)?;
    assert_eq!(outcome.common.exits.transport(), 0, "exits of a doorbell that there is not");
    assert_eq!(outcome.common.stale_kicks, 0, "nobody was called");
    assert!(outcome.looks > 1000, "{} looks that found nothing", outcome.looks);
    let slept = Duration::from_micros(u64::from(spec.idle) * spec.reports);
    let Some(Threads { device_ns: Some(device), .. }) = outcome.threads else {
        return Err("no time of the device's thread".into());
    };
    // Others run on this machine too: a third is enough to tell it from one that sleeps.
    assert!(u128::from(device) > slept.as_nanos() / 3, "{device} ns while the guest slept {slept:?}");
    Ok(())
}

fn takes_little(spec: &TimedSpec, facts: &Facts) -> Checked {
    let spec = idle(spec);
    let (outcome, _) = sound(&spec, facts)?;
    let slept = Duration::from_micros(u64::from(spec.idle) * spec.reports);
    let Some(Threads { device_ns: Some(device), vcpus_ns, .. }) = outcome.threads else {
        return Err("no time of the device's thread".into());
    };
    assert_eq!(outcome.looks, 0, "it is called");
    assert!(device > 0 && u128::from(device) < slept.as_nanos() / 3, "{device} ns of {slept:?}");
    assert!(vcpus_ns > 0);
    Ok(())
}
