//! What is done with the ranges of a call, whichever way they came.

use std::io;
use std::sync::Arc;

use abi::addr::{ByteRange, PageRange, RangeError};
use abi::digest::Digest;
use abi::wire::virtio::balloon::QUEUE_MAX;

use crate::axes::{Coalesce, Discard};
use crate::fault::{Fault, Planted};
use crate::memory::{Discarder, GuestRam};

mod coalesce;
mod put_off;
mod refused;

pub use coalesce::coalesce;
pub use put_off::PutOffCounts;
pub use refused::Refused;

pub(crate) use put_off::SharedPutOff;

/// The ranges of one call that may be acted on. Room for the largest chain; never allocates again.
#[derive(Debug)]
pub struct Batch {
    ranges: Vec<PageRange>,
    /// Ranges of this call that were refused.
    pub refused: Refused,
    /// Whether the guest is to find these pages as they are: they are accepted, and not discarded.
    pub(crate) kept: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self { ranges: Vec::with_capacity(usize::from(QUEUE_MAX)), refused: Refused::default(), kept: false }
    }
}

impl Batch {
    /// With room for so many of the largest.
    pub(crate) fn of_reports(most: usize) -> Self {
        Self { ranges: Vec::with_capacity(most * usize::from(QUEUE_MAX)), ..Self::default() }
    }

    /// Takes all ranges of another, which is empty then. There is room for them.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.ranges.append(&mut other.ranges);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
        self.refused = Refused::default();
        self.kept = false;
    }

    /// What was taken.
    pub(crate) fn ranges(&self) -> &[PageRange] {
        &self.ranges
    }

    /// Takes a range as the guest named it: rounded inwards, refused with its reason if nothing is left, if it
    /// wraps, or if any of it is not memory. Other ranges are not affected.
    #[inline]
    pub(crate) fn push(&mut self, named: ByteRange, ram: &GuestRam) {
        match self.allowed(named, ram) {
            // A carrier has no more ranges than there is room for; should one, the rest is refused.
            Some(_) if self.ranges.len() == self.ranges.capacity() => self.refused.broken_chain += 1,
            Some(range) => self.ranges.push(range),
            None => {}
        }
    }

    /// The same without taking it.
    #[inline(always)]
    pub(crate) fn allowed(&mut self, named: ByteRange, ram: &GuestRam) -> Option<PageRange> {
        match named.inward() {
            Ok(range) if ram.contains(range) => return Some(range),
            Ok(_) => self.refused.outside += 1,
            Err(RangeError::Empty) => self.refused.empty += 1,
            Err(RangeError::Wraps) => self.refused.wraps += 1,
        }
        None
    }
}

impl Batch {
    /// Gives up the range that was taken last.
    pub(crate) fn pop(&mut self) -> Option<PageRange> {
        self.ranges.pop()
    }

    /// Refuses the ranges that nobody has announced, as many times as they are there.
    pub(crate) fn refuse_unless(&mut self, mut is_announced: impl FnMut(PageRange) -> bool) {
        let before = self.ranges.len();
        self.ranges.retain(|range| is_announced(*range));
        self.refused.unannounced += (before - self.ranges.len()) as u64;
    }
}

/// What was done in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Taken {
    /// Fingerprint of the pages.
    pub(crate) digest: Digest,
    /// Calls that discard: `madvise`, or what is made in its place.
    pub(crate) madvise_calls: u64,
    /// Pages in them.
    pub(crate) discarded_pages: u64,
    /// Calls that failed.
    pub(crate) madvise_failures: u64,
    /// What the kernel said to the first of them (`errno`).
    pub(crate) madvise_error: Option<i32>,
}

impl Taken {
    /// Adds the calls of another, and its pages: fingerprints add up.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.digest.sum = self.digest.sum.wrapping_add(other.digest.sum);
        self.digest.pages = self.digest.pages.wrapping_add(other.digest.pages);
        self.madvise_calls += other.madvise_calls;
        self.discarded_pages += other.discarded_pages;
        self.madvise_failures += other.madvise_failures;
        if self.madvise_error.is_none() {
            self.madvise_error = other.madvise_error;
        }
    }

    #[cold]
    fn failed(&mut self, error: &io::Error) {
        self.madvise_failures += 1;
        self.madvise_error = self.madvise_error.or(error.raw_os_error());
    }

    /// The calls made since `before`; the fingerprint is that of all.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            digest: self.digest,
            madvise_calls: self.madvise_calls - before.madvise_calls,
            discarded_pages: self.discarded_pages - before.discarded_pages,
            madvise_failures: self.madvise_failures - before.madvise_failures,
            madvise_error: self.madvise_error,
        }
    }
}

/// Acts on batches.
#[derive(Debug)]
pub(crate) struct Reclaimer {
    ram: Arc<GuestRam>,
    discard: Discard,
    discarder: Discarder,
    coalesce: Coalesce,
    planted: Planted,
    /// Where discards that are put off are remembered.
    put_off: Option<SharedPutOff>,
    taken: Taken,
    #[cfg(any(test, feature = "test-support"))]
    grip: crate::memory::Grip,
}

impl Reclaimer {
    pub(crate) fn new(ram: Arc<GuestRam>, discard: Discard, coalesce: Coalesce, planted: Planted) -> Self {
        Self {
            discarder: Discarder::new(Arc::clone(&ram), discard),
            ram,
            discard,
            coalesce,
            planted,
            put_off: None,
            taken: Taken::default(),
            #[cfg(any(test, feature = "test-support"))]
            grip: crate::memory::Grip::default(),
        }
    }

    /// The same, which remembers there what it would discard.
    pub(crate) fn putting_off(self, put_off: Option<SharedPutOff>) -> Self {
        Self { put_off, ..self }
    }

    pub(crate) const fn taken(&self) -> Taken {
        self.taken
    }

    /// Discards the ranges of a batch, as the trial says. The guest may not have them back before this
    /// returns.
    pub(crate) fn take(&mut self, batch: &mut Batch) {
        for range in &batch.ranges {
            self.taken.digest.add(*range);
        }
        if self.discard == Discard::None || batch.kept || self.planted.is(Fault::SkipDiscard) {
            return;
        }
        match self.coalesce {
            Coalesce::Each => {}
            Coalesce::Sorted => batch.ranges.sort_unstable(),
            // Those of several reports, if they are there at once.
            Coalesce::Merged | Coalesce::Across => coalesce(&mut batch.ranges),
        }
        match (self.discard, &self.put_off) {
            (Discard::Vectored, _) => self.discard_all(&batch.ranges),
            (Discard::Deferred, Some(put_off)) => put_off.remember(&batch.ranges),
            _ => {
                for range in &batch.ranges {
                    self.discard(self.planted.stretched(*range, &self.ram));
                }
            }
        }
    }

    fn discard(&mut self, range: PageRange) {
        self.taken.madvise_calls += 1;
        self.taken.discarded_pages += range.pages();
        self.grip(range);
        if let Err(error) = self.discarder.discard(range) {
            self.taken.failed(&error);
        }
    }

    /// The same in one call.
    fn discard_all(&mut self, ranges: &[PageRange]) {
        if ranges.is_empty() {
            return;
        }
        for range in ranges {
            self.taken.discarded_pages += range.pages();
            self.grip(*range);
        }
        self.taken.madvise_calls += 1;
        let ranges = ranges.iter().map(|range| self.planted.stretched(*range, &self.ram));
        if let Err(error) = self.discarder.discard_all(ranges) {
            self.taken.failed(&error);
        }
    }

    /// What a discard that only unmaps keeps back.
    #[cfg(any(test, feature = "test-support"))]
    fn grip(&mut self, range: PageRange) {
        if self.planted.is(Fault::UnmapOnly)
            && let Err(error) = self.grip.hold(&self.ram, range)
        {
            self.taken.failed(&error);
        }
    }

    #[cfg(not(any(test, feature = "test-support")))]
    const fn grip(&self, _: PageRange) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refuse::refused;
    use abi::addr::{Gpa, PAGE_SIZE};

    #[test]
    fn what_the_kernel_said_to_the_first_failure_is_kept() {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        let mut reclaimer = Reclaimer::new(ram.clone(), Discard::DontNeed, Coalesce::Each, Planted::NONE);
        let mut take = || {
            let mut batch = Batch::default();
            batch.push(ByteRange { gpa: Gpa(0), len: PAGE_SIZE }, &ram);
            reclaimer.take(&mut batch);
            reclaimer.taken()
        };
        assert_eq!(take().madvise_error, None);
        refused(libc::SYS_madvise, libc::EINVAL, &mut take);
        let taken = refused(libc::SYS_madvise, libc::EPERM, &mut take);
        let Taken { madvise_calls, madvise_failures, madvise_error, .. } = taken;
        assert_eq!((madvise_calls, madvise_failures, madvise_error), (3, 2, Some(libc::EINVAL)));
    }
    /// What each order and each kind of call makes of three ranges, of which the last and the first touch.
    #[test]
    fn ranges_are_sorted_or_merged_and_one_call_takes_them_all() {
        for (discard, coalesce, calls) in [
            (Discard::DontNeed, Coalesce::Each, 3),
            (Discard::DontNeed, Coalesce::Sorted, 3),
            (Discard::DontNeed, Coalesce::Merged, 2),
            (Discard::Vectored, Coalesce::Each, 1),
            (Discard::Vectored, Coalesce::Merged, 1),
        ] {
            let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
            let mut reclaimer = Reclaimer::new(ram.clone(), discard, coalesce, Planted::NONE);
            let mut batch = Batch::default();
            for page in [9, 2, 8] {
                ram.write(Gpa(page * PAGE_SIZE), 1).unwrap();
                batch.push(ByteRange { gpa: Gpa(page * PAGE_SIZE), len: PAGE_SIZE }, &ram);
            }
            reclaimer.take(&mut batch);
            let taken = reclaimer.taken();
            if discard == Discard::Vectored && taken.madvise_error == Some(libc::EINVAL) {
                println!("before Linux 6.13 there is no such call");
                continue;
            }
            assert_eq!((taken.madvise_calls, taken.discarded_pages, taken.madvise_failures), (calls, 3, 0));
            assert!([9, 2, 8].iter().all(|page| ram.read(Gpa(page * PAGE_SIZE)).unwrap() == 0));
            let starts: Vec<u64> = batch.ranges().iter().map(|range| range.start().0).collect();
            let expected: &[u64] = match coalesce {
                Coalesce::Each => &[9, 2, 8],
                Coalesce::Sorted => &[2, 8, 9],
                Coalesce::Merged | Coalesce::Across => &[2, 8],
            };
            assert_eq!(starts, expected);
        }
    }
}
