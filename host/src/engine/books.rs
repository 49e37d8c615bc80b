//! What the guest has counted, read through the one door into its memory. Nothing of it is believed more than that
//! it is a number.

use abi::addr::Gpa;
use abi::axes::Axis;
use abi::engine::Inhibited;
use abi::engine::books::{self, Counter, PASSES, PassRecord, Tally, first_wrong, shared};
use abi::engine::map::Map;
use abi::engine::map::pass_at;
use abi::tally::{BUCKETS, highest, lowest};
use abi::violation::Violation;

use super::outcome::Bucket;
use crate::memory::{GuestRam, RamError};
use crate::trial::{TrialError, violations};

/// The books of all processors.
pub(super) struct Books<'a> {
    pub(super) ram: &'a GuestRam,
    pub(super) map: Map,
    pub(super) vcpus: u32,
}

impl Books<'_> {
    fn of_each(&self) -> impl Iterator<Item = Gpa> {
        (0..self.vcpus).map(|vcpu| self.map.vcpu(vcpu))
    }

    fn sum(&self, at: impl Fn(Gpa) -> Gpa) -> Result<u64, RamError> {
        self.of_each().try_fold(0_u64, |sum, vcpu| Ok(sum.saturating_add(self.ram.read(at(vcpu))?)))
    }

    /// Every counter of every processor.
    pub(super) fn counters(&self) -> Result<Vec<Vec<u64>>, RamError> {
        let of =
            |vcpu| Counter::ALL.iter().map(|counter| self.ram.read(books::counter(vcpu, *counter))).collect();
        self.of_each().map(of).collect()
    }

    /// A counter, added up over the processors.
    pub(super) fn counter(&self, counter: Counter) -> Result<u64, RamError> {
        self.sum(|vcpu| books::counter(vcpu, counter))
    }

    /// Every tally, added up over the processors, without its empty buckets.
    pub(super) fn tallies(&self) -> Result<Vec<Vec<Bucket>>, RamError> {
        Tally::ALL.iter().map(|tally| self.tally(*tally)).collect()
    }

    fn tally(&self, tally: Tally) -> Result<Vec<Bucket>, RamError> {
        let (mut sums, mut counts) = (vec![0_u64; BUCKETS], vec![0; BUCKETS]);
        for vcpu in self.of_each() {
            self.ram.read_into(books::tally(vcpu, tally), &mut counts)?;
            for (sum, count) in sums.iter_mut().zip(&counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        let filled = sums.into_iter().enumerate().filter(|(_, count)| *count > 0);
        Ok(filled.map(|(at, count)| Bucket { lowest: lowest(at), highest: highest(at), count }).collect())
    }

    /// The first passes.
    pub(super) fn passes(&self) -> Result<Vec<PassRecord>, RamError> {
        let kept = self.ram.read(shared::PASSES)?.min(PASSES);
        (0..kept).map(|pass| self.ram.read_words(pass_at(pass)).map(PassRecord::from_words)).collect()
    }

    /// What was found wrong, and how often.
    pub(super) fn violations(&self) -> Result<Vec<(Violation, u64)>, RamError> {
        violations(|violation| self.sum(|vcpu| books::violation(vcpu, violation)))
    }

    /// Frame of the first page that the first processor with anything to say found wrong.
    pub(super) fn first_wrong(&self) -> Result<Option<u64>, RamError> {
        let frames: Vec<_> =
            self.of_each().map(|vcpu| self.ram.read(first_wrong(vcpu))).collect::<Result<_, _>>()?;
        Ok(frames.into_iter().find(|frame| *frame != 0))
    }

    /// Why the guest did not report.
    pub(super) fn inhibited(&self) -> Result<Inhibited, TrialError> {
        Inhibited::from_number(self.ram.read(shared::INHIBITED)?)
            .ok_or(TrialError::Protocol { what: "its reason not to report is none" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::Pfn;
    use abi::layout::ARENA;
    use abi::tally::bucket;

    const PAGES: u64 = 1 << 12;

    fn with_books(check: impl FnOnce(&GuestRam, Map, Books<'_>)) {
        let ram = GuestRam::new(ARENA.0 + (PAGES << 12)).unwrap();
        let map = Map::new(PAGES);
        check(&ram, map, Books { ram: &ram, map, vcpus: 3 });
    }

    #[test]
    fn tallies_are_added_up_and_empty_buckets_left_out() {
        with_books(|ram, map, books| {
            for (vcpu, value, count) in [(0, 5, 1), (1, 5, 2), (2, 1000, u64::MAX), (0, 1000, 7)] {
                let at = books::tally(map.vcpu(vcpu), Tally::Invisible).offset(bucket(value) as u64 * 8);
                ram.write(at, count).unwrap();
            }
            let tallies = books.tallies().unwrap();
            assert_eq!(
                tallies[Tally::Invisible as usize],
                [
                    Bucket { lowest: 5, highest: 5, count: 3 },
                    Bucket { lowest: 1000, highest: 1007, count: u64::MAX }
                ]
            );
            assert!(tallies[Tally::Report as usize].is_empty());
        });
    }

    #[test]
    fn counters_and_violations_are_each_processors() {
        with_books(|ram, map, books| {
            for vcpu in 0..3 {
                ram.write(books::counter(map.vcpu(vcpu), Counter::Reports), 10 + u64::from(vcpu)).unwrap();
            }
            ram.write(books::violation(map.vcpu(2), Violation::StaleMark), 4).unwrap();
            ram.write(first_wrong(map.vcpu(2)), Pfn(77).0).unwrap();
            assert_eq!(books.counter(Counter::Reports).unwrap(), 33);
            assert_eq!(books.counters().unwrap()[1][Counter::Reports as usize], 11);
            assert_eq!(books.violations().unwrap(), [(Violation::StaleMark, 4)]);
            assert_eq!(books.first_wrong().unwrap(), Some(77));
        });
    }

    #[test]
    fn no_number_of_the_guest_is_too_much() {
        with_books(|ram, map, books| {
            for vcpu in 0..3 {
                ram.write(books::counter(map.vcpu(vcpu), Counter::Reports), u64::MAX).unwrap();
            }
            ram.write(shared::PASSES, u64::MAX).unwrap();
            ram.write(shared::INHIBITED, 99).unwrap();
            assert_eq!(books.counter(Counter::Reports).unwrap(), u64::MAX);
            assert_eq!(books.passes().unwrap().len() as u64, PASSES);
            assert!(matches!(books.inhibited(), Err(TrialError::Protocol { .. })));
        });
    }
}
