//! Whether the memory that a guest has freed comes back to the host, and how soon.

pub mod found;
mod told;

use host::engine::{EngineSpec, Load};

use super::contract::Asks;
use super::engine;
use crate::axes::rung::CallBy;
use crate::plan::PlanError;
use crate::plan::keys::Keys;
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Memhog;

impl Asks for Memhog {
    const NAME: &'static str = "memhog";
    const QUESTION: &'static str =
        "Does the memory that a guest has freed come back to the host, and how soon?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/memhog.toml")),
        ("quick", include_str!("../../plans/memhog.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] =
        &["vcpus", "high-water", "footprint", "queue-size", "poison", "offer-poison"];
    const NOT_COUNTED: Option<&'static str> =
        Some("it waits for reporting to settle, and an idle machine executes nothing");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let footprint = footprint(keys);
        let hog = |rung| EngineSpec { load: Load::Memhog, footprint, ..keys.engine(rung, call) };
        keys.rungs().map(|rung| engine::cell(hog(rung))).collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        engine::gives_back(keys, "no memory would come back, which is what is asked")
    }
}

/// What each processor touches and frees: what is given, or three quarters of the memory for all of them.
fn footprint(keys: &Keys) -> u64 {
    keys.footprint.unwrap_or_else(|| keys.share(4).saturating_mul(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_that_is_given_is_the_one_that_is_touched() {
        let keys: Keys = toml::from_str(Memhog::PLANS[0].1).unwrap();
        let of = |keys: &Keys| {
            let cells = Memhog::cells(keys, CallBy::Port).into_iter();
            cells.map(|spec| match spec {
                Spec::Engine(spec) => spec.footprint,
                other => panic!("{other:?}"),
            })
        };
        assert!(of(&keys).all(|footprint| footprint == 3 * keys.share(4)));
        for given in [64 << 20, u64::MAX] {
            let keys = Keys { footprint: Some(given), ..keys.clone() };
            assert!(of(&keys).all(|footprint| footprint == given));
        }
    }
}
