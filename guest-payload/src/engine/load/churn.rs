//! `churn`: blocks of mixed orders, types and lifetimes, as the seed has it. Each block goes into a slot that is drawn,
//! and what was there is given back; while the footprint is used up, slots are only emptied.

use abi::addr::{Gpa, Order};
use abi::digest::mix;
use abi::engine::map::SLOTS;

use crate::engine::buddy::{Block, MigrateType, Page};
use crate::metal::Metal;

use super::owner::Owner;
use super::run::Run;
use super::timed::Timed;

/// Slots that are drawn in a run.
const PICKS: usize = 16;

/// A slot's word: 0 if it is empty, else [`TAKEN`], the order from bit 24 on, and the number of the first page.
const TAKEN: u32 = 1 << 31;
const ORDER_SHIFT: u32 = 24;
const PAGE: u32 = (1 << ORDER_SHIFT) - 1;

/// The load of one virtual processor.
pub(super) struct Churn {
    slots: Gpa,
    seed: u64,
    drawn: u64,
    taken: Run,
    given: Run,
    /// Pages it has.
    pages: u64,
}

impl Churn {
    /// Nothing taken yet.
    pub(super) fn new<M: Metal, const REPORTS: bool>(owner: &Owner<'_, M, REPORTS>) -> Self {
        Self {
            slots: owner.allocator().map().slots(owner.vcpu),
            seed: mix(owner.seed ^ mix(u64::from(owner.vcpu) + 1)),
            drawn: 0,
            taken: Run::of(Order::PAGE),
            given: Run::of(Order::PAGE),
            pages: 0,
        }
    }

    const fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        mix(self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    const fn slot(&self, slot: u64) -> Gpa {
        self.slots.offset(slot % SLOTS * 4)
    }

    /// Puts a block, or none, into a slot; what was there is to be given back.
    fn exchange(&mut self, metal: &mut impl Metal, slot: u64, word: u32) {
        let slot = self.slot(slot);
        if let Some(block) = block(metal.load32(slot)) {
            self.pages = self.pages.saturating_sub(block.order.pages());
            self.given.push_block(block);
        }
        metal.store32(slot, word);
    }

    /// An order up to `largest`, the smaller the likelier, and a type.
    fn want(&mut self, largest: Order) -> (Order, MigrateType) {
        let chance = self.draw();
        let order = u64::from(chance.trailing_ones()).min(largest.get().into());
        let migrate_type = match chance >> 60 {
            0..=2 => MigrateType::Unmovable,
            3..=4 => MigrateType::Reclaimable,
            _ => MigrateType::Movable,
        };
        (Order::new(order).unwrap_or_default(), migrate_type)
    }

    /// What to take next, as far as the footprint allows.
    fn wants(&mut self, footprint: u64, largest: Order) -> ([(Order, MigrateType); PICKS], usize) {
        let mut wants = [(Order::PAGE, MigrateType::Movable); PICKS];
        let (mut count, mut pages) = (0, self.pages);
        for place in &mut wants {
            *place = self.want(largest);
            pages += place.0.pages();
            if pages > footprint {
                break;
            }
            count += 1;
        }
        (wants, count)
    }
}

impl<M: Metal, const REPORTS: bool> Timed<M, REPORTS> for Churn {
    fn step(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
        let (wants, count) = self.wants(owner.info.footprint, owner.info.unit);
        owner.take(metal, &mut self.taken, wants.into_iter().take(count));
        self.given.clear();
        for index in 0..PICKS {
            let taken = self.taken.iter().nth(index).copied();
            let slot = self.draw();
            self.exchange(metal, slot, taken.map_or(0, |taken| word(taken.block)));
            self.pages += taken.map_or(0, |taken| taken.block.order.pages());
        }
        owner.give(metal, &self.given);
    }

    fn finish(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
        for slot in 0..SLOTS {
            self.given.clear();
            self.exchange(metal, slot, 0);
            owner.give(metal, &self.given);
        }
    }
}

/// What a slot's word names, if anything.
fn block(word: u32) -> Option<Block> {
    let order = Order::new(u64::from(word >> ORDER_SHIFT & 0xf)).ok()?;
    (word & TAKEN != 0).then_some(Block { page: Page::new(word & PAGE), order })
}

const fn word(block: Block) -> u32 {
    TAKEN | (block.order.get() as u32) << ORDER_SHIFT | block.page.get() & PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_any_block_or_none() {
        assert_eq!(block(0), None);
        for page in [0, 1, (1 << 19) - 1] {
            for order in 0..=Order::MAX.get() {
                let held = Block { page: Page::new(page), order: Order::new(order.into()).unwrap() };
                assert_eq!(block(word(held)), Some(held));
            }
        }
        assert_eq!(block(TAKEN | 11 << ORDER_SHIFT), None, "no such order");
    }
}
