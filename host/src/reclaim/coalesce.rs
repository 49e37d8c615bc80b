//! Merging what touches, so that one `madvise` does for many ranges. Pure.

use abi::addr::PageRange;

/// Sorts `ranges` and merges those that overlap or touch. Does not allocate.
pub fn coalesce(ranges: &mut Vec<PageRange>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| match kept.merged(*next) {
        Some(both) => {
            *kept = both;
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::{Order, Pfn};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pages(ranges: &[PageRange]) -> BTreeSet<Pfn> {
        ranges.iter().flat_map(|range| range.frames()).collect()
    }

    proptest! {
        #[test]
        fn the_pages_stay_the_same_and_nothing_touches(
            blocks in proptest::collection::vec((0_u64..300, 0_u64..4), 0..60)
        ) {
            let before: Vec<_> = blocks
                .into_iter()
                .map(|(start, order)| PageRange::block(Pfn(start), Order::new(order).unwrap()))
                .collect();
            let mut after = before.clone();
            coalesce(&mut after);
            prop_assert_eq!(pages(&before), pages(&after));
            for pair in after.windows(2) {
                prop_assert!(pair[0].end() < pair[1].start());
            }
        }
    }
}
