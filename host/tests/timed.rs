//! Whole trials on the real device: exits as designed and as KVM counts them, phases that explain the time,
//! discards that the kernel confirms, and the same pages whichever way they are reported.

mod common;
#[path = "timed/company.rs"]
mod company;
#[path = "common/designed.rs"]
mod designed;
#[path = "timed/exits.rs"]
mod exits;
#[path = "timed/flight.rs"]
mod flight;
#[path = "timed/gathered.rs"]
mod gathered;
#[path = "timed/limits.rs"]
mod limits;
#[path = "timed/pages.rs"]
mod pages;
#[path = "timed/phases.rs"]
mod phases;
#[path = "timed/polling.rs"]
mod polling;
#[path = "timed/refusals.rs"]
mod refusals;
#[path = "common/samples.rs"]
mod samples;
#[path = "timed/stopwatch.rs"]
mod stopwatch;

use std::process::ExitCode;

use host::axes::{Axis, Carrier, Completion, Doorbell};
use host::probe::Facts;

use common::{Transport, ignored};
use libtest_mimic::Trial;

fn main() -> ExitCode {
    common::run(|facts| {
        let transports = common::transports(facts);
        let suites = [
            limits::tests,
            exits::tests,
            phases::tests,
            stopwatch::tests,
            pages::tests,
            gathered::tests,
            flight::tests,
        ];
        let over_transports = suites.iter().flat_map(|suite| suite(&transports, facts));
        let companies = company::tests(&transports, facts);
        let polling = polling::tests(facts);
        over_transports.chain(companies).chain(polling).chain(refusals::tests(facts)).collect()
    })
}

/// A doorbell with nothing in it.
fn floor(doorbell: Doorbell) -> Transport {
    Transport::new(&format!("floor-{}", doorbell.name()), Carrier::Empty, doorbell, Completion::Return)
}

/// The tests of every floor; ignored where the doorbell does not answer.
fn over_floors(tests: fn(&Transport, &'static Facts) -> Vec<Trial>, facts: &'static Facts) -> Vec<Trial> {
    let over = |doorbell: &Doorbell| {
        let tests = tests(&floor(*doorbell), facts);
        if facts.answers(*doorbell) {
            return tests;
        }
        let why = "this KVM does not answer the doorbell";
        tests.iter().map(|test| ignored(test.name().to_owned(), why)).collect()
    };
    // What is queued is a range, and not nothing.
    Doorbell::ALL.iter().filter(|doorbell| !doorbell.is_coalesced()).flat_map(over).collect()
}
