//! A set of pages, a bit each.

use abi::addr::{PageRange, Pfn};

const BITS: u64 = 64;

/// Some of the pages below an end.
#[derive(Debug)]
pub(super) struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    /// None of the pages below `end`.
    pub(super) fn below(end: Pfn) -> Self {
        Self { words: (0..end.0.div_ceil(BITS)).map(|_| 0).collect() }
    }

    /// Adds pages, all of them below the end.
    pub(super) fn insert(&mut self, range: PageRange) {
        for (at, mask) in masks(range) {
            self.words[at] |= mask;
        }
    }

    /// Removes pages, all of them below the end; how many of them there were.
    pub(super) fn remove(&mut self, range: PageRange) -> u64 {
        let mut removed = 0;
        for (at, mask) in masks(range) {
            removed += u64::from((self.words[at] & mask).count_ones());
            self.words[at] &= !mask;
        }
        removed
    }

    /// Removes pages, and gives those there were as runs, from the first on.
    pub(super) fn take(&mut self, range: PageRange, mut run: impl FnMut(Pfn, u64)) {
        let (mut start, mut pages) = (range.start(), 0);
        for (at, mask) in masks(range) {
            let mut bits = self.words[at] & mask;
            self.words[at] &= !mask;
            while bits != 0 {
                let first = bits.trailing_zeros();
                let length = (bits >> first).trailing_ones();
                bits &= !(ones(length) << first);
                let found = Pfn(at as u64 * BITS + u64::from(first));
                // A run may go on in the next word.
                if start.0 + pages != found.0 {
                    if pages > 0 {
                        run(start, pages);
                    }
                    (start, pages) = (found, 0);
                }
                pages += u64::from(length);
            }
        }
        if pages > 0 {
            run(start, pages);
        }
    }
}

/// So many ones, from 1 to 64, at the bottom of a word.
const fn ones(count: u32) -> u64 {
    u64::MAX >> (u64::BITS - count)
}

/// The words of a range, and its bits in each.
fn masks(range: PageRange) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (range.start().0, range.end().0);
    (start / BITS..=(end - 1) / BITS).map(move |word| {
        let (low, high) = (start.max(word * BITS), end.min((word + 1) * BITS));
        // Both are below 65, and the word is one of a vector.
        let count = u32::try_from(high - low).unwrap_or(u64::BITS);
        (usize::try_from(word).unwrap_or(usize::MAX), ones(count) << (low % BITS))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use abi::addr::ByteRange;
    use proptest::prelude::*;

    use super::*;

    fn range((start, pages): (u64, u64)) -> PageRange {
        ByteRange::of_pages(Pfn(start).gpa(), pages).unwrap().inward().unwrap()
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0..3, (0..300_u64, 1..200_u64)), 1..40)) {
            let (mut set, mut model) = (PageSet::below(Pfn(500)), BTreeSet::new());
            for (what, named) in steps {
                let range = range(named);
                match what {
                    0 => {
                        set.insert(range);
                        model.extend(range.frames());
                    }
                    1 => {
                        let removed = range.frames().filter(|pfn| model.remove(pfn)).count();
                        prop_assert_eq!(set.remove(range), removed as u64);
                    }
                    _ => {
                        let mut taken = Vec::new();
                        let mut end = None;
                        set.take(range, |start, pages| {
                            assert_ne!(end.replace(start.0 + pages), Some(start.0), "a run goes as far as it can");
                            taken.extend((start.0..start.0 + pages).map(Pfn));
                        });
                        let expected: Vec<_> = range.frames().filter(|pfn| model.remove(pfn)).collect();
                        prop_assert_eq!(taken, expected);
                    }
                }
            }
        }
    }
}
