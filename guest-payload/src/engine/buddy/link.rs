//! A place in a free list, as its neighbours name it.

use super::page::Page;

/// A place in a free list: a page, or the head of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link(pub(super) u32);

/// Set in the number of a head; the rest is its offset in the zone's page.
pub(super) const HEAD: u32 = 1 << 31;

impl Link {
    /// Where a damaged link leads: to a head that no list has.
    pub(super) const LOST: Self = Self(HEAD);

    #[expect(clippy::cast_possible_truncation, reason = "an offset in a page")]
    pub(super) const fn head(offset: u64) -> Self {
        Self(HEAD | offset as u32)
    }

    pub(super) const fn page(page: Page) -> Self {
        Self(page.get())
    }

    pub(super) const fn number(self) -> u32 {
        self.0
    }
}
