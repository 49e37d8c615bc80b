//! Whole trials on the real device: exits as designed and as KVM counts them, phases that explain the time,
//! discards that the kernel confirms, and the same pages whichever way they are reported.

#[path = "trials/accounts.rs"]
mod accounts;
mod common;
#[path = "trials/limits.rs"]
mod limits;
#[path = "trials/pages.rs"]
mod pages;
#[path = "common/trial.rs"]
mod trial;

use std::process::ExitCode;

use host::facts::Facts;
use host::trial::{Outcome, Sample, TrialSpec};
use host::{Planted, TrialError};

use trial::{Samples, trial};

fn main() -> ExitCode {
    common::run(|facts| {
        let transports = common::transports(facts);
        [limits::tests, accounts::tests, pages::tests]
            .iter()
            .flat_map(|suite| suite(&transports, facts))
            .collect()
    })
}

/// Runs a trial in which nothing may be wrong.
fn sound(spec: &TrialSpec, facts: &Facts) -> Result<(Outcome, Vec<Sample>), TrialError> {
    let mut samples = Samples::of(spec);
    let outcome = trial(spec, facts, Planted::NONE, &mut samples)?;
    assert_eq!(outcome.violations, [], "violations");
    assert_eq!(outcome.reported_digest, outcome.taken_digest, "pages reported and taken");
    assert_eq!(outcome.refused.total(), 0, "ranges refused");
    assert_eq!(outcome.madvise_failures, 0, "madvise calls that failed");
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    assert_eq!(outcome.disordered, 0, "reports whose stamps are not in order");
    assert_eq!(outcome.reports, spec.reports, "reports");
    assert_eq!(samples.0.len() as u64, spec.reports, "samples");
    Ok((outcome, samples.0))
}
