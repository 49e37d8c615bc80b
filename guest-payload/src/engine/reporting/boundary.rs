//! Boundary: a pointer for each list to its first reported block, behind which there is nothing else; the search goes
//! backwards from there. A reported block is put back just before it, and becomes it. Versions 7 to 13 of the series.

use crate::engine::buddy::{At, Block};
use crate::metal::Metal;

use super::search::{Budget, Found, List, Search};

/// Where a reported block is put back.
pub(super) const PUT_BACK: At = At::Boundary;

/// Searches a list for unreported blocks. After compaction has cut the list no boundary is known: the search begins at
/// the tail, and goes through reported and unreported blocks as they come.
pub(super) fn search<M: Metal, const REPORTS: bool>(
    search: &mut Search<'_, '_, M, REPORTS>,
    list: List,
    budget: &Budget,
) -> Found {
    let mut link = search.before_boundary(list);
    while let Some(page) = search.look(link) {
        let next = search.previous(link);
        if search.is_reported(page) {
            search.move_boundary(list, link);
        } else if let Some(found) = search.take_unreported(Block { page, order: list.order }, budget) {
            return found;
        }
        link = next;
    }
    Found::Exhausted
}
