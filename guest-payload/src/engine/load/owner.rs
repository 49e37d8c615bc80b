//! A virtual processor that allocates and frees, whatever its load.
//!
//! ```text
//!   take   allocate ─ touch ─ witness            give   witness ─ free, with its hook
//!          └ alloc ┘ └touch┘ └oracle┘                   └oracle┘ └ free ┘
//! ```
//!
//! Blocks are taken and given in runs of up to a huge page, so that the clock is looked at once a phase and run; of
//! allocations, touches and frees one in sixteen is timed by itself, of touches of huge blocks every one.

use abi::addr::{Order, PageRange};
use abi::control::Control;
use abi::engine::Truth;
use abi::engine::books::{Counter, SAMPLED, Tally, shared as said};
use abi::engine::info::EngineInfo;

use super::run::Run;
use crate::engine::barrier;
use crate::engine::books::Books;
use crate::engine::buddy::{Allocator, Block, MigrateType, Taken};
use crate::engine::laps::Laps;
use crate::engine::reporting::{Core, Flushed};
use crate::engine::shared;
use crate::engine::witness::{Witness, touch};
use crate::metal::Metal;

/// What a processor that waits for others may spend time on.
const MEANWHILE: [Counter; 7] = [
    Counter::IdleTicks,
    Counter::FreeTicks,
    Counter::OracleTicks,
    Counter::ReportTicks,
    Counter::WalkTicks,
    Counter::TransportTicks,
    Counter::PutBackTicks,
];

/// The virtual processor that speaks to the host for all.
const LEADER: u32 = 0;
/// How often a processor that waits for the others looks before it takes naps.
const PATIENCE: u32 = 200;
/// Its naps, in microseconds.
const NAP: u64 = 200;

/// A virtual processor that allocates, touches and frees.
pub struct Owner<'a, M: Metal, const REPORTS: bool> {
    pub(super) info: &'a EngineInfo,
    /// Of everything that is left to chance.
    pub(super) seed: u64,
    pub(super) vcpu: u32,
    books: Books,
    witness: Witness,
    pub(super) core: Core<'a, M, REPORTS>,
    /// Decides which allocations, touches and frees are timed by themselves.
    chance: u64,
    /// When the measured part began.
    began: u64,
}

impl<'a, M: Metal, const REPORTS: bool> Owner<'a, M, REPORTS> {
    /// One that has nothing yet.
    pub fn new(
        info: &'a EngineInfo,
        seed: u64,
        vcpu: u32,
        books: Books,
        witness: Witness,
        core: Core<'a, M, REPORTS>,
    ) -> Self {
        Self { info, seed, vcpu, books, witness, core, chance: seed, began: 0 }
    }

    pub(super) const fn allocator(&self) -> Allocator<REPORTS> {
        self.core.allocator()
    }

    pub(super) fn frames(&self, block: Block) -> PageRange {
        self.allocator().frames(block)
    }

    /// Whether somebody has allocated `block`.
    pub(super) fn has(&self, metal: &M, block: Block) -> bool {
        self.witness.is_used(metal, self.frames(block))
    }

    /// Allocates, touches and looks at a block for each of `wants`. What cannot be had is counted.
    pub(super) fn take(
        &mut self,
        metal: &mut M,
        run: &mut Run,
        wants: impl Iterator<Item = (Order, MigrateType)>,
    ) {
        let mut laps = Laps::start(metal);
        run.clear();
        for (order, migrate_type) in wants.take(run.room()) {
            match self.alloc(metal, order, migrate_type) {
                Some(taken) => run.push(taken),
                None => self.books.add(metal, Counter::Failed, 1),
            }
        }
        laps.charge(metal, &self.books, Counter::AllocTicks);
        let refaults = run.iter().any(|taken| self.had_been_reported(metal, taken.block));
        laps.charge(metal, &self.books, Counter::OracleTicks);
        for taken in run.iter() {
            self.touch(metal, taken.block);
        }
        let ticks = laps.charge(metal, &self.books, Counter::TouchTicks);
        if refaults {
            self.books.add(metal, Counter::RefaultTicks, ticks);
            self.books.add(metal, Counter::RefaultOperations, run.iter().len() as u64);
        }
        let (mut pages, mut reported) = (0, 0);
        for taken in run.iter() {
            self.witness.allocated(metal, self.frames(taken.block), taken.was_reported);
            pages += taken.block.order.pages();
            reported += u64::from(taken.was_reported);
        }
        laps.charge(metal, &self.books, Counter::OracleTicks);
        self.books.add(metal, Counter::Operations, run.iter().len() as u64);
        self.books.add(metal, Counter::Pages, pages);
        self.books.add(metal, Counter::TookReported, reported);
    }

    /// Looks at every block of a run and frees it.
    pub(super) fn give(&mut self, metal: &mut M, run: &Run) {
        let mut laps = Laps::start(metal);
        for taken in run.iter() {
            self.witness.freed(metal, self.frames(taken.block));
        }
        laps.charge(metal, &self.books, Counter::OracleTicks);
        let charged = self.core.charged();
        for taken in run.iter() {
            let is_sampled = self.is_sampled();
            self.core.free(metal, taken.block, is_sampled);
        }
        // What the core has charged elsewhere is no part of freeing.
        let elsewhere = self.core.charged().wrapping_sub(charged);
        let ticks = laps.lap(metal).saturating_sub(elsewhere);
        self.books.add(metal, Counter::FreeTicks, ticks);
    }

    #[inline]
    fn alloc(&mut self, metal: &mut M, order: Order, migrate_type: MigrateType) -> Option<Taken> {
        if !self.is_sampled() {
            return self.core.alloc(metal, &self.books, order, migrate_type, false).0;
        }
        let is_reporting = self.is_anybody_reporting(metal);
        let mut laps = Laps::start(metal);
        let (taken, held) = self.core.alloc(metal, &self.books, order, migrate_type, true);
        let ticks = laps.lap(metal);
        self.books.tally(metal, Tally::HoldAlloc, held);
        let tally = if is_reporting { Tally::AllocReporting } else { Tally::AllocQuiet };
        self.books.tally(metal, tally, ticks);
        taken
    }

    /// Whether a touch of `block` takes whatever it costs to have been reported.
    fn had_been_reported(&self, metal: &M, block: Block) -> bool {
        self.witness.truth(metal, self.frames(block)) == Some(Truth::Reported)
    }

    fn touch(&mut self, metal: &mut M, block: Block) {
        let frames = self.frames(block);
        if block.order < Order::HUGE && !self.is_sampled() {
            return touch(metal, frames);
        }
        let truth = self.witness.truth(metal, frames);
        let mut laps = Laps::start(metal);
        touch(metal, frames);
        let ticks = laps.lap(metal);
        match truth {
            Some(Truth::Freed) => self.books.tally(metal, Tally::TouchResident, ticks),
            Some(Truth::Reported) => self.books.tally(metal, Tally::TouchReported, ticks),
            // The first touch of all is neither.
            _ => {}
        }
    }

    /// Whether this one is timed by itself: one in [`SAMPLED`], by chance, because every sixteenth might be the same
    /// one of every round. The chance is a linear congruence (Knuth's MMIX), of which the upper bits are good enough.
    const fn is_sampled(&mut self) -> bool {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 32).is_multiple_of(SAMPLED)
    }

    fn is_anybody_reporting(&self, metal: &M) -> bool {
        let vcpus = u32::try_from(self.info.vcpus).unwrap_or_default();
        // Acquire: the weakest that there is for a shared word.
        (0..vcpus).any(|vcpu| metal.load32_acquire(shared::reporting(vcpu)) != 0)
    }

    pub(super) const fn leads(&self) -> bool {
        self.vcpu == LEADER
    }

    /// Waits for all other processors; what is due to be reported is reported meanwhile.
    pub fn meet(&mut self, metal: &mut M) {
        let nap = self.info.ticks_per_us.saturating_mul(NAP);
        let core = &mut self.core;
        barrier::wait(metal, &self.books, self.info.vcpus, |metal, looks| {
            if looks < PATIENCE {
                metal.relax();
            } else {
                let until = metal.clock().wrapping_add(nap);
                core.rest(metal, until);
            }
        });
    }

    /// The measured part begins, on all processors together.
    pub(super) fn begin(&mut self, metal: &mut M) {
        self.meet(metal);
        self.books.open(metal);
        if self.leads() {
            let now = metal.clock();
            metal.store(said::BEGAN, now);
            metal.control(Control::Begin);
        }
        self.meet(metal);
        // The wait for the others is no part of what is measured, nor the time of what was done in it; what was reported
        // meanwhile the host has counted.
        for ticks in MEANWHILE {
            self.books.clear(metal, ticks);
        }
        self.began = metal.clock();
    }

    /// It is over.
    pub(super) fn end(&mut self, metal: &mut M) {
        let now = metal.clock();
        self.books.add(metal, Counter::WindowTicks, now.wrapping_sub(self.began));
        self.books = self.books.closed();
        self.core.close_books();
        self.meet(metal);
        if self.leads() {
            metal.store(said::ENDED, now);
            metal.control(Control::End);
        }
        self.meet(metal);
    }

    /// Everything is freed, also what processors kept in lists of their own: the first waits for the host to ask for it, and
    /// reports all of it.
    pub(super) fn flush(&mut self, metal: &mut M) {
        self.core.drain(metal);
        self.meet(metal);
        if self.leads() {
            metal.control(Control::Next);
            let Flushed { reports, pages, acknowledged } = self.core.report_all(metal);
            metal.store(said::FLUSHED, acknowledged);
            metal.store(said::FLUSH_REPORTS, reports);
            metal.store(said::FLUSH_PAGES, pages);
        }
    }

    /// Waits until everything that was freed is reported, or for as long as was said, and tells the host.
    pub(super) fn settle(&mut self, metal: &mut M) {
        self.meet(metal);
        self.core.flush(metal);
        let now = metal.clock();
        if self.leads() {
            metal.store(said::FREED, now);
        }
        let deadline = now.saturating_add(self.info.settle);
        // What the processors' lists hold too much of is reported when it has left them.
        self.rest_until(metal, deadline, Core::is_aged);
        self.core.flush(metal);
        self.meet(metal);
        self.rest_until(metal, deadline, Core::is_settled);
        self.meet(metal);
        if self.leads() {
            metal.control(Control::Settled);
        }
        self.meet(metal);
    }

    fn rest_until(
        &mut self,
        metal: &mut M,
        deadline: u64,
        is_over: impl Fn(&Core<'a, M, REPORTS>, &M) -> bool,
    ) {
        while !is_over(&self.core, metal) && metal.clock() < deadline {
            self.core.rest(metal, deadline);
        }
    }

    /// Everything is given back: stops reporting, and looks at every page and every list.
    pub fn finish(&mut self, metal: &mut M) {
        self.meet(metal);
        self.core.switch_off(metal);
        self.meet(metal);
        if !self.leads() {
            return;
        }
        metal.control(Control::Resting);
        self.witness.sweep(metal);
        let audit = self.allocator().audit(metal);
        // What lies in the processors' lists is allocated, but not lost.
        let lost = audit.wrong + audit.isolated + audit.allocated.abs_diff(audit.listed);
        if lost > 0 {
            let map = self.allocator().map();
            let page = audit.first_wrong.map_or(0, |page| page.get().into());
            let first = map.block(page, Order::PAGE).start();
            self.books.violation(metal, abi::violation::Violation::Accounts, first);
        }
    }
}
