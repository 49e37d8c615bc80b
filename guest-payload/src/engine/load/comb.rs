//! `comb`: every other block of the unit is free and its neighbours are not, so that nothing merges and one free list
//! has exactly the length asked for. Then reporting is switched on.
//!
//! The first processor takes all memory there is in units, so that nothing else is free, and gives back every other
//! one of half the footprint. It keeps no list of what it has: who has a page is the witness's to say.

use abi::engine::books::shared::ROUND;
use abi::engine::map::ZONES;

use crate::engine::buddy::{Block, MigrateType, Page};
use crate::metal::Metal;

use super::owner::Owner;
use super::run::Run;

/// Builds the comb, has it reported, and takes it down.
pub(super) fn run<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
    let mut run = Run::of(owner.info.unit);
    if owner.leads() {
        take_all(owner, metal, &mut run);
        let teeth = owner.info.footprint / 2 / owner.info.unit.pages();
        run.clear();
        give_teeth(owner, metal, &mut run, teeth);
        // The free list has them all, and no list of the processor's.
        owner.core.drain(metal);
        metal.store(ROUND, 1);
    }
    owner.core.switch_on();
    owner.begin(metal);
    owner.core.ask(metal);
    owner.settle(metal);
    owner.end(metal);
    if owner.leads() {
        give_all(owner, metal, &mut run);
    }
}

fn take_all<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M, run: &mut Run) {
    let unit = owner.info.unit;
    loop {
        owner.take(metal, run, core::iter::repeat((unit, MigrateType::Movable)));
        if run.room() > 0 {
            return;
        }
    }
}

/// Gives back so many blocks whose neighbours stay taken: the first of each pair, in the last zone as long as it has
/// any, because most pages are there.
fn give_teeth<M: Metal, const REPORTS: bool>(
    owner: &mut Owner<'_, M, REPORTS>,
    metal: &mut M,
    run: &mut Run,
    teeth: u64,
) {
    let (unit, managed) = (owner.info.unit, managed(owner));
    let allocator = owner.allocator();
    let mut left = teeth;
    for zone in (0..ZONES).rev() {
        let pairs = (0..managed).step_by(2 << unit.get()).map(Page::new);
        for page in pairs.filter(|page| allocator.zone_of(*page) == zone) {
            let block = Block { page, order: unit };
            let neighbour = Block { page: page.buddy(unit), order: unit };
            if left > 0 && owner.has(metal, block) && owner.has(metal, neighbour) {
                left -= 1;
                give(owner, metal, run, block);
            }
        }
    }
    flush(owner, metal, run);
}

/// Gives everything back that is taken.
fn give_all<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M, run: &mut Run) {
    let unit = owner.info.unit;
    for page in (0..managed(owner)).step_by(1 << unit.get()).map(Page::new) {
        let block = Block { page, order: unit };
        if owner.has(metal, block) {
            give(owner, metal, run, block);
        }
    }
    flush(owner, metal, run);
}

fn give<M: Metal, const REPORTS: bool>(
    owner: &mut Owner<'_, M, REPORTS>,
    metal: &mut M,
    run: &mut Run,
    block: Block,
) {
    if run.room() == 0 {
        flush(owner, metal, run);
    }
    run.push_block(block);
}

fn flush<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M, run: &mut Run) {
    owner.give(metal, run);
    run.clear();
}

fn managed<M: Metal, const REPORTS: bool>(owner: &Owner<'_, M, REPORTS>) -> u32 {
    // An arena has at most 2^19 pages.
    u32::try_from(owner.allocator().map().managed()).unwrap_or_default()
}
