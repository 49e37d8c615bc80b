//! A timed trial that ended.

use crate::trial::kind::{Kind, Timed};
use crate::trial::record::TrialRecord;
use crate::trial::timed::choices::Choices;
use crate::trial::timed::measured::TimedMeasured;

/// A trial with its choices and what it measured.
pub(super) struct Measured<'a> {
    pub(super) trial: u32,
    pub(super) block: u32,
    pub(super) choices: Choices,
    pub(super) found: &'a TimedMeasured,
}

impl<'a> Measured<'a> {
    pub(super) fn of(record: &'a TrialRecord) -> Option<Self> {
        let (choices, found) = (Timed::choices(&record.choices())?, record.measured::<Timed>()?);
        Some(Self { trial: record.trial, block: record.block, choices, found })
    }
}
