//! What reporting costs a workload that faults pages in, over every transport, and where it goes.

pub mod breakdown;
pub mod found;
pub mod published;
pub mod state;
mod told;

use host::axes::Discard;
use host::engine::{EngineSpec, PerCpuLists, Reporting, Walk};

use super::contract::Asks;
use super::engine;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::order;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct PageFaults;

impl Asks for PageFaults {
    const NAME: &'static str = "page-faults";
    const QUESTION: &'static str =
        "What does free page reporting cost a workload that faults pages in, and where does the cost lie?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/page-faults.toml")),
        ("quick", include_str!("../../plans/page-faults.quick.toml")),
        ("lab", include_str!("../../plans/page-faults.lab.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["vcpus", "high-water", "footprint", "queue-size"];

    type Found = Found;

    fn check(keys: &Keys) -> Result<(), PlanError> {
        let is_linux = keys.pcps.iter().flatten().any(|pcp| pcp.0 == PerCpuLists::Linux);
        if is_linux && keys.walk == Some(Named(Walk::Synchronous)) {
            return bad(
                "pcps",
                Named(PerCpuLists::Linux),
                "walk synchronous reports before anything is on a list: use off",
            );
        }
        Ok(())
    }

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        let Some(first) = keys.first_rung() else { return cells };
        let units = || keys.units.iter().flatten();
        for (pcp, unit) in keys.pcps.iter().flatten().flat_map(|pcp| units().map(|unit| (pcp.0, *unit))) {
            let over = |rung| EngineSpec { unit: order(unit), pcp, ..keys.engine(rung, call) };
            // A trial that does not report is the same over any transport.
            cells.extend(
                [Reporting::Absent, Reporting::Off]
                    .map(|reporting| engine::cell(EngineSpec { reporting, ..over(first) })),
            );
            for rung in keys.rungs() {
                cells.extend(
                    [Discard::None, Discard::DontNeed]
                        .map(|discard| engine::cell(engine::with_discard(over(rung), discard))),
                );
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_off_are_measured_once_a_unit_with_lists_and_without() {
        let keys: Keys = toml::from_str(PageFaults::PLANS[0].1).unwrap();
        let cells = PageFaults::cells(&keys, CallBy::Port);
        let count = |reporting| {
            let is = |spec: &&Spec| matches!(spec, Spec::Engine(spec) if spec.reporting == reporting);
            cells.iter().filter(is).count()
        };
        assert_eq!((count(Reporting::Absent), count(Reporting::Off), count(Reporting::On)), (4, 4, 48));
    }
}
