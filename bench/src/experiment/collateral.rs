//! What a report does to memory that it does not name, by discard, by what memory is made of, and by the order of what is
//! reported.

pub mod found;
mod told;

use host::timed::TimedSpec;

use super::contract::Asks;
use super::discards::{coalesced, go_together, pairs};
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, one_rung};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Collateral;

impl Asks for Collateral {
    const NAME: &'static str = "collateral";
    const QUESTION: &'static str =
        "What does a discard do to memory that was not reported: faults, huge pages, mappings, flushes?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/collateral.toml")),
        ("quick", include_str!("../../plans/collateral.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &[];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let Some(rung) = keys.first_rung() else { return Vec::new() };
        let mut cells = Vec::new();
        for order in keys.orders.iter().flatten() {
            for (discard, backing) in pairs(keys).filter(|pair| go_together(*pair).is_ok()) {
                let coalesce = coalesced(keys, discard);
                let (order, discard, backing) = (Some(*order), Some(discard), Some(backing));
                let keys = Keys { order, discard, backing, coalesce, ..keys.clone() };
                let spec = keys.timed(rung.transport(call));
                cells.push(Spec::Timed(TimedSpec { looks_around: true, ..spec }));
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        one_rung(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_looks_around() {
        let keys: Keys = toml::from_str(Collateral::PLANS[0].1).unwrap();
        let cells = Collateral::cells(&keys, CallBy::Port);
        assert_eq!(cells.len(), 4 * 4 * 2);
        assert!(cells.iter().all(|spec| matches!(spec, Spec::Timed(spec) if spec.looks_around)));
    }
}
