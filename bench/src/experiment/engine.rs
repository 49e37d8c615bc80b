//! What the experiments with the guest's reporting engine share.

use abi::addr::Order;
use host::axes::{Axis, Backing, Carrier, Completion, Discard, Doorbell, Freed, Way};
use host::engine::EngineSpec;

use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;

/// A cell of an experiment that tries many walks and loads with the same parameters.
#[must_use]
pub fn cell(spec: EngineSpec) -> Spec {
    Spec::Engine(spec.neutral())
}

/// The same with another discard.
#[must_use]
pub fn with_discard(spec: EngineSpec, discard: Discard) -> EngineSpec {
    EngineSpec { way: Way { discard, ..spec.way }, ..spec }
}

/// Bytes that the comb of all processors together has allocated at the most: what is given, or one `part`th of what the
/// engine manages.
#[must_use]
pub fn comb_bytes(keys: &Keys, part: u64) -> u64 {
    let vcpus = u64::from(keys.vcpus.unwrap_or(1));
    keys.footprint.unwrap_or_else(|| keys.share(part).saturating_mul(vcpus))
}

/// Refuses a plan whose host gives nothing back, for an experiment that asks about what is given back.
///
/// # Errors
/// [`PlanError::Value`].
pub fn gives_back(keys: &Keys, why: &str) -> Result<(), PlanError> {
    let discard = keys.discard.map_or(Discard::DontNeed, |given| given.0);
    let backing = keys.backing.map_or(Backing::AnonThp, |given| given.0);
    let plain = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
    if (Way { discard, backing, ..plain }).frees(Order::MAX) == Freed::All {
        return Ok(());
    }
    let instead = if backing.is_shared() { "punch-hole" } else { "dontneed" };
    bad("discard", discard.name(), &format!("{why}; use {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comb_that_is_given_is_of_all_processors_together() {
        let keys = Keys { vcpus: Some(4), memory: Some(1 << 30), ..Keys::default() };
        assert_eq!(comb_bytes(&keys, 4), keys.share(4) * 4);
        let given = Keys { footprint: Some(64 << 20), ..keys.clone() };
        assert_eq!(comb_bytes(&given, 4), 64 << 20);
        assert_eq!(comb_bytes(&Keys { footprint: Some(u64::MAX), ..keys }, 4), u64::MAX);
    }
}
