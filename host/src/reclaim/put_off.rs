//! Discards that are put off: pages that were reported are remembered until the host wants memory, and discarded then instead
//! of swapped, as s390's host does with pages that its guest has set *unused* (ESSA).
//!
//! There the guest says of each page when it uses it again, and the host looks at what it has said before it takes the page.
//! Here it says so in its ledger ([`abi::timed::ledger`]): what is not in it any more was taken back, and is forgotten. Between
//! that look and the discard the guest must not go on, so that memory is wanted only while its processor stands.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, PageRange, Pfn};
use abi::layout::{ARENA_MAX_PAGES, ARENA_START};
use abi::timed::ledger::{Bit, reported};

use crate::axes::Discard;
use crate::fault::{Fault, Planted};
use crate::memory::{Discarder, GuestRam};

/// What became of pages that were put off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PutOffCounts {
    /// Pages that were remembered, and were not already.
    pub remembered: u64,
    /// Of these, discarded when memory was wanted.
    pub discarded: u64,
    /// Of these, such as the guest had taken back by then.
    pub taken_back: u64,
    /// Times memory was wanted.
    pub wanted: u64,
    /// Discards made then.
    pub calls: u64,
    /// Discards that failed.
    pub failures: u64,
    /// How long they took.
    pub took: Duration,
}

/// The pages that are remembered: a bit each.
#[derive(Debug)]
struct PutOff {
    pages: Vec<u64>,
    discarder: Discarder,
    planted: Planted,
    counts: PutOffCounts,
}

/// The same, for whoever serves reports and whoever wants memory.
#[derive(Clone, Debug)]
pub(crate) struct SharedPutOff(Arc<Mutex<PutOff>>);

impl SharedPutOff {
    /// Nothing is remembered.
    pub(crate) fn new(ram: &Arc<GuestRam>, planted: Planted) -> Self {
        let words = usize::try_from(ram.whole().pages().div_ceil(u64::BITS.into())).unwrap_or_default();
        let discarder = Discarder::new(Arc::clone(ram), Discard::DontNeed);
        Self(Arc::new(Mutex::new(PutOff {
            pages: vec![0; words],
            discarder,
            planted,
            counts: PutOffCounts::default(),
        })))
    }

    /// Remembers the pages of a report.
    pub(crate) fn remember(&self, ranges: &[PageRange]) {
        let mut put_off = self.lock();
        for page in ranges.iter().flat_map(|range| range.frames()) {
            put_off.remember(page);
        }
    }

    /// Discards what the guest has not taken back, and forgets the rest. The guest stands.
    pub(crate) fn discard_all(&self, ram: &GuestRam) {
        let mut put_off = self.lock();
        let forgets = put_off.planted.is(Fault::ForgetLedger);
        put_off.discard_all(|page| forgets || is_reported(ram, page));
    }

    /// What became of them so far.
    pub(crate) fn counts(&self) -> PutOffCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, PutOff> {
        // A panic elsewhere leaves bits and counts as they were.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PutOff {
    fn remember(&mut self, page: Pfn) {
        let Some(word) = usize::try_from(page.0 / 64).ok().and_then(|at| self.pages.get_mut(at)) else {
            return;
        };
        let bit = 1 << (page.0 % 64);
        self.counts.remembered += u64::from(*word & bit == 0);
        *word |= bit;
    }

    fn discard_all(&mut self, is_free: impl Fn(Pfn) -> bool) {
        let began = Instant::now();
        self.counts.wanted += 1;
        // Pages that lie side by side, from which on so many.
        let mut run: Option<(Pfn, u64)> = None;
        for at in 0..self.pages.len() {
            let mut bits = std::mem::take(&mut self.pages[at]);
            while bits != 0 {
                let page = Pfn(at as u64 * 64 + u64::from(bits.trailing_zeros()));
                bits &= bits - 1;
                if !is_free(page) {
                    self.counts.taken_back += 1;
                    continue;
                }
                run = match run {
                    Some((first, pages)) if first.0 + pages == page.0 => Some((first, pages + 1)),
                    before => {
                        self.discard(before);
                        Some((page, 1))
                    }
                };
            }
        }
        self.discard(run);
        self.counts.took += began.elapsed();
    }

    fn discard(&mut self, run: Option<(Pfn, u64)>) {
        let Some((first, pages)) = run else { return };
        self.counts.calls += 1;
        let range = ByteRange::of_pages(Gpa(first.0 * PAGE_SIZE), pages).and_then(ByteRange::inward);
        let discarded = range.map_err(|_| io::ErrorKind::InvalidInput.into());
        match discarded.and_then(|range| self.discarder.discard(range)) {
            Ok(()) => self.counts.discarded += pages,
            Err(_) => self.counts.failures += 1,
        }
    }
}

/// Whether a page is in the guest's ledger: a page that can be in none is not, and is never discarded.
fn is_reported(ram: &GuestRam, page: Pfn) -> bool {
    let is_in_arena = (ARENA_START.0..ARENA_START.0 + ARENA_MAX_PAGES).contains(&page.0);
    is_in_arena && {
        let Bit { word, mask } = reported(page);
        ram.read(word).is_ok_and(|bits| bits & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::Order;
    use abi::layout::ARENA;

    #[test]
    fn what_was_taken_back_is_forgotten_and_the_rest_is_discarded_when_memory_is_wanted() {
        let ram = Arc::new(GuestRam::new(ARENA.0 + (4 << 20)).unwrap());
        let put_off = SharedPutOff::new(&ram, Planted::NONE);
        let page = |index: u64| Pfn(ARENA_START.0 + index);
        let in_ledger = |index, is: bool| {
            let Bit { word, mask } = reported(page(index));
            let bits = ram.read(word).unwrap();
            ram.write(word, if is { bits | mask } else { bits & !mask }).unwrap();
        };
        for index in [60, 61, 62, 63, 64, 65, 100] {
            ram.write(page(index).gpa(), 1).unwrap();
            put_off.remember(&[PageRange::block(page(index), Order::PAGE)]);
            in_ledger(index, true);
        }
        put_off.remember(&[PageRange::block(page(100), Order::PAGE), PageRange::block(Pfn(0), Order::PAGE)]);
        in_ledger(62, false);
        put_off.discard_all(&ram);
        let counts = put_off.counts();
        let expected = PutOffCounts {
            remembered: 8,
            discarded: 6,
            taken_back: 2,
            wanted: 1,
            calls: 3,
            ..PutOffCounts::default()
        };
        assert_eq!(PutOffCounts { took: Duration::ZERO, ..counts }, expected, "runs across words are one");
        let left = |index| ram.read(page(index).gpa()).unwrap();
        assert_eq!([60, 61, 62, 63, 64, 65, 100].map(left), [0, 0, 1, 0, 0, 0, 0]);
        put_off.discard_all(&ram);
        assert_eq!(put_off.counts().discarded, 6, "nothing is discarded twice");
    }
}
