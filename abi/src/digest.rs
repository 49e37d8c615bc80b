//! How both sides fingerprint the pages they named or discarded.
//!
//! The fingerprint of a range is `mix(end) - mix(start)`, and that of many ranges is the wrapping sum. Merging
//! neighbours, splitting ranges, changing their order or spreading them over calls leaves it unchanged, so a
//! guest that counts blocks and a host that counts merged ranges agree exactly if they mean the same pages.
//! It costs two multiplications a range, whatever the range's size.

use crate::addr::{PageRange, Pfn};

/// A mixing function of 64 bits: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Fingerprint of a growing multiset of pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Digest {
    /// The sum described in the module's documentation.
    pub sum: u64,
    /// Pages added, with repetition.
    pub pages: u64,
}

impl Digest {
    /// Adds the pages of a range.
    pub const fn add(&mut self, range: PageRange) {
        self.sum = self.sum.wrapping_add(edge(range.end())).wrapping_sub(edge(range.start()));
        self.pages = self.pages.wrapping_add(range.pages());
    }
}

/// Frame numbers are small and regular; the offset keeps frame 0 from mixing to 0.
const fn edge(pfn: Pfn) -> u64 {
    mix(pfn.0.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Order;
    use proptest::prelude::*;

    fn digest(ranges: &[PageRange]) -> Digest {
        let mut digest = Digest::default();
        ranges.iter().for_each(|range| digest.add(*range));
        digest
    }

    fn page(pfn: u64) -> PageRange {
        PageRange::block(Pfn(pfn), Order::PAGE)
    }

    proptest! {
        #[test]
        fn merging_and_order_do_not_show(start in 0_u64..1 << 40, order in 0_u64..=10) {
            let whole = PageRange::block(Pfn(start), Order::new(order).unwrap());
            let mut sum = Digest::default();
            for pfn in (whole.start().0..whole.end().0).rev() {
                sum.add(page(pfn));
            }
            prop_assert_eq!(sum, digest(&[whole]));
        }
    }

    #[test]
    fn a_page_more_shows() {
        assert_ne!(digest(&[page(5)]), digest(&[page(5), page(6)]));
        assert_ne!(digest(&[page(5)]).sum, digest(&[page(6)]).sum);
    }
}
