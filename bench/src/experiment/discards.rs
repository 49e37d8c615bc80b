//! What each way to discard costs, and what it frees, by what memory is made of and by the order of what is reported.

pub mod found;
mod told;

use host::axes::{Backing, Carrier, Coalesce, Completion, Discard, Doorbell, Way, WayError};

use super::contract::Asks;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad, each_report_calls, one_rung};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Discards;

impl Asks for Discards {
    const NAME: &'static str = "discards";
    const QUESTION: &'static str =
        "What does each way to discard cost, by what memory is made of, and what does it free?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/discards.toml")),
        ("quick", include_str!("../../plans/discards.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena"];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let Some(rung) = keys.first_rung() else { return Vec::new() };
        let mut cells = Vec::new();
        for order in keys.orders.iter().flatten() {
            for (discard, backing) in pairs(keys).filter(|pair| go_together(*pair).is_ok()) {
                let coalesce = coalesced(keys, discard);
                let (order, discard, backing) = (Some(*order), Some(discard), Some(backing));
                let keys = Keys { order, discard, backing, coalesce, ..keys.clone() };
                cells.push(Spec::Timed(keys.timed(rung.transport(call))));
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        one_rung(keys)?;
        each_report_calls(keys)?;
        let mut pairs = pairs(keys).map(|pair| go_together(pair).map_err(|refusal| (pair.0, refusal)));
        match pairs.next() {
            Some(Err((discard, refusal))) if pairs.all(|other| other.is_err()) => {
                bad("discards", discard, &refusal.to_string())
            }
            _ => Ok(()),
        }
    }
}

/// What is put off has no order that could be chosen.
pub(super) fn coalesced(keys: &Keys, discard: Named<Discard>) -> Option<Named<Coalesce>> {
    if discard.0 == Discard::Deferred { Some(Named(Coalesce::Merged)) } else { keys.coalesce }
}

/// Every discard with every memory that is named.
pub(super) fn pairs(keys: &Keys) -> impl Iterator<Item = (Named<Discard>, Named<Backing>)> {
    let backings = move || keys.backings.iter().flatten();
    keys.discards
        .iter()
        .flatten()
        .flat_map(move |discard| backings().map(move |backing| (*discard, *backing)))
}

/// Those that do not are no cells.
pub(super) fn go_together((discard, backing): (Named<Discard>, Named<Backing>)) -> Result<(), WayError> {
    let plain = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
    let coalesce = if discard.0 == Discard::Deferred { Coalesce::Merged } else { plain.coalesce };
    Way { discard: discard.0, backing: backing.0, coalesce, ..plain }.validate()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        toml::from_str(&format!("rungs = [\"hypercall-batch\"]\norders = [0, 9]\n{text}")).unwrap()
    }

    #[test]
    fn only_what_goes_together_is_a_cell() {
        let keys = keys("discards = [\"dontneed\", \"remove\"]\nbackings = [\"anon\", \"memfd\"]");
        let ways = Discards::cells(&keys, CallBy::Port);
        assert_eq!(ways.len(), 6, "dontneed of both, remove of memfd, of two orders");
        assert!(Discards::check(&keys).is_ok());
    }

    #[test]
    fn what_is_not_in_a_median_is_asked_elsewhere() {
        let text = "rungs = [\"log\"]\norders = [0]\ndiscards = [\"dontneed\"]\nbackings = [\"anon\"]";
        let error = Discards::check(&toml::from_str(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains("pagehint coalescing"), "{error}");
    }

    #[test]
    fn a_plan_without_a_cell_says_why() {
        let keys = keys("discards = [\"remove\"]\nbackings = [\"anon\", \"file\"]");
        let error = Discards::check(&keys).unwrap_err().to_string();
        assert!(error.contains("discards") && error.contains("--backing memfd"), "{error}");
    }
}
