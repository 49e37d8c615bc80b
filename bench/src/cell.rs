//! What is compared with what: a rung with a discard.

use abi::axes::Axis;
use host::axes::Discard;

use crate::axis::Named;
use crate::ladder::Rung;
use crate::record::TrialRecord;

/// A cell of the comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CellKey {
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// The rung; `None` for a transport that is none.
    pub rung: Option<Named<Rung>>,
}

impl CellKey {
    /// Of a trial.
    #[must_use]
    pub fn of(trial: &TrialRecord) -> Self {
        Self { discard: trial.spec.discard, rung: trial.rung }
    }

    /// The rung's name.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.rung.map_or("custom", |rung| rung.0.name())
    }

    /// For sentences.
    #[must_use]
    pub fn title(self) -> String {
        format!("{} with discard {}", self.label(), self.discard)
    }
}
