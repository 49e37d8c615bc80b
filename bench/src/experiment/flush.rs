//! How long it takes until everything is reported that is not yet, when the host asks for it: before a pause, a snapshot or a
//! migration.

pub mod found;
mod told;

use host::engine::{EngineSpec, Load, Reporting};

use super::contract::Asks;
use super::engine;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;
use found::Found;

/// The experiment.
pub struct Flush;

impl Asks for Flush {
    const NAME: &'static str = "flush";
    const QUESTION: &'static str =
        "How long until everything is reported that is not yet, when the host asks for it at once?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/flush.toml")),
        ("quick", include_str!("../../plans/flush.quick.toml")),
    ];
    const BESIDE: &'static [&'static str] =
        &["vcpus", "high-water", "footprint", "queue-size", "budget", "watermark", "pcp"];
    const NOT_COUNTED: Option<&'static str> =
        Some("a guest that waits for the host's question is idle, and an idle machine executes nothing");

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let footprint = keys.footprint.unwrap_or_else(|| keys.share(4).saturating_mul(3));
        let mut cells = Vec::new();
        for rung in keys.rungs() {
            for discard in keys.discards.iter().flatten() {
                let spec = EngineSpec { load: Load::Flush, footprint, ..keys.engine(rung, call) };
                cells.push(engine::cell(engine::with_discard(spec, discard.0)));
            }
        }
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        match keys.reporting.filter(|reporting| reporting.0 != Reporting::On) {
            Some(reporting) => bad("reporting", reporting, "nothing would be reported; leave it out"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use host::axes::Discard;

    use super::*;

    #[test]
    fn every_transport_flushes_with_and_without_a_discard() {
        let keys: Keys = toml::from_str(Flush::PLANS[0].1).unwrap();
        let cells = Flush::cells(&keys, CallBy::Port);
        assert_eq!(cells.len(), 12);
        let none = cells.iter().filter(|spec| spec.choices().way().discard.0 == Discard::None);
        assert_eq!(none.count(), 6);
    }
}
