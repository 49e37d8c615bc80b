//! Where a zone keeps its lists and counts, in the page that [`abi::engine::map::Map::zone`] gives it.
//!
//! ```text
//!   + 0      links that lead nowhere          see [`super::Link`]
//!   + 8      free pages                       the host reads it too
//!   + 16     min watermark, low watermark     in pages
//!   + 32     head of the list of what is held
//!   + 64     the lock, alone in its line: who waits for it does not disturb who has it
//!   + 128    an area for each order, a line each: counts, heads of the lists, boundaries
//! ```

use abi::addr::{Gpa, Order, PAGE_SIZE};
use abi::engine::map::ZONE_FREE;

use super::{Link, MigrateType};

/// Pages of the largest block.
pub(super) const LARGEST: u64 = Order::MAX.pages();

const WATERMARK_MIN: u64 = 16;
const WATERMARK_LOW: u64 = 24;
const HELD: u64 = 32;
const LOCK: u64 = 64;
const AREAS: u64 = 128;
const AREAS_END: u64 = AREAS + (Order::MAX.get() as u64 + 1) * AREA;

const AREA: u64 = 64;
const NR_FREE: u64 = 0;
const NR_REPORTED: u64 = 8;
const HEADS: u64 = 16;
const TYPES: u64 = MigrateType::ALL.len() as u64;
const BOUNDARIES: u64 = HEADS + TYPES * 8;

const _: () = assert!(ZONE_FREE == 8, "between the links that lead nowhere and the watermarks");
const _: () = assert!(BOUNDARIES + TYPES * 4 <= AREA);
const _: () = assert!(AREAS_END <= PAGE_SIZE);

/// The page of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout(pub(super) Gpa);

impl Layout {
    pub(super) const fn free_pages(self) -> Gpa {
        self.0.offset(ZONE_FREE)
    }

    pub(super) const fn watermark_min(self) -> Gpa {
        self.0.offset(WATERMARK_MIN)
    }

    pub(super) const fn watermark_low(self) -> Gpa {
        self.0.offset(WATERMARK_LOW)
    }

    pub(super) const fn lock(self) -> Gpa {
        self.0.offset(LOCK)
    }

    pub(super) const fn nr_free(self, order: Order) -> Gpa {
        self.0.offset(area(order) + NR_FREE)
    }

    pub(super) const fn nr_reported(self, order: Order) -> Gpa {
        self.0.offset(area(order) + NR_REPORTED)
    }

    pub(super) const fn boundary(self, order: Order, migrate_type: MigrateType) -> Gpa {
        self.0.offset(area(order) + BOUNDARIES + migrate_type.bits() as u64 * 4)
    }
}

const fn area(order: Order) -> u64 {
    AREAS + order.get() as u64 * AREA
}

/// The head of a free list.
pub(super) const fn head(order: Order, migrate_type: MigrateType) -> Link {
    Link::head(area(order) + HEADS + migrate_type.bits() as u64 * 8)
}

/// The head of the list of what is held.
pub(super) const fn held() -> Link {
    Link::head(HELD)
}

/// Whether the head of a list is there.
pub(super) const fn has_head(offset: u64) -> bool {
    let within = offset % AREA;
    offset == HELD
        || AREAS <= offset
            && offset < AREAS_END
            && HEADS <= within
            && within < BOUNDARIES
            && within.is_multiple_of(8)
}
