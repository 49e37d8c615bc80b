//! How long a vCPU is kept from running: by its own report, and by those of others, while some report and the others
//! fault.

pub mod found;
mod told;

use super::contract::Asks;
use crate::axes::rung::{CallBy, Rung};
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Stall;

impl Asks for Stall {
    const NAME: &'static str = "stall";
    const QUESTION: &'static str = "How long is a vCPU kept from running, by its own report and by those of other vCPUs while some fault?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/stall.toml")),
        ("quick", include_str!("../../plans/stall.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena", "idle-us"];
    const NOT_COUNTED: Option<&'static str> =
        Some("how long a vCPU waits is no number of instructions, and the lab has one processor");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let all = keys.vcpus.unwrap_or(1);
        let cell = |rung: Rung, vcpus, reporters| {
            let keys = Keys { vcpus: Some(vcpus), reporters: Some(reporters), ..keys.clone() };
            Spec::Timed(keys.timed(rung.transport(call)))
        };
        // Whoever reports, nobody does it there: the transport is only what it would be.
        let nobody = keys.first_rung().map(|rung| cell(rung, all, 0));
        let with = |rung| {
            let mut some = vec![(1, 1), (all, 1), (all, all.saturating_sub(1))];
            some.dedup();
            some.into_iter().map(move |(vcpus, reporters)| cell(rung, vcpus, reporters))
        };
        nobody.into_iter().chain(keys.rungs().flat_map(with)).collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        match keys.vcpus.unwrap_or(1) {
            vcpus @ 0..=1 => bad("vcpus", vcpus, "use 2 or more: one reports while another faults"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::timed::company::Company;

    use super::*;

    fn companies(vcpus: u32) -> Vec<(u32, u32)> {
        let keys: Keys = toml::from_str(&format!("rungs = [\"virtio\"]\nvcpus = {vcpus}")).unwrap();
        let company = |spec: &Spec| match spec {
            Spec::Timed(spec) => spec.company,
            Spec::Engine(_) | Spec::Linux(_) => Company::ALONE,
        };
        let cells = Stall::cells(&keys, CallBy::Port);
        cells.iter().map(company).map(|company| (company.vcpus, company.reporters)).collect()
    }

    #[test]
    fn each_transport_alone_beside_the_others_and_with_them_and_once_nobody() {
        assert_eq!(companies(4), [(4, 0), (1, 1), (4, 1), (4, 3)]);
        assert_eq!(companies(2), [(2, 0), (1, 1), (2, 1)]);
        assert!(Stall::check(&Keys { vcpus: Some(1), ..Keys::default() }).is_err());
    }
}
