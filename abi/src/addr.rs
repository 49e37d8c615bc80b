//! Addresses, frames, orders and ranges.
//!
//! This is the only file that converts between bytes and pages. A [`ByteRange`] is what somebody *named*
//! (it may be any two numbers); a [`PageRange`] is what may be *discarded* (whole pages, at least one, no
//! wrap-around). The only way from the first to the second is [`ByteRange::inward`].

use core::fmt;

/// log2 of [`PAGE_SIZE`].
const PAGE_SHIFT: u32 = 12;

/// Size of a base page, in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// A guest physical address, in bytes. Not dereferenceable on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Gpa(pub u64);

impl Gpa {
    /// The frame this address lies in.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }

    /// The address `bytes` further on. Wraps, as address arithmetic in hardware does.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Whether this is the first byte of a page.
    #[must_use]
    pub const fn is_page_aligned(self) -> bool {
        self.0.is_multiple_of(PAGE_SIZE)
    }
}

impl fmt::Debug for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpa({:#x})", self.0)
    }
}

impl fmt::Display for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A guest page frame number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Pfn(pub u64);

impl Pfn {
    /// Address of the frame's first byte. A frame number above 2^52 has none; its top bits are lost, so take
    /// such numbers through [`ByteRange::of_pages`] instead.
    #[must_use]
    pub const fn gpa(self) -> Gpa {
        Gpa(self.0 << PAGE_SHIFT)
    }
}

impl fmt::Debug for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{:x}", self.0)
    }
}

/// log2 of a block's size in pages: 0 is one page (4 KiB), 9 is a huge page (2 MiB), 10 the largest block a
/// Linux guest keeps on a free list (4 MiB).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// The largest order (Linux: `MAX_PAGE_ORDER`).
    pub const MAX: Self = Self(10);
    /// The order of a page.
    pub const PAGE: Self = Self(0);
    /// The order of a 2 MiB huge page.
    pub const HUGE: Self = Self(9);

    /// An order, if it is one.
    ///
    /// # Errors
    /// [`OrderError`] above [`Order::MAX`].
    pub const fn new(order: u64) -> Result<Self, OrderError> {
        if order <= Self::MAX.0 as u64 {
            #[expect(clippy::cast_possible_truncation, reason = "at most 10")]
            Ok(Self(order as u8))
        } else {
            Err(OrderError { order })
        }
    }

    /// The exponent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Pages in a block of this order.
    #[must_use]
    pub const fn pages(self) -> u64 {
        1 << self.0
    }

    /// Bytes in a block of this order.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.pages() * PAGE_SIZE
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An order above [`Order::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderError {
    /// The number that is no order.
    pub order: u64,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {} is above the maximum of {}", self.order, Order::MAX)
    }
}

impl core::error::Error for OrderError {}

/// A range somebody named, in bytes. May be empty, unaligned, or run past the end of the address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByteRange {
    /// First byte.
    pub gpa: Gpa,
    /// Length in bytes.
    pub len: u64,
}

impl ByteRange {
    /// `pages` pages from `gpa` on, as a call names them.
    ///
    /// # Errors
    /// [`RangeError::Wraps`] if that many pages have no length in bytes.
    pub const fn of_pages(gpa: Gpa, pages: u64) -> Result<Self, RangeError> {
        match pages.checked_mul(PAGE_SIZE) {
            Some(len) => Ok(Self { gpa, len }),
            None => Err(RangeError::Wraps),
        }
    }

    /// The whole pages inside this range: the start is rounded up, the end down, so that no byte outside the
    /// named ones is ever included. `madvise` itself rounds the length *up*; that is the bug this prevents.
    ///
    /// # Errors
    /// [`RangeError::Wraps`] if the range runs past the end of the address space, [`RangeError::Empty`] if it
    /// holds no whole page.
    pub const fn inward(self) -> Result<PageRange, RangeError> {
        let Some(end) = self.gpa.0.checked_add(self.len) else {
            return Err(RangeError::Wraps);
        };
        let start = self.gpa.0.div_ceil(PAGE_SIZE);
        let end = end / PAGE_SIZE;
        if end <= start {
            return Err(RangeError::Empty);
        }
        Ok(PageRange { start: Pfn(start), pages: end - start })
    }
}

/// Why a [`ByteRange`] is not a [`PageRange`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeError {
    /// No whole page lies inside it.
    Empty,
    /// Its end is beyond the address space.
    Wraps,
}

/// Whole pages: at least one, and none beyond the address space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageRange {
    start: Pfn,
    pages: u64,
}

impl PageRange {
    /// The block of `order` that starts at frame `start`.
    #[must_use]
    pub const fn block(start: Pfn, order: Order) -> Self {
        Self { start, pages: order.pages() }
    }

    /// First frame.
    #[must_use]
    pub const fn start(self) -> Pfn {
        self.start
    }

    /// The frame after the last.
    #[must_use]
    pub const fn end(self) -> Pfn {
        Pfn(self.start.0 + self.pages)
    }

    /// Number of pages, at least one.
    #[must_use]
    pub const fn pages(self) -> u64 {
        self.pages
    }

    /// Number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.pages * PAGE_SIZE
    }

    /// First address.
    #[must_use]
    pub const fn gpa(self) -> Gpa {
        self.start.gpa()
    }

    /// The same bytes, as somebody would name them.
    #[must_use]
    pub const fn as_bytes(self) -> ByteRange {
        ByteRange { gpa: self.gpa(), len: self.bytes() }
    }

    /// Whether `pfn` is in the range.
    #[must_use]
    pub const fn contains(self, pfn: Pfn) -> bool {
        pfn.0 >= self.start.0 && pfn.0 < self.end().0
    }

    /// Every frame of the range, in order.
    pub fn frames(self) -> impl Iterator<Item = Pfn> {
        (self.start.0..self.end().0).map(Pfn)
    }

    /// The union of two ranges that overlap or touch, else `None`.
    #[must_use]
    pub const fn merged(self, other: Self) -> Option<Self> {
        if self.end().0 < other.start.0 || other.end().0 < self.start.0 {
            return None;
        }
        let start = if self.start.0 < other.start.0 { self.start } else { other.start };
        let end = if self.end().0 > other.end().0 { self.end() } else { other.end() };
        Some(Self { start, pages: end.0 - start.0 })
    }
}

impl fmt::Debug for PageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}..{:?}", self.start, self.end())
    }
}

/// Pages needed to hold `bytes`.
#[must_use]
pub const fn pages_for(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE)
}

/// Bytes in `pages` pages.
#[must_use]
pub const fn bytes_of(pages: u64) -> u64 {
    pages * PAGE_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(gpa: u64, len: u64) -> ByteRange {
        ByteRange { gpa: Gpa(gpa), len }
    }

    #[test]
    fn rounds_inward_never_outward() {
        let range = bytes(0x1100, 0x3000).inward().unwrap();
        assert_eq!((range.start(), range.pages()), (Pfn(2), 2));
        assert_eq!(bytes(0x1000, 0x1fff).inward().unwrap().pages(), 1);
        assert_eq!(bytes(0x1001, 0x1ffe).inward(), Err(RangeError::Empty));
        assert_eq!(bytes(0x1000, 0).inward(), Err(RangeError::Empty));
    }

    #[test]
    fn wrap_around_is_an_error() {
        assert_eq!(bytes(u64::MAX - 0xfff, 0x1000).inward(), Err(RangeError::Wraps));
        assert_eq!(ByteRange::of_pages(Gpa(0), 1 << 52), Err(RangeError::Wraps));
    }

    #[test]
    fn orders_end_at_ten() {
        assert_eq!(Order::new(10).unwrap().bytes(), 4 << 20);
        assert_eq!(Order::new(11), Err(OrderError { order: 11 }));
    }

    proptest! {
        #[test]
        fn inward_stays_inside(gpa: u64, len: u64) {
            if let Ok(range) = bytes(gpa, len).inward() {
                prop_assert!(range.pages() > 0);
                prop_assert!(range.gpa().0 >= gpa);
                prop_assert!(range.gpa().0 + (range.bytes() - 1) <= gpa + (len - 1));
            }
        }

        #[test]
        fn inward_misses_no_whole_page(start in 0_u64..1 << 40, pages in 1_u64..64, before in 0..PAGE_SIZE, after in 0..PAGE_SIZE) {
            let named = bytes((start + 1) * PAGE_SIZE - before, pages * PAGE_SIZE + before + after);
            let range = named.inward().unwrap();
            prop_assert_eq!((range.start().0, range.pages()), (start + 1, pages));
        }

        #[test]
        fn merged_holds_both(a in 0_u64..100, n in 1_u64..20, b in 0_u64..100, m in 1_u64..20) {
            let (x, y) = (PageRange { start: Pfn(a), pages: n }, PageRange { start: Pfn(b), pages: m });
            match x.merged(y) {
                Some(union) => for pfn in (0..130).map(Pfn) {
                    prop_assert_eq!(union.contains(pfn), x.contains(pfn) || y.contains(pfn));
                },
                None => prop_assert!(x.end() < y.start() || y.end() < x.start()),
            }
        }
    }
}
