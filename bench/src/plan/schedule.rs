//! In which order the trials of a plan run: interleaved, seeded blocks.
//!
//! A host drifts: caches warm, neighbours come and go, clocks change. All of A and then all of B would book the
//! drift on B. So every block runs every cell once, in an order that is drawn for this block alone: by chance, and by
//! nothing else, A comes before B. The test of differences (`figure/interval.rs`) turns their signs block by block, and
//! is exact for that reason, whatever the machine does meanwhile. An order that depends on that of the block before, as
//! its mirror image does, makes differences of neighbouring blocks alike (docs/decisions/0018-the-order-of-a-block.md).
//!
//! All trials of a block have the same workload seed: every transport is asked to report exactly the same pages.

use abi::digest::mix;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::figure::random::below;

/// One trial in its place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Slot<C> {
    /// Its number in the run, from 0.
    pub trial: u32,
    /// Its block, from 0.
    pub block: u32,
    /// What to run.
    pub cell: C,
    /// Seed of its workload, the same throughout a block. Below 2^53, so that any reader of JSON keeps it.
    pub seed: u64,
}

/// Every cell once a block, interleaved. The same cells and seed give the same schedule.
#[must_use]
pub fn interleaved<C: Clone>(cells: Vec<C>, blocks: u32, plan_seed: u64) -> Vec<Slot<C>> {
    let mut rng = Pcg64Mcg::seed_from_u64(plan_seed);
    let mut order = cells;
    let mut slots = Vec::new();
    for block in 0..blocks {
        shuffle(&mut order, &mut rng);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_cells_and_seed_give_the_same_schedule(cells in 1_u8..16, blocks in 1_u32..12, seed: u64) {
            let slots = || interleaved((0..cells).collect(), blocks, seed);
            prop_assert_eq!(slots(), slots());
        }

        #[test]
        fn every_block_runs_every_cell_once_on_the_same_pages(cells in 1_u8..16, blocks in 1_u32..12, seed: u64) {
            let slots = interleaved((0..cells).collect(), blocks, seed);
            let cells = usize::from(cells);
            prop_assert_eq!(slots.len(), cells * blocks as usize);
            let mut seeds = HashSet::new();
            for (number, block) in slots.chunks(cells).enumerate() {
                prop_assert!(block.iter().all(|slot| slot.block as usize == number));
                prop_assert_eq!(block.iter().map(|slot| slot.cell).collect::<HashSet<_>>().len(), cells);
                prop_assert!(block.iter().all(|slot| slot.seed == block[0].seed && slot.seed < 1 << 53));
                seeds.insert(block[0].seed);
            }
            prop_assert_eq!(seeds.len(), blocks as usize, "blocks have their own seeds");
            prop_assert!(slots.iter().enumerate().all(|(index, slot)| slot.trial as usize == index));
        }

        #[test]
        fn a_block_does_not_depend_on_how_many_follow(cells in 1_u8..16, blocks in 1_u32..12, more in 1_u32..12, seed: u64) {
            let slots = |blocks| interleaved((0..cells).collect(), blocks, seed);
            let (short, long) = (slots(blocks), slots(blocks + more));
            prop_assert_eq!(&short[..], &long[..short.len()]);
        }

    }

    /// Which of two cells comes first says nothing of which does in the next block: 1000 of 2000 are expected to agree,
    /// and five standard deviations are 112.
    #[test]
    fn a_block_follows_no_other() {
        for cells in [2, 16] {
            let slots = interleaved((0..cells).collect(), 2001, 5);
            let first = |block: &[Slot<u8>]| block.iter().find(|slot| slot.cell < 2).map(|slot| slot.cell);
            let firsts: Vec<_> = slots.chunks(usize::from(cells)).map(first).collect();
            let agree = firsts.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert!(agree.abs_diff(1000) < 112, "{agree} of 2000 with {cells} cells");
        }
    }

    #[test]
    fn another_seed_gives_another_order() {
        let order =
            |seed| interleaved((0..16).collect(), 3, seed).iter().map(|slot| slot.cell).collect::<Vec<u8>>();
        assert_ne!(order(1), order(2));
    }

    /// Plans that have been run are run again in the same order, on the same pages.
    #[test]
    fn the_schedule_of_a_seed_is_what_it_has_always_been() {
        let slots = interleaved((0..14_u8).collect(), 2, 1);
        let order: Vec<u8> = slots.iter().map(|slot| slot.cell).collect();
        assert_eq!(order[..14], [12, 4, 10, 6, 2, 0, 8, 9, 13, 3, 7, 5, 1, 11]);
        assert_eq!(order[14..], [6, 12, 11, 13, 2, 4, 10, 8, 1, 9, 3, 7, 5, 0]);
        assert_eq!([slots[0].seed, slots[14].seed], [3_045_933_958_955_360, 7_661_272_369_888_881]);
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
