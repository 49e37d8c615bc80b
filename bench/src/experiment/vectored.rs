//! From how many ranges on one `process_madvise` is cheaper than a `madvise` for each of them.

pub mod found;
mod told;

use abi::wire::page::BATCH_CAPACITY;
use host::axes::Discard;

use super::contract::Asks;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad, one_rung};
use crate::trial::spec::Spec;
use found::Found;

/// What is compared.
const DISCARDS: [Discard; 2] = [Discard::DontNeed, Discard::Vectored];

/// The experiment.
pub struct Vectored;

impl Asks for Vectored {
    const NAME: &'static str = "vectored";
    const QUESTION: &'static str =
        "From how many ranges on does one process_madvise beat single calls, and by how much?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/vectored.toml")),
        ("quick", include_str!("../../plans/vectored.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena"];
    const NOT_COUNTED: Option<&'static str> = Some(
        "a process discards its own memory with process_madvise from Linux 6.13 on, and the lab's kernels are older",
    );

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let Some(rung) = keys.first_rung() else { return Vec::new() };
        let mut cells = Vec::new();
        for order in keys.orders.iter().flatten() {
            for batch in keys.batches.iter().flatten() {
                for discard in DISCARDS {
                    let (order, batch, discard) = (Some(*order), Some(*batch), Some(Named(discard)));
                    let keys = Keys { order, batch, discard, ..keys.clone() };
                    cells.push(Spec::Timed(keys.timed(rung.transport(call))));
                }
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        one_rung(keys)?;
        match keys.batches.iter().flatten().find(|batch| u64::from(**batch) > BATCH_CAPACITY) {
            Some(batch) => {
                bad("batches", batch, &format!("a call carries {BATCH_CAPACITY} ranges at the most"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_is_discarded_in_both_ways() {
        let keys: Keys = toml::from_str(Vectored::PLANS[0].1).unwrap();
        assert_eq!(Vectored::cells(&keys, CallBy::Port).len(), 2 * 10);
        Vectored::check(&keys).unwrap();
        let error = Vectored::check(&Keys { batches: Some(vec![512]), ..keys }).unwrap_err().to_string();
        assert!(error.contains("512") && error.contains("511 ranges"), "{error}");
    }
}
