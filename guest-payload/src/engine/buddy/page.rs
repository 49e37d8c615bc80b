//! A managed page, and the block it heads.

use abi::addr::{Gpa, Order};
use abi::engine::map::{PAGE_BYTES, PAGE_TRUTH};

use super::MigrateType;
use crate::metal::Metal;

/// Offset in a page's bytes of the link to the next block of its free list.
pub(super) const NEXT: u64 = 0;
/// The same of the one before.
pub(super) const PREV: u64 = 4;
const STATE: u64 = 8;
const _: () = assert!(STATE + 4 <= PAGE_TRUTH && PAGE_TRUTH < PAGE_BYTES);

/// A managed page, by its number: see [`abi::engine::map::Map`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Page(u32);

impl Page {
    /// The page with this number.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The page `pages` further on.
    #[must_use]
    pub const fn offset(self, pages: u32) -> Self {
        Self(self.0.wrapping_add(pages))
    }

    /// The first page of the block that a block of `order` here merges with (Linux: `__find_buddy_pfn`).
    #[must_use]
    pub const fn buddy(self, order: Order) -> Self {
        Self(self.0 ^ 1 << order.get())
    }

    /// Where its bytes are, if those of page 0 are at `pages`.
    #[inline]
    pub(super) const fn bytes(self, pages: Gpa) -> Gpa {
        pages.offset(self.0 as u64 * PAGE_BYTES)
    }
}

/// So many pages, from one whose number is a multiple of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Block {
    /// The first page.
    pub page: Page,
    /// log2 of how many.
    pub order: Order,
}

/// The order above, up to the largest.
pub(super) const fn above(order: Order) -> Option<Order> {
    match Order::new(order.get() as u64 + 1) {
        Ok(order) => Some(order),
        Err(_) => None,
    }
}

/// The order below, down to a page.
pub(super) const fn below(order: Order) -> Option<Order> {
    match Order::new((order.get() as u64).wrapping_sub(1)) {
        Ok(order) => Some(order),
        Err(_) => None,
    }
}

/// An order and those above, ascending.
pub(super) fn from(order: Order) -> impl DoubleEndedIterator<Item = Order> {
    (order.get()..=Order::MAX.get()).filter_map(|order| Order::new(u64::from(order)).ok())
}

/// What a page is: 32 bits.
///
/// | bits | what |
/// |---|---|
/// | 0–3 | order |
/// | 4–5 | migrate type, of the list a free block is on |
/// | 6–7 | kind: inside a block, free, isolated, allocated |
/// | 8 | reported: the mark |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(u32);

const ORDER: u32 = 0xf;
const MIGRATE_SHIFT: u32 = 4;
const KIND: u32 = 3 << 6;
const FREE: u32 = 1 << 6;
const ISOLATED: u32 = 2 << 6;
const ALLOCATED: u32 = 3 << 6;
const REPORTED: u32 = 1 << 8;

impl State {
    /// Not the first page of a block.
    pub(super) const INSIDE: Self = Self(0);

    pub(super) const fn free(order: Order, migrate_type: MigrateType) -> Self {
        Self(FREE | order.get() as u32 | migrate_type.bits() << MIGRATE_SHIFT)
    }

    pub(super) const fn isolated(order: Order) -> Self {
        Self(ISOLATED | order.get() as u32)
    }

    pub(super) const fn allocated(order: Order) -> Self {
        Self(ALLOCATED | order.get() as u32)
    }

    /// The same with the mark, or without.
    pub(super) const fn marked(self, mark: bool) -> Self {
        Self(self.0 & !REPORTED | if mark { REPORTED } else { 0 })
    }

    pub(super) const fn is_marked(self) -> bool {
        self.0 & REPORTED != 0
    }

    pub(super) const fn is_isolated(self) -> bool {
        self.0 & KIND == ISOLATED
    }

    /// Whether it heads a free block of this order.
    pub(super) const fn is_free(self, order: Order) -> bool {
        self.0 & (KIND | ORDER) == FREE | order.get() as u32
    }

    /// The same apart from the mark.
    pub(super) const fn is(self, other: Self) -> bool {
        (self.0 ^ other.0) & !REPORTED == 0
    }

    /// What it heads, if anything.
    pub(super) fn block(self) -> Option<Heads> {
        let order = Order::new(u64::from(self.0 & ORDER)).ok()?;
        match self.0 & KIND {
            FREE => Some(Heads::Free(order, self.migrate_type())),
            ISOLATED => Some(Heads::Isolated(order)),
            ALLOCATED => Some(Heads::Allocated(order)),
            _ => None,
        }
    }

    pub(super) const fn migrate_type(self) -> MigrateType {
        MigrateType::from_bits(self.0 >> MIGRATE_SHIFT & 3)
    }

    #[inline]
    pub(super) fn load<M: Metal>(metal: &M, pages: Gpa, page: Page) -> Self {
        Self(metal.load32(page.bytes(pages).offset(STATE)))
    }

    #[inline]
    pub(super) fn store<M: Metal>(self, metal: &mut M, pages: Gpa, page: Page) {
        metal.store32(page.bytes(pages).offset(STATE), self.0);
    }
}

/// What the first page of a block heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heads {
    Free(Order, MigrateType),
    Isolated(Order),
    Allocated(Order),
}
