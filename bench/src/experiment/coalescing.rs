//! What reporting a range costs over every carrier, by the ranges of a report: how many make a call of their own worth its
//! exit, and where the curves cross.

pub mod found;
mod told;

use host::timed::TimedSpec;

use super::contract::Asks;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Coalescing;

impl Asks for Coalescing {
    const NAME: &'static str = "coalescing";
    const QUESTION: &'static str =
        "What do exits and time a range come to over every carrier, by the ranges of a report?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/coalescing.toml")),
        ("quick", include_str!("../../plans/coalescing.quick.toml")),
        ("lab", include_str!("../../plans/coalescing.lab.toml")),
        ("in-kernel", include_str!("../../plans/coalescing.in-kernel.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena", "order", "in-flight"];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let batches = || keys.batches.iter().flatten().copied();
        let ranges = keys.reports.unwrap_or(1).saturating_mul(batches().max().unwrap_or(1).into());
        let of = |rung: crate::axes::rung::Rung| {
            batches().map(move |batch| {
                let reports = ranges.div_ceil(u64::from(batch.max(1)));
                TimedSpec { batch, reports, ..keys.timed(rung.transport(call)) }
            })
        };
        // A log takes no report that may not fit, nor does the queue of written words.
        let fits = |spec: &TimedSpec| spec.way.gathers().is_none() || spec.validate().is_ok();
        keys.rungs().flat_map(of).filter(fits).map(Spec::Timed).collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        match keys.batches.iter().flatten().next() {
            None => bad("batches", "none", "there is nothing to report; use 1,32"),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_reports_as_many_ranges_and_what_does_not_fit_is_none() {
        let text = "rungs = [\"hypercall-batch\", \"log\", \"coalesced-mmio\"]\nbatches = [1, 169, 255, 511]\nreports = 2";
        let keys: Keys = toml::from_str(text).unwrap();
        let cells: Vec<_> = Coalescing::cells(&keys, CallBy::Port)
            .into_iter()
            .map(|spec| match spec {
                Spec::Timed(spec) => (spec.batch, spec.reports),
                other => panic!("{other:?}"),
            })
            .collect();
        let all = [(1, 1022), (169, 7), (255, 5), (511, 2)];
        assert_eq!(cells, [&all[..], &all[..3], &all[..2]].concat());
    }
}
