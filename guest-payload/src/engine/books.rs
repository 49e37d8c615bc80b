//! The books of a virtual processor: where it counts what it did. See [`abi::engine::books`].

use abi::addr::{Gpa, Pfn};
use abi::axes::Axis;
use abi::engine::books::{
    COUNTERS_BYTES, Counter, TALLIES, TALLY_BYTES, Tally, counter, first_wrong, tally, violation,
};
use abi::engine::map::Map;
use abi::tally::bucket;
use abi::violation::Violation;

use crate::metal::{Metal, count};

/// The books of one virtual processor. Nobody else writes them, so they need no lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Books {
    at: Gpa,
    /// Whether the measured part is over.
    closed: bool,
}

impl Books {
    /// Those of virtual processor `vcpu`.
    #[must_use]
    pub const fn of(map: Map, vcpu: u32) -> Self {
        Self { at: map.vcpu(vcpu), closed: false }
    }

    /// The same when the measured part is over: only what covers the whole trial is counted any more.
    #[must_use]
    pub const fn closed(self) -> Self {
        Self { closed: true, ..self }
    }

    /// Begins the measured part: what was counted before is forgotten, but for what covers the whole trial.
    pub fn open(&self, metal: &mut impl Metal) {
        let checked = self.read(metal, Counter::Checked);
        metal.fill(self.at, Counter::ALL.len() as u64, 0);
        metal.store(counter(self.at, Counter::Checked), checked);
        metal.fill(self.at.offset(COUNTERS_BYTES), TALLIES as u64 * TALLY_BYTES / 8, 0);
    }

    /// Begins one counter anew.
    pub fn clear(&self, metal: &mut impl Metal, what: Counter) {
        metal.store(counter(self.at, what), 0);
    }

    /// Adds to a counter.
    #[inline]
    pub fn add(&self, metal: &mut impl Metal, what: Counter, by: u64) {
        if !self.closed || what == Counter::Checked {
            count(metal, counter(self.at, what), by);
        }
    }

    /// What a counter says.
    #[must_use]
    pub fn read(&self, metal: &impl Metal, what: Counter) -> u64 {
        metal.load(counter(self.at, what))
    }

    /// Counts a value in its bucket of a tally.
    #[inline]
    pub fn tally(&self, metal: &mut impl Metal, what: Tally, value: u64) {
        if !self.closed {
            count(metal, tally(self.at, what).offset(bucket(value) as u64 * 8), 1);
        }
    }

    /// Counts a violation, and notes its page if it is the first.
    #[cold]
    pub fn violation(&self, metal: &mut impl Metal, what: Violation, page: Pfn) {
        count(metal, violation(self.at, what), 1);
        // No managed page has frame 0.
        if metal.load(first_wrong(self.at)) == 0 {
            metal.store(first_wrong(self.at), page.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::engine::books::{Counter, Tally};

    use super::*;
    use crate::metal::fake::Fake;

    #[test]
    fn everything_is_counted_where_the_host_looks() {
        let (mut metal, map) = (Fake::new(|_, _| {}), Map::new(1024));
        let books = Books::of(map, 1);
        books.add(&mut metal, Counter::Pages, 5);
        books.add(&mut metal, Counter::Pages, 2);
        books.tally(&mut metal, Tally::Report, 77);
        books.violation(&mut metal, Violation::Accounts, Pfn(0x1000));
        books.violation(&mut metal, Violation::StaleMark, Pfn(0x2000));
        assert_eq!(books.read(&metal, Counter::Pages), 7);
        assert_eq!(metal.load(counter(map.vcpu(1), Counter::Pages)), 7);
        assert_eq!(metal.load(tally(map.vcpu(1), Tally::Report).offset(bucket(77) as u64 * 8)), 1);
        assert_eq!(metal.load(violation(map.vcpu(1), Violation::Accounts)), 1);
        assert_eq!(metal.load(violation(map.vcpu(1), Violation::StaleMark)), 1);
        assert_eq!(metal.load(first_wrong(map.vcpu(1))), 0x1000, "the first stays");
    }
}
