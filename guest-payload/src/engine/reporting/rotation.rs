//! Rotation: reported blocks go to the tail, and before the lock is let go the first unreported block is made the head,
//! so that the next search begins with it. As merged into Linux (`page_reporting_cycle`).

use crate::engine::buddy::{At, Block};
use crate::metal::Metal;

use super::search::{Budget, Found, List, Search};

/// Where a reported block is put back.
pub(super) const PUT_BACK: At = At::Tail;

/// Searches a list for unreported blocks.
pub(super) fn search<M: Metal, const REPORTS: bool>(
    search: &mut Search<'_, '_, M, REPORTS>,
    list: List,
    budget: &Budget,
) -> Found {
    let mut link = search.first(list);
    while let Some(page) = search.look(link) {
        let next = search.next(link);
        if !search.is_reported(page)
            && let Some(found) = search.take_unreported(Block { page, order: list.order }, budget)
        {
            search.rotate_to_front(list, page);
            return found;
        }
        link = next;
    }
    Found::Exhausted
}
