//! A log of states arrives in a page that the call points to.

use std::sync::Arc;

use abi::addr::{ByteRange, PageRange};
use abi::calls::{Answer, Operation};
use abi::wire::log::{self, State};

use super::page::{ENTRIES_BYTES, copy};
use super::page_set::PageSet;
use super::{Fetched, Transport, done};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Takes what a log says in the end, page by page: what it says of a page last.
#[derive(Debug)]
pub(crate) struct Log {
    ram: Arc<GuestRam>,
    entries: Box<[u8; ENTRIES_BYTES]>,
    /// What it says that may be looked at, in its order.
    said: Vec<(PageRange, State)>,
    /// Pages that are unused as far as it was read; none between two logs.
    unused: PageSet,
    /// Pages that it first said were unused, and then that they are not.
    spared: u64,
    error: Option<Answer>,
}

impl Log {
    pub(crate) fn new(ram: Arc<GuestRam>) -> Self {
        Self {
            entries: Box::new([0; ENTRIES_BYTES]),
            said: Vec::with_capacity(log::LENGTH),
            unused: PageSet::below(ram.whole().end()),
            spared: 0,
            error: None,
            ram,
        }
    }

    /// Copies a log and refuses what must be, or says what is wrong with the call.
    fn read(&mut self, request: &Request, batch: &mut Batch) -> Result<(), Answer> {
        let Some(Operation::Log { count }) = Operation::from_word(request.word) else {
            return Err(Answer::NoSuchCall);
        };
        self.said.clear();
        for entry in copy(&self.ram, &mut self.entries, request.gpa, count)? {
            match log::parse(entry) {
                Ok((named, state)) => {
                    self.said.extend(batch.allowed(named, &self.ram).map(|range| (range, state)));
                }
                Err(_) => batch.refused.wraps += 1,
            }
        }
        Ok(())
    }

    /// Takes every page once that is unused in the end, where it was first said to be.
    fn settle(&mut self, batch: &mut Batch) {
        for (range, state) in &self.said {
            match state {
                State::Unused => self.unused.insert(*range),
                State::Stable => self.spared += self.unused.remove(*range),
            }
        }
        for (range, state) in &self.said {
            if *state == State::Unused {
                self.unused.take(*range, |start, pages| {
                    // They are part of a range that was allowed.
                    batch.push(ByteRange { gpa: start.gpa(), len: abi::addr::bytes_of(pages) }, &self.ram);
                });
            }
        }
    }
}

impl Transport for Log {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.error = self.read(request, batch).err();
        match self.error {
            Some(_) => batch.refused.bad_call += 1,
            None => self.settle(batch),
        }
        Ok(Fetched::Call)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        Ok(self.error.unwrap_or_else(|| done(batch)))
    }

    fn spared(&self) -> u64 {
        self.spared
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::{Gpa, PAGE_SIZE, Pfn};
    use abi::layout::BATCH;
    use abi::wire::page;

    use super::*;
    use State::{Stable, Unused};

    /// What is taken of a log, and how many pages are spared.
    fn taken(said: &[(u64, u64, State)]) -> (Vec<(u64, u64)>, u64) {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        let entry = |&(start, pages, state): &(u64, u64, State)| {
            let range = ByteRange::of_pages(Pfn(start).gpa(), pages).unwrap();
            log::entry(range.inward().unwrap(), state)
        };
        let entries: Vec<_> = said.iter().map(entry).collect();
        ram.write_words(BATCH.offset(page::ENTRIES), &entries).unwrap();
        let mut log = Log::new(Arc::clone(&ram));
        let count = u16::try_from(said.len()).unwrap();
        let request = Request { word: Operation::Log { count }.word(), gpa: BATCH.0, pages: 1 };
        let mut found = Vec::new();
        // Twice: nothing of a log is left for the next.
        for _ in 0..2 {
            let mut batch = Batch::default();
            assert_eq!(log.fetch(&request, &mut batch).unwrap(), Fetched::Call);
            assert_eq!(log.complete(&batch).unwrap(), Answer::Done { refused: 0 });
            found.push(batch.ranges().iter().map(|range| (range.start().0, range.pages())).collect());
        }
        assert_eq!(found[0], found[1]);
        (found.swap_remove(0), log.spared() / 2)
    }

    #[test]
    fn what_counts_is_the_last_word_on_a_page() {
        for (said, left, spared) in [
            (&[(300, 1, Unused), (301, 1, Unused)][..], &[(300, 1), (301, 1)][..], 0),
            (&[(300, 1, Unused), (300, 1, Stable)], &[], 1),
            (&[(300, 1, Stable), (300, 1, Unused)], &[(300, 1)], 0),
            (&[(300, 1, Unused), (300, 1, Stable), (300, 1, Unused)], &[(300, 1)], 1),
            (&[(300, 1, Unused), (300, 1, Unused)], &[(300, 1)], 0),
            (&[(300, 8, Unused), (302, 2, Stable)], &[(300, 2), (304, 4)], 2),
            (&[(300, 8, Unused), (304, 8, Unused)], &[(300, 8), (308, 4)], 0),
            (&[(100, 500, Unused), (0, 1000, Stable)], &[], 500),
            (&[(500, 1, Stable)], &[], 0),
        ] {
            assert_eq!(taken(said), (left.to_vec(), spared), "{said:?}");
        }
    }

    #[test]
    fn what_is_no_memory_is_refused_by_itself() {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        let entries = [0x3ff << 12 | 2, 0x400 << 12 | 1 << 11 | 1, u64::MAX, 7 << 12, 0x20 << 12 | 1];
        ram.write_words(BATCH.offset(page::ENTRIES), &entries).unwrap();
        let mut log = Log::new(ram);
        let mut batch = Batch::default();
        let request = Request { word: Operation::Log { count: 5 }.word(), gpa: BATCH.0, pages: 1 };
        log.fetch(&request, &mut batch).unwrap();
        let refused = batch.refused;
        assert_eq!((refused.outside, refused.wraps, refused.empty), (2, 1, 1));
        assert_eq!(
            batch.ranges(),
            [ByteRange { gpa: Gpa(0x20 * PAGE_SIZE), len: PAGE_SIZE }.inward().unwrap()]
        );
        assert_eq!(log.complete(&batch).unwrap(), Answer::Done { refused: 4 });
    }
}
