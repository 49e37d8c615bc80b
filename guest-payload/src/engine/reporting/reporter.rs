//! A batch, from its search to having put it back. What all walks have in common, and where everything is timed:
//! in one file because the laps of the stopwatch and the lock go from one step to the next.
//!
//! ```text
//!   search ─────────► send ─────────────────────────────┄► finish ─────────────────────────────────►
//!   lock … unlock     in flight   prepare  notify         wait   reported   lock … unlock
//!   └ walk ────┘      └ oracle ┘  └ transport ─────── ┄ ────────┘└ oracle ─┘└ put back ──┘
//!        └──────────────────────────── invisible ─────────────────────────────────┘
//! ```

use abi::axes::Completion;
use abi::boot::BootInfo;
use abi::engine::books::{Counter, Tally};
use abi::engine::info::EngineInfo;
use abi::engine::map::ZONES;
use abi::engine::{GuestFault, Shuffle as Compaction, Walk};
use abi::violation::Violation;

use crate::engine::books::Books;
use crate::engine::buddy::{Allocator, At, Block, Locked};
use crate::engine::laps::Laps;
use crate::engine::lock::Lock;
use crate::engine::shared::{self, CARRIER};
use crate::engine::witness::Witness;
use crate::metal::Metal;
use crate::transport::{Transport, Verdict};

use super::batch::Batch;
use super::search::{List, Search};
use super::shuffle::Shuffle;
use super::worker::{SHORT_NAP, WORKER};
use super::{boundary, rewalk, rotation};

/// What reports blocks on one virtual processor.
pub struct Reporter<'a, M, const REPORTS: bool> {
    info: &'a EngineInfo,
    allocator: Allocator<REPORTS>,
    books: Books,
    witness: Witness,
    transport: &'a mut dyn Transport<M>,
    /// Whether this processor goes on with its workload while the device works.
    goes_on: bool,
    vcpu: u32,
    batch: &'a mut Batch,
    /// Zone that the batch is from.
    zone: u64,
    /// Blocks looked at for the batch so far.
    examined: u64,
    shuffle: Shuffle,
    /// Whether the doorbell has been rung and the batch is not put back.
    in_flight: bool,
    /// What was wrong with the calls of the report so far.
    verdict: Verdict,
    /// When the first block of the batch was taken off its list.
    hidden: u64,
    /// When the carrier began to be filled.
    sent: u64,
    /// When the last report was acknowledged.
    acknowledged: u64,
    hold: Hold,
    charged: u64,
}

/// The lock of the zone, as Linux holds it: `page_reporting_cycle` lets go only to report, and what puts a batch back
/// goes on to search the same list for the next. Here a workload's operation may come between the two, so that they are
/// two holds; they are counted as the one that they are there.
#[derive(Clone, Copy, Debug, Default)]
struct Hold {
    /// Whether the search that filled the batch goes on behind it.
    goes_on: bool,
    /// Ticks that putting a batch back held the lock, if the search goes on.
    put_back: Option<u64>,
}

/// What a reporter is made of.
pub struct Parts<'a, M, const REPORTS: bool> {
    /// What the guest was told when it started.
    pub boot: &'a BootInfo,
    /// What the engine was told.
    pub info: &'a EngineInfo,
    /// Whose free blocks are reported.
    pub allocator: Allocator<REPORTS>,
    /// Where it counts.
    pub books: Books,
    /// Who is told what becomes of pages.
    pub witness: Witness,
    /// How the host is told.
    pub transport: &'a mut dyn Transport<M>,
    /// The space for a report.
    pub batch: &'a mut Batch,
    /// The virtual processor.
    pub vcpu: u32,
}

impl<'a, M: Metal, const REPORTS: bool> Reporter<'a, M, REPORTS> {
    /// One with nothing to do.
    pub fn new(parts: Parts<'a, M, REPORTS>) -> Self {
        let Parts { boot, info, allocator, books, witness, transport, batch, vcpu } = parts;
        Self {
            info,
            allocator,
            books,
            witness,
            transport,
            goes_on: boot.completion == Completion::Interrupt,
            vcpu,
            batch,
            zone: 0,
            examined: 0,
            shuffle: Shuffle::new(boot.seed),
            in_flight: false,
            verdict: Verdict::default(),
            hidden: 0,
            sent: 0,
            acknowledged: 0,
            hold: Hold::default(),
            charged: 0,
        }
    }

    /// What the engine was told.
    pub(super) const fn info(&self) -> &'a EngineInfo {
        self.info
    }

    /// Whose blocks are reported.
    pub(super) const fn allocator(&self) -> Allocator<REPORTS> {
        self.allocator
    }

    /// Where this processor counts.
    pub(super) const fn books(&self) -> Books {
        self.books
    }

    /// Nothing is measured any more.
    pub(super) const fn close_books(&mut self) {
        self.books = self.books.closed();
    }

    /// The virtual processor.
    pub(super) const fn vcpu(&self) -> u32 {
        self.vcpu
    }

    /// Ticks charged so far, to reporting and to the oracle.
    pub(super) const fn charged(&self) -> u64 {
        self.charged
    }

    /// Whether the doorbell has been rung and the batch is not put back.
    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// When the last report was acknowledged.
    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether there is something to report.
    pub(super) fn has_blocks(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Pages in the batch.
    pub(super) fn pages(&self) -> u64 {
        self.batch.pages()
    }

    /// Has a zone searched under its lock; `list`, if that is what is searched.
    pub(super) fn search<R>(
        &mut self,
        metal: &mut M,
        zone: u64,
        list: Option<List>,
        walk: impl FnOnce(&mut Search<'_, '_, M, REPORTS>) -> R,
    ) -> R {
        let mut laps = Laps::start(metal);
        let was_empty = self.batch.is_empty();
        self.show(metal, true);
        self.zone = zone;

        let locked = self.allocator.zone(zone).lock_timed(metal, &self.books);
        let leaves_on_list = self.info.fault == GuestFault::ReportOnList;
        let mut search = Search::new(locked, self.batch, leaves_on_list);
        let found = walk(&mut search);
        let (seen, held) = search.end();

        self.charge(metal, &mut laps, Counter::WalkTicks);
        if was_empty {
            self.hidden = laps.last();
        }
        let put_back = self.hold.put_back.take();
        if seen.examined > 0 || put_back.is_some() {
            self.books.tally(metal, Tally::HoldWalk, held + put_back.unwrap_or_default());
        }
        if seen.examined > 0 {
            self.books.add(metal, Counter::Examined, seen.examined);
            self.books.add(metal, Counter::Isolated, seen.isolated);
            self.books.add(metal, Counter::Missed, seen.missed);
            self.examined += seen.examined;
            list.into_iter().for_each(|list| self.shuffle.walked(list));
        }
        self.show(metal, self.has_blocks());
        found
    }

    /// The search that filled the batch goes on where it stopped, when the batch is put back.
    pub(super) const fn goes_on(&mut self) {
        self.hold.goes_on = true;
    }

    /// Adds a block that its owner reports before freeing it.
    pub(super) fn add(&mut self, metal: &mut M, block: Block) {
        self.hidden = metal.clock();
        self.zone = self.allocator.zone_of(block.page);
        self.batch.push(self.allocator.frames(block));
        self.show(metal, true);
    }

    /// Reports the batch: fills the carrier and rings the doorbell. A carrier that is too small for it takes it in
    /// several calls, and all but the last are waited for.
    pub(super) fn send(&mut self, metal: &mut M) {
        let mut laps = Laps::start(metal);
        self.books.tally(metal, Tally::Examined, self.examined);
        self.examined = 0;
        self.look_whether_isolated(metal);
        for block in self.batch.blocks() {
            self.witness.in_flight(metal, *block);
        }
        self.charge(metal, &mut laps, Counter::OracleTicks);

        self.sent = laps.last();
        if self.has_to_take_turns() {
            Lock::at(CARRIER).acquire(metal, &self.books);
            self.transport.take_over(metal);
        }
        self.verdict = Verdict::default();
        let capacity = self.transport.capacity().max(1);
        let mut calls = self.batch.blocks().chunks(capacity).peekable();
        let mut call = calls.next();
        while let Some(ranges) = call {
            self.transport.prepare(metal, ranges);
            let is_done = self.transport.is_last();
            let is_last = is_done && calls.peek().is_none();
            if is_last && self.info.fault == GuestFault::PutBackEarly {
                self.put_back(metal, true);
            }
            self.transport.notify(metal);
            if !is_last {
                let verdict = self.transport.wait(metal);
                self.verdict = self.verdict.and(verdict);
            }
            if is_done {
                call = calls.next();
            }
        }
        self.in_flight = true;
        self.charge(metal, &mut laps, Counter::TransportTicks);
    }

    /// Whether [`Self::finish`] should be called: the host has acted, or this processor waits for it in place.
    pub(super) fn is_answered(&self, metal: &M) -> bool {
        !self.goes_on || self.transport.acknowledged(metal)
    }

    /// Passes the time until the host has acted.
    pub(super) fn nap(&self, metal: &mut M) {
        // Interrupts come to the first processor; the others look now and then.
        if self.vcpu == WORKER { metal.halt() } else { metal.idle(SHORT_NAP) }
    }

    /// Waits for the acknowledgement and puts the batch back; `false` if the report was refused.
    pub(super) fn finish(&mut self, metal: &mut M) -> bool {
        let mut laps = Laps::start(metal);
        while !self.is_answered(metal) {
            self.nap(metal);
        }
        let verdict = self.transport.wait(metal);
        if self.has_to_take_turns() {
            Lock::at(CARRIER).release(metal);
        }
        self.charge(metal, &mut laps, Counter::TransportTicks);
        self.acknowledged = laps.last();
        self.books.tally(metal, Tally::Report, self.acknowledged.wrapping_sub(self.sent));

        self.verdict = self.verdict.and(verdict);
        let is_accepted = self.verdict.refused == 0;
        if let (Some(violation), Some(block)) = (self.verdict.violation, self.batch.blocks().first()) {
            self.books.violation(metal, violation, block.start());
        }
        for block in self.batch.blocks() {
            if is_accepted {
                self.witness.reported(metal, *block);
            } else {
                self.witness.refused(metal, *block);
            }
        }
        self.charge(metal, &mut laps, Counter::OracleTicks);

        let goes_on = core::mem::take(&mut self.hold.goes_on);
        if self.info.fault != GuestFault::PutBackEarly {
            let held = self.put_back(metal, is_accepted);
            // A report that failed ends the search (Linux: `if (err) break`).
            self.hold.put_back = (goes_on && is_accepted).then_some(held);
        }
        self.charge(metal, &mut laps, Counter::PutBackTicks);
        if !(is_accepted && self.keeps()) {
            self.books.tally(metal, Tally::Invisible, laps.last().wrapping_sub(self.hidden));
        }
        self.close(metal, is_accepted);
        is_accepted
    }

    /// Puts every block of the batch back on a list, and marks it unless it merged there; or holds it, if it is reported and
    /// the walk keeps such. Says for how many ticks the lock was held.
    fn put_back(&self, metal: &mut M, mark: bool) -> u64 {
        let mut zone = self.allocator.zone(self.zone).lock_timed(metal, &self.books);
        let (mut merged, mut kept) = (0, 0);
        for block in self.batch.blocks().iter().filter_map(|frames| self.allocator.block(*frames)) {
            if mark && self.keeps() {
                zone.hold(block);
                kept += 1;
                continue;
            }
            let is_whole = self.put_one_back(&mut zone, block, mark);
            if is_whole && mark {
                zone.mark_reported(block.page);
            }
            merged += u64::from(!is_whole);
        }
        let held = zone.held();
        drop(zone);
        self.books.tally(metal, Tally::HoldPutBack, held);
        self.books.add(metal, Counter::Merged, merged);
        self.books.add(metal, Counter::Held, kept);
        held
    }

    /// Whether it is still the same block on its list.
    fn put_one_back(&self, zone: &mut Locked<'_, M, REPORTS>, block: Block, mark: bool) -> bool {
        match (self.info.fault, self.info.walk) {
            (GuestFault::ReportOnList, _) => zone.buddy_order(block.page) == Some(block.order),
            (_, Walk::Synchronous) => zone.free(block),
            _ => {
                let migrate_type = self.allocator.migrate_type(zone.metal(), block.page);
                zone.put_back(block, migrate_type, self.place(mark))
            }
        }
    }

    /// Whether reported blocks go on no list any more.
    pub(super) fn keeps(&self) -> bool {
        let is_put_back = matches!(self.info.fault, GuestFault::ReportOnList | GuestFault::PutBackEarly);
        self.info.walk == Walk::Hold && !is_put_back
    }

    /// Puts up to a report's worth of what is held back on the lists; `false` if nothing is.
    pub(super) fn release(&self, metal: &mut M) -> bool {
        // Memory is taken from the last zone first.
        for zone in (0..ZONES).rev() {
            let mut locked = self.allocator.zone(zone).lock(metal, &self.books);
            let released = (0..self.info.capacity).take_while(|_| locked.release()).count() as u64;
            drop(locked);
            if released > 0 {
                self.books.add(metal, Counter::Released, released);
                return true;
            }
        }
        false
    }

    /// The batch is put back: counts it, and lets compaction have its lists.
    fn close(&mut self, metal: &mut M, is_accepted: bool) {
        self.books.add(metal, Counter::Reports, 1);
        if is_accepted {
            self.books.add(metal, Counter::Reported, self.batch.blocks().len() as u64);
            self.books.add(metal, Counter::ReportedPages, self.batch.pages());
        } else {
            self.books.add(metal, Counter::Refused, self.verdict.refused);
        }
        self.batch.clear();
        self.in_flight = false;
        self.show(metal, false);
        if self.info.shuffle == Compaction::Compaction {
            let mut zone = self.allocator.zone(self.zone).lock(metal, &self.books);
            self.shuffle.compact(&mut zone, &self.books, self.info.walk);
        }
        self.shuffle.forget();
    }

    /// Whether other processors report through the same carrier at the same time.
    fn has_to_take_turns(&self) -> bool {
        self.transport.is_shared() && self.info.vcpus > 1 && !self.info.walk.walks_lists()
    }

    /// Looks whether every block of the batch is off its list.
    fn look_whether_isolated(&self, metal: &mut M) {
        let mut zone = self.allocator.zone(self.zone).lock(metal, &self.books);
        for frames in self.batch.blocks() {
            let is_hidden = self.allocator.block(*frames).is_some_and(|block| {
                match self.info.walk {
                    // Still its owner's.
                    Walk::Synchronous => zone.buddy_order(block.page).is_none(),
                    _ => zone.is_isolated(block.page),
                }
            });
            if !is_hidden {
                self.books.violation(zone.metal(), Violation::NotIsolated, frames.start());
            }
        }
    }

    /// Where a block is put back that will be marked, or not.
    const fn place(&self, mark: bool) -> At {
        match self.info.walk {
            Walk::Rewalk => rewalk::PUT_BACK,
            Walk::Boundary if mark => boundary::PUT_BACK,
            _ => rotation::PUT_BACK,
        }
    }

    /// Shows the other processors whether this one is reporting: for the tallies of allocations.
    fn show(&self, metal: &mut M, reports: bool) {
        // Release: this is a shared word; nothing else is read on the strength of it.
        metal.store32_release(shared::reporting(self.vcpu), reports.into());
    }

    /// Charges the lap to a counter.
    fn charge(&mut self, metal: &mut M, laps: &mut Laps, counter: Counter) {
        let ticks = laps.charge(metal, &self.books, counter);
        if counter != Counter::OracleTicks {
            self.books.add(metal, Counter::ReportTicks, ticks);
        }
        self.charged = self.charged.wrapping_add(ticks);
    }
}
