//! What it costs to find the blocks that are not reported yet, by strategy: combs for the strategies that walk
//! lists, and a timed load for all.

pub mod found;
mod told;

use host::axes::Discard;
use host::engine::{EngineSpec, Reporting, Walk};

use super::contract::Asks;
use super::engine;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::spec::{comb, order};
use crate::plan::{PlanError, bad, one_rung, timed_loads};
use crate::trial::spec::Spec;
use found::Found;

/// The order of a comb that is walked: the longest lists a memory can have.
const COMB_ORDER: u8 = 0;
/// The unreported blocks that request a pass, of every walk: as merged.
const HIGH_WATER: u64 = 1;

/// The experiment.
pub struct Walks;

impl Asks for Walks {
    const NAME: &'static str = "walk";
    const QUESTION: &'static str =
        "What does it cost to find the free blocks that are not reported yet, by strategy?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/walk.toml")),
        ("quick", include_str!("../../plans/walk.quick.toml")),
        ("lab", include_str!("../../plans/walk.lab.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["vcpus", "high-water", "footprint", "queue-size"];

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        let Some(rung) = keys.first_rung() else { return cells };
        let walks: Vec<Walk> = keys.walks.iter().flatten().map(|walk| walk.0).collect();
        // One high water for all: by its authors', boundary would make fewer and longer passes than what it is
        // compared with.
        let high_water = keys.high_water.unwrap_or(HIGH_WATER);
        let with = |walk| EngineSpec { walk, high_water, ..keys.engine(rung, call) };
        for length in keys.lengths.iter().flatten() {
            for shuffle in keys.shuffles.iter().flatten() {
                for walk in walks.iter().copied().filter(|walk| walk.walks_lists()) {
                    let comb = comb(with(walk), order(COMB_ORDER), *length);
                    // The whole list in one pass, so that every batch meets what the ones before have reported; and
                    // however short it is.
                    let spec = EngineSpec { shuffle: shuffle.0, budget: 0, watermark: false, ..comb };
                    cells.push(engine::cell(engine::with_discard(spec, Discard::None)));
                }
            }
        }
        for walk in &walks {
            cells.push(engine::cell(with(*walk)));
            cells.push(engine::cell(EngineSpec { reporting: Reporting::Off, ..with(*walk) }));
        }
        cells.push(engine::cell(EngineSpec { reporting: Reporting::Absent, ..with(Walk::Rotation) }));
        cells
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        one_rung(keys)?;
        timed_loads("load", keys.load.as_slice())?;
        if keys.walks.iter().flatten().all(|walk| !walk.0.walks_lists()) {
            return bad("walks", "without any that walks lists", "name rewalk, boundary or rotation");
        }
        if keys.lengths.iter().flatten().any(|length| *length == 0) {
            return bad("lengths", 0, "there is nothing to find in a list of no blocks; use 1 or more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::PAGE_SIZE;
    use host::engine::Load;

    use super::*;

    #[test]
    fn a_comb_has_the_length_asked_for() {
        let keys: Keys = toml::from_str(Walks::PLANS[0].1).unwrap();
        let mut combs = 0;
        for spec in Walks::cells(&keys, CallBy::Port) {
            let Spec::Engine(spec) = spec else { panic!("{spec:?}") };
            if spec.load == Load::Comb {
                let length = spec.footprint / (2 * spec.unit.pages() * PAGE_SIZE);
                assert!([1000, 10_000, 100_000].contains(&length), "{length}");
                assert_eq!(spec.min_order, spec.unit);
                combs += 1;
            }
        }
        assert_eq!(combs, 3 * 2 * 3);
    }

    #[test]
    fn every_walk_of_lists_has_the_same_high_water() {
        let plan: Keys = toml::from_str(Walks::PLANS[0].1).unwrap();
        for (given, expected) in [(None, 1), (Some(32), 32)] {
            let keys = Keys { high_water: given, ..plan.clone() };
            for spec in Walks::cells(&keys, CallBy::Port) {
                let Spec::Engine(spec) = spec else { panic!("{spec:?}") };
                if spec.walk.walks_lists() {
                    assert_eq!(spec.high_water, expected, "{:?}", spec.walk);
                }
            }
        }
    }
}
