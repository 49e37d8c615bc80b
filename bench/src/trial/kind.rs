//! The kinds of trial as types, for what holds of one kind only.

use host::engine::Tally;

use super::engine::{choices::Choices as EngineChoices, measured::EngineMeasured};
use super::linux::{choices::Choices as LinuxChoices, measured::LinuxMeasured};
use super::record::{Body, Ending, TrialRecord};
use super::spec::{Choices, Series};
use super::timed::{choices::Choices as TimedChoices, measured::TimedMeasured, phases::Phase};

/// A kind of trial.
pub trait Kind {
    /// Its choices.
    type Choices: Copy + Ord;
    /// What it measures.
    type Measured: 'static;
    /// What its samples are of.
    type Series: Copy + Ord;

    /// The choices of a trial of this kind.
    fn choices(choices: &Choices) -> Option<Self::Choices>;
    /// What a trial of this kind measured, if it ran to its end.
    fn measured(record: &TrialRecord) -> Option<&Self::Measured>;
    /// The same of what samples are of.
    fn series(series: Series) -> Option<Self::Series>;
}

/// Trials of kind `timed`.
#[derive(Clone, Copy, Debug)]
pub struct Timed;

/// Trials of kind `engine`.
#[derive(Clone, Copy, Debug)]
pub struct Engine;

/// Trials of kind `linux`.
#[derive(Clone, Copy, Debug)]
pub struct Linux;

impl Kind for Timed {
    type Choices = TimedChoices;
    type Measured = TimedMeasured;
    type Series = Phase;

    fn choices(choices: &Choices) -> Option<TimedChoices> {
        if let Choices::Timed(choices) = choices { Some(*choices) } else { None }
    }

    fn measured(record: &TrialRecord) -> Option<&TimedMeasured> {
        match &record.body {
            Body::Timed { ending: Ending::Measured(measured), .. } => Some(measured),
            _ => None,
        }
    }

    fn series(series: Series) -> Option<Phase> {
        if let Series::Phase(phase) = series { Some(phase) } else { None }
    }
}

impl Kind for Engine {
    type Choices = EngineChoices;
    type Measured = EngineMeasured;
    type Series = Tally;

    fn choices(choices: &Choices) -> Option<EngineChoices> {
        if let Choices::Engine(choices) = choices { Some(*choices) } else { None }
    }

    fn measured(record: &TrialRecord) -> Option<&EngineMeasured> {
        match &record.body {
            Body::Engine { ending: Ending::Measured(measured), .. } => Some(measured),
            _ => None,
        }
    }

    fn series(series: Series) -> Option<Tally> {
        if let Series::Tally(tally) = series { Some(tally) } else { None }
    }
}

impl Kind for Linux {
    type Choices = LinuxChoices;
    type Measured = LinuxMeasured;
    /// No sample of it is kept by itself.
    type Series = std::convert::Infallible;

    fn choices(choices: &Choices) -> Option<LinuxChoices> {
        if let Choices::Linux(choices) = choices { Some(*choices) } else { None }
    }

    fn measured(record: &TrialRecord) -> Option<&LinuxMeasured> {
        match &record.body {
            Body::Linux { ending: Ending::Measured(measured), .. } => Some(measured),
            _ => None,
        }
    }

    fn series(_: Series) -> Option<std::convert::Infallible> {
        None
    }
}

impl TrialRecord {
    /// What was measured, if it is a trial of that kind and ran to its end.
    #[must_use]
    pub fn measured<K: Kind>(&self) -> Option<&K::Measured> {
        K::measured(self)
    }
}
