//! Whether the lists of the processors agree with what they say of themselves, and with the pages.

use abi::addr::Order;
use abi::layout::VCPUS_MAX;

use super::list::List;
use super::{LISTS, PageLists, order_of};
use crate::engine::buddy::allocator::{Allocator, DMA, DMA32};
use crate::engine::buddy::audit::Audit;
use crate::engine::buddy::page::{Block, State};
use crate::metal::Metal;

impl<const REPORTS: bool> Allocator<REPORTS> {
    /// Every list of every processor: what is on it must be allocated, as far as the zone is concerned. What is on two
    /// lists has the wrong neighbours in one of them or, alone on both, is listed more often than allocated.
    pub(in crate::engine::buddy) fn audit_lists<M: Metal>(self, metal: &M, audit: &mut Audit) {
        for (vcpu, zone) in (0..VCPUS_MAX).flat_map(|vcpu| [DMA32, DMA].map(|zone| (vcpu, zone))) {
            let lists = PageLists::new(self, vcpu, 1);
            let pages = (0..LISTS).map(|index| {
                self.audit_page_list(metal, audit, lists.list(zone, index), zone, order_of(index))
            });
            let pages: u64 = pages.sum();
            audit.expect(pages == lists.count(metal, zone), None);
            audit.listed += pages;
        }
    }

    /// The pages on a list.
    fn audit_page_list<M: Metal>(
        self,
        metal: &M,
        audit: &mut Audit,
        list: List,
        zone: u64,
        order: Order,
    ) -> u64 {
        let (mut blocks, mut before, mut at) = (0, None, list.first(metal));
        // A damaged list may have no end.
        while let Some(page) = at.filter(|_| blocks <= self.zone(zone).blocks_at_most()) {
            let ours = self.has_block(Block { page, order }) && self.zone_of(page) == zone;
            audit.expect(ours && self.state(metal, page).is(State::allocated(order)), Some(page));
            if !ours {
                return blocks * order.pages();
            }
            audit.expect(list.before(metal, page) == before, Some(page));
            blocks += 1;
            (before, at) = (at, list.next(metal, page));
        }
        audit.expect(at.is_none() && list.last(metal) == before, before);
        blocks * order.pages()
    }
}
