//! The reporting core: which free blocks are reported when, and how they are found.
//!
//! ```text
//!   free ─► notify_free ─► request ─ delay ─► pass ─► search ─► send ┄ acknowledged ┄► finish ─┐
//!                                              ▲                                              │
//!                                              └──────────────────────────────────────────────┘
//! ```
//!
//! After Linux 6.12, `mm/page_reporting.c`. A pass goes through the free lists in steps: one between two operations of
//! the workload, and in each at most one report. Everything is timed here, by the same lines for every transport.
//!
//! | file | what |
//! |---|---|
//! | `request` | whether a pass is asked for, and when it is due |
//! | `pass` | zones, orders, types, budget, watermark |
//! | `search` | what the walks are made of: a locked zone and a batch |
//! | `rewalk`, `boundary`, `rotation` | how a list is walked |
//! | `hold` | the one that keeps what it has reported off the lists |
//! | `flush` | everything is reported, now |
//! | `per_cpu`, `synchronous` | the two that walk no list |
//! | `reporter` | a batch, from its search to having put it back |
//! | `shuffle` | compaction |

use abi::addr::Order;
use abi::engine::books::{Counter, Tally};
use abi::engine::info::EngineInfo;
use abi::engine::{PerCpuLists, Walk};

use crate::engine::books::Books;
use crate::engine::buddy::{Allocator, Block, Freed, MigrateType, PageLists, Taken};
use crate::engine::laps::Laps;
use crate::metal::Metal;

mod batch;
mod boundary;
mod flush;
mod hold;
mod pass;
mod per_cpu;
mod reporter;
mod request;
mod rewalk;
mod rotation;
mod search;
mod shuffle;
mod synchronous;
mod worker;

pub use batch::Batch;
pub use flush::Flushed;
pub use reporter::{Parts, Reporter};

use pass::Pass;
use per_cpu::Array;
use request::Request;
use worker::{Step, WORKER};

/// The longest nap, in microseconds: what others ask for must be noticed.
const NAP: u64 = 1000;
/// How often in a delay the processors' own lists are let age.
const AGINGS: u64 = 2;

/// The reporting core, as one virtual processor has it.
pub struct Core<'a, M, const REPORTS: bool> {
    info: &'a EngineInfo,
    /// Whether there will ever be reporting.
    reports: bool,
    /// Whether there is reporting just now: the flag that the freeing path tests.
    on: bool,
    reporter: Reporter<'a, M, REPORTS>,
    request: Request,
    pass: Option<Pass>,
    array: Array,
    /// The lists of free pages that this processor has of its own, if it has any.
    lists: Option<PageLists<REPORTS>>,
    /// When they were last looked at for what has lain there long.
    aged: u64,
}

impl<'a, M: Metal, const REPORTS: bool> Core<'a, M, REPORTS> {
    /// A core that is switched off, and stays so unless it `reports`.
    pub fn new(info: &'a EngineInfo, reporter: Reporter<'a, M, REPORTS>, reports: bool) -> Self {
        let array = Array::of(reporter.allocator().map(), reporter.vcpu(), info);
        let request = Request::after(info.delay);
        let has_lists = info.pcp == PerCpuLists::Linux;
        let lists = has_lists.then(|| PageLists::new(reporter.allocator(), reporter.vcpu(), info.vcpus));
        Self {
            info,
            reports: REPORTS && reports,
            on: false,
            reporter,
            request,
            pass: None,
            array,
            lists,
            aged: 0,
        }
    }

    /// Switches reporting on.
    pub const fn switch_on(&mut self) {
        self.on = self.reports;
    }

    /// The measured part is over.
    pub const fn close_books(&mut self) {
        self.reporter.close_books();
    }

    /// The allocator it reports for.
    pub const fn allocator(&self) -> Allocator<REPORTS> {
        self.reporter.allocator()
    }

    /// Ticks that the core has charged to reporting and to the oracle so far: whoever times something around the core
    /// takes them off.
    pub const fn charged(&self) -> u64 {
        self.reporter.charged()
    }

    /// Allocates a block; says too for how many ticks a lock was held, if that `is_timed`. Where reported blocks are held,
    /// they go back until there is one.
    #[inline]
    pub fn alloc(
        &mut self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
        is_timed: bool,
    ) -> (Option<Taken>, u64) {
        let mut found = self.try_alloc(metal, books, order, migrate_type, is_timed);
        while REPORTS && found.0.is_none() && self.reporter.keeps() && self.reporter.release(metal) {
            let (taken, held) = self.try_alloc(metal, books, order, migrate_type, is_timed);
            found = (taken, found.1 + held);
        }
        found
    }

    #[inline]
    fn try_alloc(
        &mut self,
        metal: &mut M,
        books: &Books,
        order: Order,
        migrate_type: MigrateType,
        is_timed: bool,
    ) -> (Option<Taken>, u64) {
        match self.lists {
            Some(lists) => {
                lists.alloc(metal, books, order, migrate_type, |metal, freed| self.heard(metal, freed))
            }
            None if is_timed => self.allocator().alloc_timed(metal, books, order, migrate_type),
            None => (self.allocator().alloc(metal, books, order, migrate_type), 0),
        }
    }

    /// Lets time act on this processor's own lists. Linux does so each second (`vmstat_update`), where a pass comes two
    /// seconds after it was requested; here as often for each pass.
    fn age(&mut self, metal: &mut M) {
        let Some(lists) = self.lists else { return };
        let mut laps = Laps::start(metal);
        if laps.last().wrapping_sub(self.aged) < self.info.delay / AGINGS {
            return;
        }
        self.aged = laps.last();
        let books = self.reporter.books();
        lists.decay(metal, &books, |metal, freed| self.heard(metal, freed));
        laps.charge(metal, &books, Counter::FreeTicks);
    }

    /// Whether time takes nothing more off this processor's own lists.
    pub fn is_aged(&self, metal: &M) -> bool {
        self.lists.is_none_or(|lists| lists.is_at_rest(metal))
    }

    /// Gives whatever this processor keeps in lists of its own to the allocator.
    pub fn drain(&mut self, metal: &mut M) {
        if let Some(lists) = self.lists {
            let books = self.reporter.books();
            lists.drain(metal, &books, |metal, freed| self.heard(metal, freed));
        }
    }

    /// A block went on a free list.
    fn heard(&mut self, metal: &mut M, freed: &Freed) {
        if REPORTS && self.on {
            self.notify_free(metal, freed);
        }
    }

    /// Frees a block, and notes that it is there to be reported. `is_timed`: for how long the lock is held goes into a
    /// tally.
    #[inline]
    pub fn free(&mut self, metal: &mut M, block: Block, is_timed: bool) {
        let is_on = REPORTS && self.on;
        if is_on && self.info.walk == Walk::Synchronous && block.order >= self.info.min_order {
            return synchronous::free(&mut self.reporter, metal, block);
        }
        let books = self.reporter.books();
        if let Some(lists) = self.lists {
            let held = lists.free(metal, &books, block, |metal, freed| self.heard(metal, freed));
            if is_timed {
                books.tally(metal, Tally::HoldFree, held);
            }
            return;
        }
        let freed = if is_timed {
            let (freed, held) = self.allocator().free_timed(metal, &books, block);
            books.tally(metal, Tally::HoldFree, held);
            freed
        } else {
            self.allocator().free(metal, &books, block)
        };
        if is_on {
            self.notify_free(metal, &freed);
        }
    }

    /// The hook of the freeing path (`page_reporting_notify_free`).
    fn notify_free(&mut self, metal: &mut M, freed: &Freed) {
        if freed.block.order < self.info.min_order {
            return;
        }
        match self.info.walk {
            Walk::Rewalk | Walk::Boundary | Walk::Rotation | Walk::Hold => {
                if freed.unreported >= self.info.high_water {
                    self.request.notify(metal, &self.reporter.books());
                }
            }
            Walk::PerCpuArray => self.array.note(metal, &self.reporter.books(), freed.block),
            Walk::Synchronous => {}
        }
    }

    /// Asks for a pass although nothing was freed.
    pub fn ask(&mut self, metal: &mut M) {
        if REPORTS && self.on && self.info.walk.walks_lists() {
            self.request.notify(metal, &self.reporter.books());
        }
    }

    /// What is done between two operations of the workload: a step of the work that is due, if any.
    #[inline]
    pub fn between(&mut self, metal: &mut M) {
        self.age(metal);
        if REPORTS && self.on {
            self.step(metal);
        }
    }

    fn step(&mut self, metal: &mut M) -> Step {
        match self.info.walk {
            Walk::Rewalk | Walk::Boundary | Walk::Rotation | Walk::Hold => self.step_pass(metal),
            Walk::PerCpuArray => self.array.step(metal, &mut self.reporter),
            Walk::Synchronous => Step::Nothing,
        }
    }

    /// A step of the worker (`page_reporting_process`).
    fn step_pass(&mut self, metal: &mut M) -> Step {
        if self.reporter.vcpu() != WORKER {
            return Step::Nothing;
        }
        if self.pass.is_none() {
            if !self.request.is_due(metal) {
                return Step::Nothing;
            }
            self.request.begin(metal, &self.reporter.books());
            self.pass = Some(Pass::begin(metal, &self.reporter));
        }
        let Some(pass) = &mut self.pass else { return Step::Nothing };
        match pass.step(metal, &mut self.reporter, self.request) {
            pass::Step::Reported => Step::Progress,
            pass::Step::Waiting => Step::Waiting,
            pass::Step::Over | pass::Step::Refused => {
                pass.end(metal);
                self.pass = None;
                self.request.end(metal, &self.reporter.books());
                Step::Progress
            }
        }
    }

    /// Whether nothing is requested, under way or noted on this processor.
    pub fn is_settled(&self, metal: &M) -> bool {
        if !REPORTS || !self.on {
            return true;
        }
        match self.info.walk {
            Walk::Rewalk | Walk::Boundary | Walk::Rotation | Walk::Hold => {
                self.reporter.vcpu() != WORKER || self.pass.is_none() && self.request.is_idle(metal)
            }
            Walk::PerCpuArray => !self.reporter.is_in_flight() && self.array.is_empty(metal),
            Walk::Synchronous => true,
        }
    }

    /// Has whatever the freeing path has noted looked through, even if it is less than a batch.
    pub fn flush(&mut self, metal: &mut M) {
        if REPORTS && self.on && self.info.walk == Walk::PerCpuArray {
            self.array.flush(metal);
        }
    }

    /// Goes on with the work, or passes the time with nothing else to do: until `deadline` at the latest, and never past
    /// the next due time. May return early.
    pub fn rest(&mut self, metal: &mut M, deadline: u64) {
        self.age(metal);
        let step = if REPORTS && self.on { self.step(metal) } else { Step::Nothing };
        let began = metal.clock();
        match step {
            Step::Progress => return,
            Step::Waiting => self.reporter.nap(metal),
            Step::Nothing => {
                let due = self.next_due(metal).map_or(deadline, |due| due.min(deadline));
                nap(metal, due.saturating_sub(began) / self.info.ticks_per_us.max(1));
            }
        }
        let ticks = metal.clock().wrapping_sub(began);
        self.reporter.books().add(metal, Counter::IdleTicks, ticks);
    }

    fn next_due(&self, metal: &M) -> Option<u64> {
        match self.info.walk {
            _ if !REPORTS || !self.on => None,
            Walk::Rewalk | Walk::Boundary | Walk::Rotation | Walk::Hold => {
                if self.reporter.vcpu() == WORKER {
                    self.request.due(metal)
                } else {
                    None
                }
            }
            Walk::PerCpuArray => self.array.due(),
            Walk::Synchronous => None,
        }
    }

    /// Waits for what is in flight and puts it back, with everything that is held, gives up whatever else there was to do,
    /// and switches reporting off.
    pub fn switch_off(&mut self, metal: &mut M) {
        if self.reporter.is_in_flight() {
            self.reporter.finish(metal);
        }
        if self.pass.take().is_some() {
            self.request.end(metal, &self.reporter.books());
        }
        while self.reporter.keeps() && self.reporter.release(metal) {}
        self.on = false;
    }
}

/// Gives the processor away for about so many microseconds.
fn nap(metal: &mut impl Metal, microseconds: u64) {
    match u32::try_from(microseconds.min(NAP)) {
        Ok(0) | Err(_) => metal.relax(),
        Ok(microseconds) => metal.idle(microseconds),
    }
}

#[cfg(test)]
mod tests;
