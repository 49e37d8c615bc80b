//! What the formats are made of, and why there may be none.

use hdrhistogram::Histogram;

use crate::figure::unit::Clock;
use crate::plan::PlanError;
use crate::trial::spec::{Choices, Series};

/// Why a run is not exported. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run is of no experiment of ours.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No such cell.
    #[error("the run has no cell {asked}: it has {}", known.join(", "))]
    NoSuchCell {
        /// What was asked for.
        asked: String,
        /// The cells there are.
        known: Vec<String>,
    },
    /// A format that holds one distribution, of a run that has several.
    #[error("such a file holds one distribution, and the run has several: give --cell one of {}", known.join(", "))]
    OneCell {
        /// The cells there are.
        known: Vec<String>,
    },
    /// Nothing of the kind that the format shows.
    #[error("the run has no {what}: there is nothing to export")]
    Nothing {
        /// What it would show.
        what: &'static str,
    },
    /// The writer failed.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// Samples of a cell together.
pub(super) struct Samples<'a> {
    pub(super) cell: String,
    pub(super) choices: Choices,
    pub(super) series: Series,
    /// In ticks, or a number of things.
    pub(super) histogram: &'a Histogram<u64>,
}

impl Samples<'_> {
    pub(super) fn is_report(&self) -> bool {
        matches!(self.series.name(), "total" | "report")
    }

    /// A value of the histogram in the unit of the clock, or as many things.
    pub(super) fn figure(&self, clock: Clock, value: f64) -> f64 {
        if self.series.is_time() { clock.figure(value) } else { value }
    }
}
