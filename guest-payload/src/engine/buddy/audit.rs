//! Do lists, counts and pages agree.

use abi::addr::Order;
use abi::engine::map::ZONES;

use super::page::{self, Heads, State};
use super::zone::Locked;
use super::{Allocator, Block, MigrateType, Page};
use crate::engine::books::Books;
use crate::metal::Metal;

/// What an audit found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Disagreements.
    pub wrong: u64,
    /// The page of the first, if it has one.
    pub first_wrong: Option<Page>,
    /// Pages in free blocks.
    pub free: u64,
    /// Pages in isolated blocks.
    pub isolated: u64,
    /// Pages in allocated blocks.
    pub allocated: u64,
    /// Of these: pages in the lists of the processors.
    pub listed: u64,
}

impl Audit {
    pub(super) fn expect(&mut self, holds: bool, page: Option<Page>) {
        if !holds {
            self.wrong += 1;
            self.first_wrong = self.first_wrong.or(page);
        }
    }
}

impl<const REPORTS: bool> Allocator<REPORTS> {
    /// Walks every list and every page, zone by zone, each under its lock. Takes as long as there are pages.
    pub fn audit<M: Metal>(self, metal: &mut M) -> Audit {
        let books = Books::of(self.map, metal.vcpu());
        let mut audit = Audit::default();
        for zone in 0..ZONES {
            self.zone(zone).lock(metal, &books).audit(&mut audit);
        }
        self.audit_lists(metal, &mut audit);
        audit
    }
}

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    fn audit(&self, audit: &mut Audit) {
        let free_before = audit.free;
        let blocks = self.audit_pages(audit);
        audit.expect(audit.free - free_before == self.free_pages(), None);
        for (order, blocks) in page::from(Order::default()).zip(blocks) {
            let listed = MigrateType::ALL.map(|migrate_type| self.audit_list(audit, order, migrate_type));
            let [free, marked] =
                listed.into_iter().fold([0, 0], |sum, list| [sum[0] + list[0], sum[1] + list[1]]);
            audit.expect(free == blocks, None);
            audit.expect(free == self.nr_free(order), None);
            audit.expect(marked == self.nr_reported(order), None);
        }
    }

    /// Every page: counts those of each kind, and says how many free blocks of each order begin at one.
    fn audit_pages(&self, audit: &mut Audit) -> [u64; ORDERS] {
        let mut blocks = [0; ORDERS];
        let [first, end] = self.zone.pages();
        let mut at = first;
        while at < end {
            let page = Page::new(at);
            let Some(heads) = self.state(page).block() else {
                // Of no block: missing.
                audit.expect(false, Some(page));
                at += 1;
                continue;
            };
            let (Heads::Free(order, _) | Heads::Isolated(order) | Heads::Allocated(order)) = heads;
            let pages = match heads {
                Heads::Free(..) => {
                    blocks[usize::from(order.get())] += 1;
                    let merged = order == Order::MAX || !self.state(page.buddy(order)).is_free(order);
                    audit.expect(merged, Some(page));
                    &mut audit.free
                }
                Heads::Isolated(_) => &mut audit.isolated,
                Heads::Allocated(_) => &mut audit.allocated,
            };
            *pages += order.pages();
            audit.expect(self.zone.allocator.has_block(Block { page, order }), Some(page));
            let next = at + (1 << order.get());
            for inside in (at + 1..next).map(Page::new) {
                audit.expect(self.state(inside) == State::INSIDE, Some(inside));
            }
            at = next;
        }
        blocks
    }

    /// A list, both ways, and its boundary: says how many blocks are on it and how many of them are marked.
    fn audit_list(&self, audit: &mut Audit, order: Order, migrate_type: MigrateType) -> [u64; 2] {
        let head = self.head(order, migrate_type);
        let boundary = self.boundary(order, migrate_type);
        let [mut blocks, mut marked, mut boundaries] = [0, 0, u64::from(boundary == head)];
        let (mut before, mut link) = (head, self.next(head));
        // A damaged list may have no end.
        while let Some(page) = self.page(link).filter(|_| blocks <= self.zone.blocks_at_most()) {
            let state = self.state(page);
            let ours = self.zone.has(page) && state.is(State::free(order, migrate_type));
            audit.expect(ours && self.prev(link) == before, Some(page));
            blocks += 1;
            marked += u64::from(self.is_reported(page));
            boundaries += u64::from(link == boundary);
            (before, link) = (link, self.next(link));
        }
        audit.expect(link == head && self.prev(head) == before && boundaries == 1, self.page(before));
        [blocks, marked]
    }
}

const ORDERS: usize = Order::MAX.get() as usize + 1;
