//! Whether paths have grown: a run counted in instructions against another of the same plan.
//!
//! Such runs repeat to the instruction, so that a change of one per cent is a change of the code, not of the
//! weather. Medians are compared: a timer's interrupt that happens to fall into a report is no path of ours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use abi::axes::Axis;
use host::axes::Discard;
use host::kvm::Flavour;

use super::Ladder;
use super::cell::{CellSummary, find};
use super::found::Found;
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::contract::Asks;
use crate::figure::unit::{Unit, ratio};
use crate::plan::Plan;
use crate::trial::timed::phases::Phase;

/// By what share a path may grow.
pub const TOLERANCE: f64 = 0.01;

/// What is said of a rung that has grown; a terminal shows it in red.
pub const GREW: &str = "GREW";

/// Why two runs cannot be compared. The message says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GrowthError {
    /// A figure in another unit than instructions.
    #[error("the {which} run is not counted in instructions but in {}: only such runs repeat exactly", unit.name())]
    NotInstructions {
        /// Which run.
        which: &'static str,
        /// Its unit.
        unit: Unit,
    },
    /// Runs on KVMs of different vendors: other paths, whatever the code.
    #[error(
        "the reference is of KVM's {} and the new run of its {}: give --cpu the reference's, or --against a reference of this one",
        reference.name(), new.name()
    )]
    OtherProcessor {
        /// The reference's.
        reference: Flavour,
        /// That of the new run.
        new: Flavour,
    },
    /// Runs of different plans.
    #[error(
        "the reference was made with another plan: give --plan the plan.toml of its directory, or make a new reference"
    )]
    OtherPlan,
    /// A rung only one of them has.
    #[error("{rung} with discard {discard} ran only in one of the two: make a new reference")]
    Alone {
        /// The rung.
        rung: Named<Rung>,
        /// The discard.
        discard: Named<Discard>,
    },
    /// No rung in either.
    #[error("neither run has a rung with an outcome: there is nothing to compare")]
    Nothing,
}

/// One rung with one discard, then and now.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The rung.
    pub rung: Named<Rung>,
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// Median instructions a report in the reference.
    pub before: f64,
    /// The same now.
    pub after: f64,
    /// The phase that changed most, and by how much.
    pub mostly: (Named<Phase>, f64),
}

impl Change {
    /// By what share it changed.
    #[must_use]
    pub fn share(&self) -> f64 {
        ratio(self.after, self.before) - 1.0
    }

    /// Whether it grew by more than [`TOLERANCE`].
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.share() > TOLERANCE
    }

    /// Whether it shrank by more than [`TOLERANCE`]: time for a new reference.
    #[must_use]
    pub fn has_shrunk(&self) -> bool {
        self.share() < -TOLERANCE
    }

    /// What to say of it, if anything.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.has_grown() {
            GREW
        } else if self.has_shrunk() {
            "shrank"
        } else {
            ""
        }
    }
}

/// Whether a run of this plan will be one to hold against the reference, before it is made. The rungs that a plan leaves
/// open are those that its machine can run, and known only there.
///
/// # Errors
/// [`GrowthError`] if it will not.
pub fn comparable(reference: &Archive, plan: &Plan, is_counted: bool) -> Result<(), GrowthError> {
    let units = [("reference", reference.unit()), ("new", unit_of(is_counted))];
    if let Some((which, unit)) = units.into_iter().find(|(_, unit)| *unit != Unit::Instructions) {
        return Err(GrowthError::NotInstructions { which, unit });
    }
    let mut plan = plan.clone();
    if plan.choices.rungs.is_none() {
        plan.choices.rungs.clone_from(&reference.plan.choices.rungs);
    }
    if plan.experiment != Ladder::NAME || !is_same(&reference.plan, &plan) {
        return Err(GrowthError::OtherPlan);
    }
    Ok(())
}

const fn unit_of(is_counted: bool) -> Unit {
    if is_counted { Unit::Instructions } else { Unit::Nanoseconds }
}

fn is_same(reference: &Plan, now: &Plan) -> bool {
    (&reference.experiment, &reference.choices) == (&now.experiment, &now.choices)
}

/// Whether a reference is of the processor that KVM runs on.
///
/// # Errors
/// [`GrowthError::OtherProcessor`] if it is of another.
pub fn same_processor(reference: &Archive, new: Flavour) -> Result<(), GrowthError> {
    let reference = reference.environment.kvm.flavour.0;
    if reference == new { Ok(()) } else { Err(GrowthError::OtherProcessor { reference, new }) }
}

/// Every rung of the reference against the same one now.
///
/// # Errors
/// [`GrowthError`] if they cannot be compared.
pub fn changes(reference: &Archive, now: &Archive) -> Result<Vec<Change>, GrowthError> {
    for (which, archive) in [("reference", reference), ("new", now)] {
        if archive.unit() != Unit::Instructions {
            return Err(GrowthError::NotInstructions { which, unit: archive.unit() });
        }
    }
    same_processor(reference, now.environment.kvm.flavour.0)?;
    if !is_same(&reference.plan, &now.plan) {
        return Err(GrowthError::OtherPlan);
    }
    let [reference, now] = [reference, now].map(Found::new);
    let alone = |cell: &CellSummary, rung| GrowthError::Alone { rung, discard: Named(cell.discard()) };
    let ladder = |found: &Found| -> Vec<(Named<Rung>, CellSummary)> {
        found.cells.iter().filter_map(|cell| Some((cell.rung?, cell.clone()))).collect()
    };
    let mut changes = Vec::new();
    for (rung, before) in ladder(&reference) {
        let after = find(&now.cells, rung.0, before.discard()).ok_or_else(|| alone(&before, rung))?;
        changes.push(change(rung, &before, after));
    }
    for (rung, after) in ladder(&now) {
        find(&reference.cells, rung.0, after.discard()).ok_or_else(|| alone(&after, rung))?;
    }
    if changes.is_empty() { Err(GrowthError::Nothing) } else { Ok(changes) }
}

fn change(rung: Named<Rung>, before: &CellSummary, after: &CellSummary) -> Change {
    let p50 = |cell: &CellSummary, phase| cell.phase(phase).cost.p50;
    let mostly = Phase::PARTS
        .into_iter()
        .map(|phase| (Named(phase), p50(after, phase) - p50(before, phase)))
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    Change {
        rung,
        discard: Named(before.discard()),
        before: before.per_report.p50,
        after: after.per_report.p50,
        mostly: mostly.unwrap_or((Named(Phase::Remainder), 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::timed::counted;

    #[test]
    fn one_per_cent_is_let_pass_and_more_is_not() {
        let before = counted(10_000);
        for (total, grown, shrunk) in
            [(10_000, false, false), (10_090, false, false), (10_120, true, false), (9_880, false, true)]
        {
            let changes = changes(&before, &counted(total)).unwrap();
            let [change] = changes.as_slice() else { panic!("{changes:?}") };
            assert_eq!((change.has_grown(), change.has_shrunk()), (grown, shrunk), "{change:?}");
        }
    }

    #[test]
    fn runs_that_cannot_be_compared_are_refused() {
        let mut timed = counted(1000);
        timed.environment = crate::testing::timed::environment();
        let error = changes(&counted(1000), &timed).unwrap_err();
        assert_eq!(error, GrowthError::NotInstructions { which: "new", unit: Unit::Nanoseconds });
        let mut other = counted(1000);
        other.environment.kvm.flavour = Named(Flavour::Svm);
        let reference = counted(1000);
        let error = changes(&reference, &other).unwrap_err();
        assert!(matches!(error, GrowthError::OtherProcessor { new: Flavour::Svm, .. }), "{error}");
        assert!(error.to_string().contains("svm"), "{error}");
        let mut planned = counted(1000);
        planned.plan.choices.seed = Some(7);
        assert_eq!(comparable(&counted(1000), &planned.plan, true), Err(GrowthError::OtherPlan));
        comparable(&planned, &planned.plan, true).unwrap();
        let new = GrowthError::NotInstructions { which: "new", unit: Unit::Nanoseconds };
        assert_eq!(comparable(&planned, &planned.plan, false), Err(new));
        assert_eq!(changes(&planned, &counted(1000)).unwrap_err(), GrowthError::OtherPlan);
        let mut none = counted(1000);
        none.trials.clear();
        for (a, b) in [(&counted(1000), &none), (&none, &counted(1000))] {
            assert!(matches!(changes(a, b), Err(GrowthError::Alone { .. })));
        }
        assert_eq!(changes(&none, &none).unwrap_err(), GrowthError::Nothing);
    }
}
