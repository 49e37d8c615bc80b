//! Running a trial and keeping all of its samples.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use host::fault::Planted;
use host::probe::Facts;
use host::timed::{Observer, Outcome, Sample, TimedSpec};
use host::trial::TrialError;

/// Keeps every sample of a trial.
#[derive(Default)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Samples {
    /// Space for all samples of a trial, written to beforehand.
    pub(crate) fn of(spec: &TimedSpec) -> Self {
        let mut samples = vec![Sample::default(); usize::try_from(spec.reports).unwrap_or(0)];
        samples.clear();
        Self(samples)
    }
}

impl Observer for Samples {
    fn sample(&mut self, sample: &Sample) {
        self.0.push(*sample);
    }
}

/// Runs a trial to its end, with a bug if one is planted.
pub(crate) fn trial(
    spec: &TimedSpec,
    facts: &Facts,
    planted: Planted,
    samples: &mut Samples,
) -> Result<Outcome, TrialError> {
    host::timed::run_planted(spec, facts, &Arc::new(AtomicBool::new(false)), samples, planted)
}
