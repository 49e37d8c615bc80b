//! What a real kernel reports by its own core, what comes back, and what it pays: Linux as a guest.

pub mod found;
mod told;

use std::time::Duration;

use host::axes::Discard;
use host::linux::Report;

use super::contract::Asks;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::linux::choices::{Choices, LinuxTrial};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct LinuxGuests;

/// How long a guest may take if nothing else is said, in seconds.
const PATIENCE_S: u64 = 300;

impl Asks for LinuxGuests {
    const NAME: &'static str = "linux";
    const QUESTION: &'static str =
        "What does a real Linux kernel report by its own core, what comes back, and what does it pay?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/linux.toml")),
        ("quick", include_str!("../../plans/linux.quick.toml")),
        ("page-fault", include_str!("../../plans/linux.page-fault.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["guest-modules"];

    type Found = Found;

    fn cells(keys: &Keys, _: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        for task in keys.tasks.iter().flatten() {
            for pages in keys.pages.iter().flatten() {
                for report in keys.report_by.iter().flatten() {
                    // Where nothing is reported nothing is discarded.
                    let discards = keys.discards.iter().flatten().map(|discard| discard.0);
                    let discards: Vec<Discard> =
                        if report.0 == Report::Off { vec![Discard::None] } else { discards.collect() };
                    let choices = |discard| {
                        sized(keys, Choices::new(task.0, pages.0, report.0, discard), task.0.is_timed())
                    };
                    cells.extend(discards.into_iter().map(|discard| trial(keys, choices(discard))));
                }
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        if keys.patience_s == Some(0) {
            return bad("patience-s", 0, "no guest comes to its end in no time; use at least 1");
        }
        Ok(())
    }
}

/// With the sizes of a plan.
fn sized(keys: &Keys, choices: Choices, is_timed: bool) -> Choices {
    let size = |size: Option<u64>| size.unwrap_or_default();
    Choices {
        footprint: size(keys.footprint),
        kept: size(keys.kept),
        memory: size(keys.memory),
        // What is done once is done once; a plan of other tasks says how often.
        rounds: if is_timed { keys.rounds.unwrap_or(1) } else { 1 },
        ..choices
    }
}

fn trial(keys: &Keys, choices: Choices) -> Spec {
    let patience = Duration::from_secs(keys.patience_s.unwrap_or(PATIENCE_S));
    Spec::Linux(LinuxTrial { choices, patience, seed: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::contract::Experiment;

    fn said(keys: &str) -> String {
        let experiment: &dyn Experiment = &LinuxGuests;
        let plan = experiment.with_flags(experiment.plan(None).unwrap(), &toml::from_str(keys).unwrap());
        let calls = crate::site::calls::Calls::untried(CallBy::Hypercall);
        let plan = plan.and_then(|plan| experiment.resolve(plan, 1, &calls));
        plan.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn what_a_plan_asks_of_a_guest_is_honoured_or_refused() {
        for keys in [
            "guest-kernel = \"6.12\"",
            "report-by = [\"off\", \"hypercall-batch\"]",
            "tasks = [\"churn\"]\nrounds = 100",
            "patience-s = 20",
            "memory = 1073741824\nfootprint = 536870912",
        ] {
            assert_eq!(said(keys), "fine", "{keys}");
        }
        for (keys, part) in [
            ("memory = 134217728", "use a larger --memory"),
            ("discards = [\"deferred\"]", "deferred waits"),
            ("discards = [\"remove\"]", ""),
            ("patience-s = 0", "at least 1"),
            ("rounds = 7", "--rounds changes no trial"),
            ("report-by = [\"off\", \"off\"]", "name each once"),
            ("vcpus = 2", "vcpus means nothing to linux"),
        ] {
            let said = said(keys);
            assert!(said != "fine" && said.contains(part), "{keys}: {said}");
        }
    }

    #[test]
    fn off_is_one_cell_whatever_is_discarded() {
        let keys: Keys = toml::from_str(
            "tasks = [\"page-fault\"]\npages = [\"huge\", \"small\"]\nreport-by = [\"off\", \"virtio\"]\ndiscards = [\"none\", \"dontneed\"]",
        )
        .unwrap();
        assert_eq!(<LinuxGuests as Asks>::cells(&keys, CallBy::Hypercall).len(), 2 * 3);
    }
}
