//! Whole trials on the real device: exits as designed and as KVM counts them, phases that explain the time,
//! discards that the kernel confirms, and the same pages whichever way they are reported.

mod common;
#[path = "timed/company.rs"]
mod company;
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
use host::fault::Planted;
use host::probe::Facts;
use host::timed::{Outcome, Sample, TimedSpec};
use host::trial::TrialError;

use common::{Transport, ignored};
use libtest_mimic::Trial;
use samples::{Samples, trial};

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

/// Runs a trial in which nothing may be wrong.
fn sound(spec: &TimedSpec, facts: &Facts) -> Result<(Outcome, Vec<Sample>), TrialError> {
    let mut samples = Samples::of(spec);
    let outcome = trial(spec, facts, Planted::NONE, &mut samples)?;
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.reported_digest, outcome.taken_digest, "pages reported and taken");
    assert_eq!(outcome.common.refused.total(), 0, "ranges refused");
    assert_eq!(outcome.common.madvise_failures, 0, "madvise calls that failed");
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    assert_eq!(outcome.disordered, 0, "reports whose stamps are not in order");
    assert_eq!(outcome.reports, spec.reports, "reports");
    assert_eq!(samples.0.len() as u64, spec.reports, "samples");
    Ok((outcome, samples.0))
}
