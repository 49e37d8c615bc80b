//! Compaction: after every report each list that was walked for it is cut at a seeded place, and what is before moves
//! behind its tail (`move_freelist_head`).

use abi::digest::mix;
use abi::engine::Walk;
use abi::engine::books::Counter;

use crate::engine::books::Books;
use crate::engine::buddy::{Locked, MigrateType};
use crate::metal::Metal;

use super::search::List;

/// The lists that were walked for a batch, and where the next ones are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shuffle {
    /// A bit for each list of the zone.
    walked: u64,
    seed: u64,
    cuts: u64,
}

impl Shuffle {
    /// Cuts that follow from `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self { walked: 0, seed, cuts: 0 }
    }

    /// A list was walked.
    pub(super) fn walked(&mut self, list: List) {
        self.walked |= bit(list);
    }

    /// The lists walked so far are forgotten.
    pub(super) const fn forget(&mut self) {
        self.walked = 0;
    }

    /// Moves the lists about that were walked. Where one was cut, its boundary is none any more: it is reset
    /// to the head of the list.
    pub(super) fn compact<M: Metal, const REPORTS: bool>(
        &mut self,
        zone: &mut Locked<'_, M, REPORTS>,
        books: &Books,
        walk: Walk,
    ) {
        for list in lists().filter(|list| self.walked & bit(*list) != 0) {
            let List { order, migrate_type } = list;
            self.cuts += 1;
            let steps = mix(self.seed ^ mix(self.cuts)) % zone.nr_free(order).max(1);
            if zone.cut(order, migrate_type, steps) == 0 {
                continue;
            }
            books.add(zone.metal(), Counter::Shuffled, 1);
            let head = zone.head(order, migrate_type);
            if walk == Walk::Boundary && zone.boundary(order, migrate_type) != head {
                zone.set_boundary(order, migrate_type, head);
                books.add(zone.metal(), Counter::Resets, 1);
            }
        }
    }
}

fn lists() -> impl Iterator<Item = List> {
    let orders = (0..).map_while(|order| abi::addr::Order::new(order).ok());
    orders.flat_map(|order| MigrateType::ALL.map(|migrate_type| List { order, migrate_type }))
}

fn bit(list: List) -> u64 {
    1 << (u64::from(list.order.get()) * MigrateType::ALL.len() as u64 + list.migrate_type as u64)
}
