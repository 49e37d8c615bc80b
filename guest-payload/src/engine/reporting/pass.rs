//! A pass: once through the free lists of every zone, order by order and type by type (`page_reporting_process`).
//!
//! It can be left after every report and taken up again: where it stands is a zone, a list of it, and what is left of
//! the budget of that list. A batch goes on from list to list; what is left of it at the end of a zone is a report of
//! its own.

use abi::addr::Order;
use abi::engine::Walk;
use abi::engine::books::{Counter, PASSES, PassRecord, shared};
use abi::engine::info::EngineInfo;
use abi::engine::map::ZONES;
use abi::engine::map::pass_at;

use crate::engine::buddy::MigrateType;
use crate::metal::Metal;

use super::reporter::Reporter;
use super::request::Request;
use super::search::{Budget, Found, List};
use super::{boundary, hold, rewalk, rotation};

/// Where a pass stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    zone: u64,
    /// Number of the list in its zone: [`Self::list`].
    list: u64,
    /// What is left for this list; `None` before it is first looked at.
    budget: Option<Budget>,
    /// Whether everything is to be reported, now: budget and watermark do not count, and reports are waited for in place.
    hurries: bool,
    record: PassRecord,
}

/// What a step of a pass came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A report was made.
    Reported,
    /// A report is under way.
    Waiting,
    /// A report was refused, and the pass is over.
    Refused,
    /// Every list was looked through or left.
    Over,
}

impl Pass {
    /// Begins one.
    pub(super) fn begin<M: Metal, const REPORTS: bool>(
        metal: &mut M,
        reporter: &Reporter<'_, M, REPORTS>,
    ) -> Self {
        reporter.books().add(metal, Counter::Passes, 1);
        let record = PassRecord { began: metal.clock(), ..PassRecord::default() };
        Self { zone: 0, list: 0, budget: None, hurries: false, record }
    }

    /// The same in a hurry from here on.
    pub(super) const fn hurried(self) -> Self {
        Self { hurries: true, ..self }
    }

    /// What it has reported so far.
    pub(super) const fn record(&self) -> PassRecord {
        self.record
    }

    /// Goes on, up to the end of a report.
    pub(super) fn step<M: Metal, const REPORTS: bool>(
        &mut self,
        metal: &mut M,
        reporter: &mut Reporter<'_, M, REPORTS>,
        request: Request,
    ) -> Step {
        if !reporter.is_in_flight() {
            if !self.search(metal, reporter, request) {
                return Step::Over;
            }
            reporter.send(metal);
        }
        if !self.hurries && !reporter.is_answered(metal) {
            return Step::Waiting;
        }
        self.record.reports += 1;
        self.record.pages += reporter.pages();
        if reporter.finish(metal) { Step::Reported } else { Step::Refused }
    }

    /// Leaves a record of the pass that is over.
    pub(super) fn end(&mut self, metal: &mut impl Metal) {
        self.record.ended = metal.clock();
        let pass = metal.load(shared::PASSES);
        if pass < PASSES {
            let mut at = pass_at(pass);
            for word in self.record.to_words() {
                metal.store(at, word);
                at = at.offset(8);
            }
        }
        metal.store(shared::PASSES, pass.wrapping_add(1));
    }

    /// Goes from list to list until there is something to report; `false` at the end of the last zone.
    fn search<M: Metal, const REPORTS: bool>(
        &mut self,
        metal: &mut M,
        reporter: &mut Reporter<'_, M, REPORTS>,
        request: Request,
    ) -> bool {
        while self.zone < ZONES {
            let is_below =
                self.looks_at_watermark(reporter.info()) && is_below_watermark(metal, reporter, self.zone);
            if is_below {
                reporter.books().add(metal, Counter::BelowWatermark, 1);
            }
            let Some(list) = self.list(reporter.info()).filter(|_| !is_below) else {
                self.next_zone();
                if reporter.has_blocks() {
                    return true;
                }
                continue;
            };
            match self.search_list(metal, reporter, list) {
                Found::Full => return true,
                Found::OutOfBudget => {
                    reporter.books().add(metal, Counter::OutOfBudget, 1);
                    request.again(metal, &reporter.books());
                    self.next_list();
                }
                Found::Refused | Found::Exhausted => self.next_list(),
            }
        }
        false
    }

    fn search_list<M: Metal, const REPORTS: bool>(
        &mut self,
        metal: &mut M,
        reporter: &mut Reporter<'_, M, REPORTS>,
        list: List,
    ) -> Found {
        let (info, hurries) = (reporter.info(), self.hurries);
        let alone = if info.watermark && !hurries {
            hold::left_alone(reporter.allocator().zone(self.zone))
        } else {
            0
        };
        let budget = &mut self.budget;
        let found = reporter.search(metal, self.zone, Some(list), |search| {
            let budget = budget.get_or_insert_with(|| {
                if hurries { Budget::UNLIMITED } else { Budget::of(search.nr_free(list.order), info) }
            });
            match info.walk {
                Walk::Hold => hold::search(search, list, budget, alone),
                Walk::Rewalk => rewalk::search(search, list, budget),
                Walk::Boundary => boundary::search(search, list, budget),
                // The others walk no list, and make no pass.
                Walk::Rotation | Walk::PerCpuArray | Walk::Synchronous => {
                    rotation::search(search, list, budget)
                }
            }
        });
        if let (Found::Full, Some(budget)) = (found, &mut self.budget) {
            budget.spend();
            reporter.goes_on();
        }
        found
    }

    /// The list it stands at: orders ascending, and of each order the types; `None` behind the last.
    fn list(&self, info: &EngineInfo) -> Option<List> {
        let types = MigrateType::ALL.len() as u64;
        let order = Order::new(u64::from(info.min_order.get()) + self.list / types).ok()?;
        let migrate_type = usize::try_from(self.list % types).ok()?;
        Some(List { order, migrate_type: *MigrateType::ALL.get(migrate_type)? })
    }

    /// When a zone is entered: what is put back leaves it as it was. Of what is held the walk itself looks at every block.
    fn looks_at_watermark(&self, info: &EngineInfo) -> bool {
        let is_entering = self.list == 0 && self.budget.is_none();
        is_entering && !self.hurries && info.walk != Walk::Hold
    }

    const fn next_list(&mut self) {
        self.list += 1;
        self.budget = None;
    }

    const fn next_zone(&mut self) {
        self.zone += 1;
        self.list = 0;
        self.budget = None;
    }
}

/// Whether a zone would be left with less than its low watermark and a full report.
fn is_below_watermark<M: Metal, const REPORTS: bool>(
    metal: &mut M,
    reporter: &Reporter<'_, M, REPORTS>,
    zone: u64,
) -> bool {
    let info = reporter.info();
    let zone = reporter.allocator().zone(zone);
    let mark = zone.low_watermark(metal) + (info.capacity << info.min_order.get());
    info.watermark && zone.free_pages(metal) <= mark
}
