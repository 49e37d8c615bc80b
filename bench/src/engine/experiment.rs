//! What can be asked of the engine.

use abi::axes::Axis;

/// An experiment with the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Experiment {
    /// What reporting costs a workload that faults pages in.
    PageFaults,
    /// What finding unreported blocks costs, by strategy.
    Walk,
    /// Whether what is freed comes back to the host, and how soon.
    Memhog,
    /// Whether memory comes back at the rate the budget formula says.
    Rate,
    /// What giving memory back costs by order and capacity.
    Sweep,
    /// Whether any page is ever lost.
    Soak,
    /// One trial.
    Run,
}

impl Axis for Experiment {
    const AXIS: &'static str = "experiment";
    const ALL: &'static [Self] =
        &[Self::PageFaults, Self::Walk, Self::Memhog, Self::Rate, Self::Sweep, Self::Soak, Self::Run];

    fn name(self) -> &'static str {
        match self {
            Self::PageFaults => "page-faults",
            Self::Walk => "walk",
            Self::Memhog => "memhog",
            Self::Rate => "rate",
            Self::Sweep => "sweep",
            Self::Soak => "soak",
            Self::Run => "run",
        }
    }
}

impl Experiment {
    /// The question it answers, for its report.
    #[must_use]
    pub const fn question(self) -> &'static str {
        match self {
            Self::PageFaults => {
                "What does free page reporting cost a workload that faults pages in, and where does the cost lie?"
            }
            Self::Walk => "What does it cost to find the free blocks that are not reported yet, by strategy?",
            Self::Memhog => "Does the memory that a guest has freed come back to the host, and how soon?",
            Self::Rate => "Does memory come back at the rate that delay, budget and capacity say?",
            Self::Sweep => {
                "What does it cost to give memory back, by the order reported and the blocks a report holds?"
            }
            Self::Soak => "Does any page lose its contents, whatever the transport and the strategy?",
            Self::Run => "What does one trial show?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_is_found_by_its_name() {
        for experiment in Experiment::ALL {
            assert_eq!(Experiment::from_name(experiment.name()), Some(*experiment));
            assert!(experiment.question().ends_with('?'));
        }
    }
}
