//! Hold: what is reported is kept off the free lists, so that nobody takes it by chance and brings it back to the host; it
//! goes back when an allocation finds nothing. As the reporting driver for Windows guests of 2026 does (virtio-win, `Balloon`),
//! which leaves an eighth of memory alone, and at least 256 MiB; here it is an eighth of every zone, however small.

use crate::engine::buddy::{Block, Zone};
use crate::metal::Metal;

use super::search::{Budget, Found, List, Search};

/// Of a zone one page in so many is left alone.
const PART: u64 = 8;

/// Pages of a zone that stay on its lists.
pub(super) fn left_alone<const REPORTS: bool>(zone: Zone<REPORTS>) -> u64 {
    zone.size() / PART
}

/// Searches a list from its head for blocks that are not reported, past what was released, as long as `alone` pages of the
/// zone are left.
pub(super) fn search<M: Metal, const REPORTS: bool>(
    search: &mut Search<'_, '_, M, REPORTS>,
    list: List,
    budget: &Budget,
    alone: u64,
) -> Found {
    let mut link = search.first(list);
    while let Some(page) = search.look(link) {
        let (block, next) = (Block { page, order: list.order }, search.next(link));
        if !search.is_reported(page) {
            if !search.leaves(alone, block.order) {
                search.miss();
                return Found::Refused;
            }
            if let Some(found) = search.take_unreported(block, budget) {
                return found;
            }
        }
        link = next;
    }
    Found::Exhausted
}
