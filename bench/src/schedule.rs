//! In which order the trials of a plan run: interleaved, seeded blocks.
//!
//! A host drifts: caches warm, neighbours come and go, clocks change. All of A and then all of B would book the
//! drift on B. So every block runs every cell once, in an order drawn by the seed, and every second block runs
//! the order of the one before backwards (A B … B A), which cancels a drift that is linear over two blocks.
//!
//! All trials of a block have the same workload seed: every transport is asked to report exactly the same pages.

use abi::digest::mix;
use host::axes::Discard;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::ladder::Rung;
use crate::plan::Plan;

/// What is compared with what: one point of the plan, run once in every block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cell {
    /// The rung.
    pub rung: Rung,
    /// The discard.
    pub discard: Discard,
}

/// One trial in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot<C = Cell> {
    /// Its number in the run, from 0.
    pub trial: u32,
    /// Its block, from 0.
    pub block: u32,
    /// What to run.
    pub cell: C,
    /// Seed of its workload, the same throughout a block. Below 2^53, so that any reader of JSON keeps it.
    pub seed: u64,
}

/// All trials of a plan that names its rungs ([`Plan::on`]), in order. The same plan gives the same schedule.
#[must_use]
pub fn schedule(plan: &Plan) -> Vec<Slot> {
    let cells: Vec<Cell> = plan
        .discards
        .iter()
        .flat_map(|discard| plan.rungs.iter().map(|rung| Cell { rung: rung.0, discard: discard.0 }))
        .collect();
    interleaved(cells, plan.blocks, plan.seed)
}

/// Every cell once a block, interleaved. The same cells and seed give the same schedule.
#[must_use]
pub fn interleaved<C: Clone>(cells: Vec<C>, blocks: u32, plan_seed: u64) -> Vec<Slot<C>> {
    let mut rng = Pcg64Mcg::seed_from_u64(plan_seed);
    let mut order = cells;
    let mut slots = Vec::new();
    for block in 0..blocks {
        if block % 2 == 0 {
            shuffle(&mut order, &mut rng);
        } else {
            order.reverse();
        }
        let seed = mix(plan_seed.wrapping_add(mix(u64::from(block)))) >> 11;
        slots.extend((slots.len()..).zip(&order).map(|(trial, cell)| Slot {
            trial: u32::try_from(trial).unwrap_or(u32::MAX),
            block,
            cell: cell.clone(),
            seed,
        }));
    }
    slots
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], rng: &mut Pcg64Mcg) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// A number below `bound`, each as likely as the others to within 2^-32 or so (multiply and shift).
pub(crate) fn below(rng: &mut Pcg64Mcg, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * bound as u128;
    #[expect(clippy::cast_possible_truncation, reason = "below `bound`, which is a usize")]
    {
        (wide >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::axis::Named;
    use host::axes::Axis;
    use proptest::prelude::*;

    fn plans() -> impl Strategy<Value = Plan> {
        let rungs = proptest::sample::subsequence(Rung::ALL.to_vec(), 1..=Rung::ALL.len());
        let discards = proptest::sample::subsequence(Discard::ALL.to_vec(), 1..=2);
        (any::<u64>(), 1_u32..12, rungs, discards).prop_map(|(seed, blocks, rungs, discards)| Plan {
            seed,
            blocks,
            rungs: rungs.into_iter().map(Named).collect(),
            discards: discards.into_iter().map(Named).collect(),
            ..Plan::default()
        })
    }

    proptest! {
        #[test]
        fn the_same_plan_gives_the_same_schedule(plan in plans()) {
            prop_assert_eq!(schedule(&plan), schedule(&plan));
        }

        #[test]
        fn every_block_runs_every_cell_once_on_the_same_pages(plan in plans()) {
            let slots = schedule(&plan);
            let cells = plan.rungs.len() * plan.discards.len();
            prop_assert_eq!(slots.len(), cells * plan.blocks as usize);
            let mut seeds = HashSet::new();
            for (number, block) in slots.chunks(cells).enumerate() {
                prop_assert!(block.iter().all(|slot| slot.block as usize == number));
                prop_assert_eq!(block.iter().map(|slot| slot.cell).collect::<HashSet<_>>().len(), cells);
                prop_assert!(block.iter().all(|slot| slot.seed == block[0].seed && slot.seed < 1 << 53));
                seeds.insert(block[0].seed);
            }
            prop_assert_eq!(seeds.len(), plan.blocks as usize, "blocks have their own seeds");
            prop_assert!(slots.iter().enumerate().all(|(index, slot)| slot.trial as usize == index));
        }

        #[test]
        fn every_second_block_runs_backwards(plan in plans()) {
            let cells = plan.rungs.len() * plan.discards.len();
            let slots = schedule(&plan);
            for pair in slots.chunks(2 * cells).filter(|pair| pair.len() == 2 * cells) {
                let there = pair[..cells].iter().map(|slot| slot.cell);
                let back = pair[cells..].iter().rev().map(|slot| slot.cell);
                prop_assert!(there.eq(back));
            }
        }
    }

    #[test]
    fn another_seed_gives_another_order() {
        let order = |seed| {
            schedule(&Plan { seed, ..crate::testing::plan() })
                .iter()
                .map(|slot| slot.cell)
                .collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn shuffles_are_even() {
        // Where does the first of four items land? 4000 shuffles, 1000 expected in each place; five standard
        // deviations are 137.
        let mut rng = Pcg64Mcg::seed_from_u64(7);
        let mut places = [0_u32; 4];
        for _ in 0..4000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items, &mut rng);
            places[items.iter().position(|item| *item == 0).unwrap()] += 1;
        }
        assert!(places.iter().all(|count| count.abs_diff(1000) < 137), "{places:?}");
    }
}
