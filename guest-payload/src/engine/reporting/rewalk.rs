//! Rewalk: every batch searches its list from the head, past whatever was reported before. A reported block goes back to
//! the head, where every freed block goes.

use crate::engine::buddy::{At, Block};
use crate::metal::Metal;

use super::search::{Budget, Found, List, Search};

/// Where a reported block is put back.
pub(super) const PUT_BACK: At = At::Head;

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
            return found;
        }
        link = next;
    }
    Found::Exhausted
}
