//! What reports named, page by page, held against what the kernel still has.
//!
//! A guest may name a page more than once, and may take one back as soon as it is answered. So what is told, with
//! repetition, is compared with nothing: the pages that reports named are a set, and each of them is gone, or there. One
//! that is there was there already when its last report was answered, which is the host's doing, or it was gone by then
//! and its guest has touched it again. Where nobody looked at each answer it is not said which.

use abi::addr::PageRange;

/// The most ranges that are noted: more than an hour of reports.
const RANGES_MOST: usize = 1 << 20;
/// The shares of what was given back, in hundredths, whose times are kept.
pub const SHARES: [u64; 3] = [50, 90, 100];

/// A report as the host answered it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// When its pages had been discarded, in ticks of the host's clock.
    pub at: u64,
    /// What it named.
    pub ranges: Vec<PageRange>,
}

/// What became of the pages that reports named, from one mark to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Pages, with repetition.
    pub told_pages: u64,
    /// Different ones.
    pub distinct_pages: u64,
    /// Of these, not resident at the end.
    pub gone_pages: u64,
    /// Of these, resident at the end and when their last report was answered: nothing was given back. `None` where nobody
    /// looked.
    pub stayed_pages: Option<u64>,
    /// Of these, gone when their last report was answered, and resident at the end: the guest has touched them again.
    pub touched_pages: Option<u64>,
    /// Ticks from the first mark until so much of what was given back had been, for each of [`SHARES`]; what was given
    /// back are the different pages that were discarded. `None` where nothing was.
    pub until: [Option<u64>; 3],
}

/// Every report, in the order in which they were answered.
#[derive(Debug, Default)]
pub(super) struct Book {
    told: Vec<Told>,
    ranges: usize,
    is_full: bool,
    /// Pages that were still resident when the last report that named them was answered, where that is looked at.
    stayed: Option<Vec<bool>>,
}

impl Book {
    /// Of memory of so many pages. Whoever `looks` says of each report what was still there.
    pub(super) fn new(pages: usize, looks: bool) -> Self {
        Self { stayed: looks.then(|| vec![false; pages]), ..Self::default() }
    }

    /// A report was made and its pages discarded; `held` says of each page of memory whether it is resident now.
    pub(super) fn note(&mut self, at: u64, ranges: &[PageRange], held: Option<&[bool]>) {
        if self.ranges + ranges.len() > RANGES_MOST {
            self.is_full = true;
            return;
        }
        self.ranges += ranges.len();
        if let (Some(stayed), Some(held)) = (&mut self.stayed, held) {
            for page in ranges.iter().flat_map(pages) {
                stayed[page] = held[page];
            }
        }
        self.told.push(Told { at, ranges: ranges.to_vec() });
    }

    /// Every report since the first instruction.
    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    /// What became of the pages that were named since `begin`, of which those are resident now that `held` says; `frees`
    /// is whether the discard is one that gives pages back. `None` if there were more reports than are noted.
    pub(super) fn account(&self, begin: u64, frees: bool, held: &[bool]) -> Option<Account> {
        if self.is_full {
            return None;
        }
        let since = &self.told[self.told.partition_point(|told| told.at < begin)..];
        let stayed = |page: usize| self.stayed.as_ref().map(|stayed| stayed[page]);
        let mut named = vec![false; held.len()];
        let (mut account, mut given_back) = (Account::default(), Vec::new());
        let (mut stayed_pages, mut touched_pages, mut back) = (0, 0, 0);
        for told in since {
            for page in told.ranges.iter().flat_map(pages) {
                account.told_pages += 1;
                if std::mem::replace(&mut named[page], true) {
                    continue;
                }
                account.distinct_pages += 1;
                account.gone_pages += u64::from(!held[page]);
                let has_stayed = stayed(page).unwrap_or(!frees);
                back += u64::from(!has_stayed);
                stayed_pages += u64::from(held[page] && has_stayed);
                touched_pages += u64::from(held[page] && !has_stayed);
            }
            given_back.push((told.at - begin, back));
        }
        if self.stayed.is_some() {
            (account.stayed_pages, account.touched_pages) = (Some(stayed_pages), Some(touched_pages));
        }
        let reached = |share: u64| {
            let enough = given_back.iter().find(|(_, pages)| pages * 100 >= back * share)?;
            (back > 0).then_some(enough.0)
        };
        account.until = SHARES.map(reached);
        Some(account)
    }
}

/// The numbers of the pages of a range. All of it is guest memory, which begins at page 0.
fn pages(range: &PageRange) -> impl Iterator<Item = usize> + use<> {
    let index = |pfn: u64| usize::try_from(pfn).unwrap_or(usize::MAX);
    index(range.start().0)..index(range.end().0)
}

#[cfg(test)]
mod tests {
    use abi::addr::{Order, Pfn};

    use super::*;

    fn block(pfn: u64) -> PageRange {
        PageRange::block(Pfn(pfn), Order::new(2).unwrap())
    }

    /// Memory of 64 pages of which all are resident but these.
    fn without(gone: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut held = vec![true; 64];
        gone.into_iter().for_each(|page| held[page] = false);
        held
    }

    #[test]
    fn a_page_that_is_told_twice_is_one_page() {
        let mut book = Book::new(64, true);
        book.note(90, &[block(60)], Some(&without(60..64)));
        book.note(110, &[block(0), block(4)], Some(&without((0..8).chain(60..64))));
        book.note(130, &[block(4)], Some(&without((0..8).chain(60..64))));
        let account = book.account(100, true, &without((0..8).chain(60..64))).unwrap();
        let expected = Account {
            told_pages: 12,
            distinct_pages: 8,
            gone_pages: 8,
            stayed_pages: Some(0),
            touched_pages: Some(0),
            until: [Some(10); 3],
        };
        assert_eq!(account, expected, "what came before the mark is not of it");
        assert_eq!(book.told().len(), 3);
    }

    #[test]
    fn a_page_that_is_there_has_stayed_or_was_touched_again() {
        let mut book = Book::new(64, true);
        // The first block is gone when it is answered; of the second, half is not.
        book.note(10, &[block(0), block(4)], Some(&without(0..6)));
        let held = without(1..6);
        let account = book.account(0, true, &held).unwrap();
        assert_eq!((account.distinct_pages, account.gone_pages), (8, 5));
        assert_eq!((account.stayed_pages, account.touched_pages), (Some(2), Some(1)));
        // Told once more, and gone that time.
        book.note(20, &[block(4)], Some(&without(0..8)));
        let account = book.account(0, true, &without(0..8)).unwrap();
        assert_eq!((account.gone_pages, account.stayed_pages, account.touched_pages), (8, Some(0), Some(0)));
    }

    #[test]
    fn where_nobody_looks_it_is_not_said_why_a_page_is_there() {
        let mut book = Book::new(64, false);
        book.note(10, &[block(0)], None);
        let account = book.account(0, true, &without(0..2)).unwrap();
        assert_eq!((account.distinct_pages, account.gone_pages), (4, 2));
        assert_eq!((account.stayed_pages, account.touched_pages), (None, None));
        assert_eq!(account.until, [Some(10); 3]);
        let kept = book.account(0, false, &without([])).unwrap();
        assert_eq!(kept.until, [None; 3], "nothing is discarded");
    }

    #[test]
    fn shares_are_of_what_was_given_back() {
        let mut book = Book::new(64, false);
        for (at, pfn) in [(10, 0), (20, 4), (30, 8), (40, 8), (50, 12)] {
            book.note(at, &[block(pfn)], None);
        }
        let account = book.account(5, true, &without(0..16)).unwrap();
        assert_eq!(account.until, [Some(15), Some(45), Some(45)]);
    }

    #[test]
    fn more_reports_than_can_be_noted_are_no_account() {
        let mut book = Book::new(64, false);
        book.note(1, &vec![block(0); RANGES_MOST], None);
        assert!(book.account(0, true, &without([])).is_some());
        book.note(2, &[block(0)], None);
        assert_eq!(book.account(0, true, &without([])), None);
    }
}
