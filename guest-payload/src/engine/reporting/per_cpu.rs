//! Per-CPU array: the freeing path notes each block, as it merged, in an array of its processor. When the array is full it
//! is looked through a delay later, by the same processor: what is still free and unreported is isolated and reported. The
//! RFC of 2019-02.
//!
//! ```text
//!   freed ─► │ 1 │ 2 │ … │ capacity │ ─ delay ─► round: still free? ─► isolate ─► report
//!              what is freed while a round is under way comes behind it, and belongs to the next
//! ```

use abi::addr::Gpa;
use abi::engine::books::Counter;
use abi::engine::info::EngineInfo;
use abi::engine::map::{FREED, Map};

use crate::engine::books::Books;
use crate::engine::buddy::{Block, Page};
use crate::metal::Metal;

use super::reporter::Reporter;
use super::worker::Step;

/// The array of one processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    /// A count, then the pages.
    at: Gpa,
    capacity: u64,
    delay: u64,
    /// When the next round is due.
    due: Option<u64>,
    /// Entries of the round that is under way: the first so many.
    round: u64,
}

impl Array {
    /// The array of a virtual processor.
    pub(super) fn of(map: Map, vcpu: u32, info: &EngineInfo) -> Self {
        let capacity = info.capacity.clamp(1, FREED);
        Self { at: map.freed(vcpu), capacity, delay: info.delay, due: None, round: 0 }
    }

    /// A block was freed. If there is no room it is forgotten.
    pub(super) fn note(&mut self, metal: &mut impl Metal, books: &Books, block: Block) {
        let count = metal.load(self.at);
        if count >= self.capacity {
            books.add(metal, Counter::Missed, 1);
            return;
        }
        metal.store(self.entry(count), block.page.get().into());
        metal.store(self.at, count + 1);
        if count + 1 == self.capacity && self.due.is_none() {
            self.due = Some(metal.clock().wrapping_add(self.delay));
            books.add(metal, Counter::Requests, 1);
        }
    }

    /// A round is due at once, however little there is.
    pub(super) fn flush(&mut self, metal: &impl Metal) {
        if !self.is_empty(metal) {
            self.due = Some(metal.clock());
        }
    }

    /// Whether nothing is noted.
    pub(super) fn is_empty(&self, metal: &impl Metal) -> bool {
        metal.load(self.at) == 0
    }

    /// When the next round is due.
    pub(super) const fn due(&self) -> Option<u64> {
        self.due
    }

    /// Goes on with a round, up to the end of a report.
    pub(super) fn step<M: Metal, const REPORTS: bool>(
        &mut self,
        metal: &mut M,
        reporter: &mut Reporter<'_, M, REPORTS>,
    ) -> Step {
        if !reporter.is_in_flight() {
            if self.round == 0 && !self.begin(metal, &reporter.books()) {
                return Step::Nothing;
            }
            self.search(metal, reporter);
            if !reporter.has_blocks() {
                return Step::Progress;
            }
            reporter.send(metal);
        }
        if !reporter.is_answered(metal) {
            return Step::Waiting;
        }
        reporter.finish(metal);
        Step::Progress
    }

    /// Begins a round if one is due.
    fn begin(&mut self, metal: &mut impl Metal, books: &Books) -> bool {
        if self.due.is_none_or(|due| metal.clock() < due) {
            return false;
        }
        self.due = None;
        self.round = metal.load(self.at);
        books.add(metal, Counter::Passes, 1);
        self.round > 0
    }

    /// Looks through the entries of the round that lie in the same zone as the first of them.
    fn search<M: Metal, const REPORTS: bool>(
        &mut self,
        metal: &mut M,
        reporter: &mut Reporter<'_, M, REPORTS>,
    ) {
        let allocator = reporter.allocator();
        let min_order = reporter.info().min_order;
        let zone = allocator.zone_of(self.page(metal, 0));
        let (array, round) = (*self, self.round);
        self.round = reporter.search(metal, zone, None, |search| {
            let mut left = 0;
            for index in 0..round {
                let page = array.page(search.metal(), index);
                if allocator.zone_of(page) != zone {
                    search.metal().store(array.entry(left), page.get().into());
                    left += 1;
                    continue;
                }
                match search.still_free(page).filter(|order| *order >= min_order) {
                    Some(order) => {
                        search.take(Block { page, order });
                    }
                    None => search.miss(),
                }
            }
            left
        });
        self.close_ranks(metal, round);
    }

    /// Moves what comes behind the first `round` entries to behind those that are left of the round.
    fn close_ranks(&self, metal: &mut impl Metal, round: u64) {
        let count = metal.load(self.at);
        for index in round..count {
            let entry = metal.load(self.entry(index));
            metal.store(self.entry(self.round + index - round), entry);
        }
        metal.store(self.at, self.round + count.saturating_sub(round));
    }

    fn page(&self, metal: &impl Metal, index: u64) -> Page {
        // Only `note` writes entries, and a page's number has 32 bits.
        Page::new(u32::try_from(metal.load(self.entry(index))).unwrap_or(u32::MAX))
    }

    const fn entry(&self, index: u64) -> Gpa {
        self.at.offset(8 + index * 8)
    }
}
