//! Pages that a guest has announced and not reported yet.

use abi::addr::PageRange;

/// Pages in a word.
const PAGES: u64 = u64::BITS as u64;

/// A bit a page of guest memory. Of one size from the beginning, whatever a guest announces.
#[derive(Debug)]
pub(super) struct Announced {
    bits: Vec<u64>,
}

impl Announced {
    /// None of these pages, which begin with frame 0.
    pub(super) fn of(memory: PageRange) -> Self {
        Self { bits: (0..memory.end().0.div_ceil(PAGES)).map(|_| 0).collect() }
    }

    /// Notes the pages of a range, all of which are memory.
    pub(super) fn note(&mut self, range: PageRange) {
        for (word, mask) in masks(range) {
            if let Some(bits) = self.bits.get_mut(word) {
                *bits |= mask;
            }
        }
    }

    /// Whether all pages of a range are noted.
    pub(super) fn has(&self, range: PageRange) -> bool {
        masks(range).all(|(word, mask)| self.bits.get(word).is_some_and(|bits| bits & mask == mask))
    }

    /// Forgets the pages of a range.
    pub(super) fn forget(&mut self, range: PageRange) {
        for (word, mask) in masks(range) {
            if let Some(bits) = self.bits.get_mut(word) {
                *bits &= !mask;
            }
        }
    }
}

/// The words that have pages of a range, and which bits of each.
fn masks(range: PageRange) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (range.start().0, range.end().0);
    (start / PAGES..end.div_ceil(PAGES)).map(move |word| {
        let first = start.saturating_sub(word * PAGES);
        let last = (end - word * PAGES).min(PAGES);
        let mask = u64::MAX >> (PAGES - (last - first)) << first;
        (usize::try_from(word).unwrap_or(usize::MAX), mask)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
    use proptest::prelude::*;

    use super::*;

    const MEMORY: u64 = 300;

    fn pages(first: u64, count: u64) -> PageRange {
        ByteRange { gpa: Gpa(first * PAGE_SIZE), len: count * PAGE_SIZE }.inward().unwrap()
    }

    #[test]
    fn what_is_not_memory_is_never_noted() {
        let mut announced = Announced::of(pages(0, MEMORY));
        let beyond = pages(MEMORY + 64, 1);
        announced.note(beyond);
        assert!(!announced.has(beyond));
        announced.forget(beyond);
    }

    proptest! {
        #[test]
        fn a_range_is_there_if_all_of_its_pages_were_noted_and_none_forgotten(
            acts in proptest::collection::vec((0..3, 0..MEMORY, 1_u64..140), 0..60)
        ) {
            let (mut announced, mut model) = (Announced::of(pages(0, MEMORY)), BTreeSet::new());
            for (act, first, count) in acts {
                let range = pages(first, count.min(MEMORY - first));
                match act {
                    0 => {
                        announced.forget(range);
                        model.retain(|frame| !(range.start()..range.end()).contains(frame));
                    }
                    _ => {
                        announced.note(range);
                        model.extend(range.frames());
                    }
                }
                for first in 0..MEMORY {
                    let looked = pages(first, count.min(MEMORY - first));
                    let expected = looked.frames().all(|frame| model.contains(&frame));
                    prop_assert_eq!(announced.has(looked), expected, "{:?}", looked);
                }
            }
        }
    }
}
