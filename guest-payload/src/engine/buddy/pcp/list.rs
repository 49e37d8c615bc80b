//! A list of pages with two ends, in memory.

use abi::addr::Gpa;

use crate::engine::buddy::page::{NEXT, PREV, Page};
use crate::metal::Metal;

/// Bytes of a list: its first page, and its last.
pub(super) const BYTES: u64 = 8;
const LAST: u64 = 4;

/// A list of pages. A link is the number of a page and 1, or 0 for none, so that memory that is zeroed holds empty lists.
/// The links of a page are those of a free block, which a page on a list is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    /// Where it is.
    pub(super) at: Gpa,
    /// Where the bytes of page 0 are.
    pub(super) pages: Gpa,
}

impl List {
    pub(super) fn first<M: Metal>(self, metal: &M) -> Option<Page> {
        page(metal.load32(self.at))
    }

    pub(super) fn last<M: Metal>(self, metal: &M) -> Option<Page> {
        page(metal.load32(self.at.offset(LAST)))
    }

    pub(super) fn next<M: Metal>(self, metal: &M, of: Page) -> Option<Page> {
        page(metal.load32(of.bytes(self.pages).offset(NEXT)))
    }

    pub(super) fn before<M: Metal>(self, metal: &M, of: Page) -> Option<Page> {
        page(metal.load32(of.bytes(self.pages).offset(PREV)))
    }

    pub(super) fn push_front<M: Metal>(self, metal: &mut M, page: Page) {
        let next = self.first(metal);
        self.join(metal, None, Some(page));
        self.join(metal, Some(page), next);
    }

    pub(super) fn push_back<M: Metal>(self, metal: &mut M, page: Page) {
        let before = self.last(metal);
        self.join(metal, before, Some(page));
        self.join(metal, Some(page), None);
    }

    pub(super) fn remove<M: Metal>(self, metal: &mut M, page: Page) {
        let [before, next] = [self.before(metal, page), self.next(metal, page)];
        self.join(metal, before, next);
    }

    /// Makes two neighbours of each other; none is the list itself.
    fn join<M: Metal>(self, metal: &mut M, before: Option<Page>, next: Option<Page>) {
        let forward = before.map_or(self.at, |page| page.bytes(self.pages).offset(NEXT));
        metal.store32(forward, number(next));
        let back = next.map_or(self.at.offset(LAST), |page| page.bytes(self.pages).offset(PREV));
        metal.store32(back, number(before));
    }
}

fn number(page: Option<Page>) -> u32 {
    page.map_or(0, |page| page.get() + 1)
}

fn page(number: u32) -> Option<Page> {
    number.checked_sub(1).map(Page::new)
}
