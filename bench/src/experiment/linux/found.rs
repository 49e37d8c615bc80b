//! What Linux guests showed: what was told and came back, and what operations cost with and without.

use abi::axes::Axis;
use host::axes::Discard;
use host::linux::{Report, SHARES};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::experiment::contract::Findings;
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, total};
use crate::trial::kind::Linux;
use crate::trial::linux::choices::Choices;
use crate::trial::linux::measured::{LinuxMeasured, PageAccount, pages};

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// The kernels, as they say themselves.
    pub kernels: Vec<String>,
    /// Every cell.
    pub cells: Vec<Cell>,
}

/// A cell: a guest that does one thing and reports one way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Its choices.
    pub choices: Choices,
    /// Trials.
    pub trials: usize,
    /// From the guest's first instruction to its agent's.
    pub boot: Interval,
    /// Reports and pages in them, from the first instruction to the end of the task, in all trials.
    pub reports: u64,
    /// See `reports`.
    pub pages: u64,
    /// The same by the guest's own count; absent where it does not count.
    pub by_the_guest: Option<[u64; 2]>,
    /// Hypercalls in all trials, and accesses to the device's registers.
    pub hypercalls: u64,
    /// See `hypercalls`.
    pub register_exits: u64,
    /// While the task ran, added up; absent where a trial has no account.
    pub account: Option<PageAccount>,
    /// From the task's freeing its memory until 50, 90 and 100 % of what was given back had been.
    pub until: [Option<Interval>; 3],
    /// Taking as much memory again.
    pub refault: Option<Interval>,
    /// What an operation took; absent of a task that is not timed.
    pub operation: Option<Interval>,
    /// By what share more operations a second than where nothing is reported, block by block.
    pub change: Option<Interval>,
    /// What the host spent on an operation's share of reports: on taking them, on discarding, on answering.
    pub host: Option<[Interval; 3]>,
    /// Reports and pages while the task ran.
    pub while_running: [u64; 2],
}

fn cell(group: &Group<'_, Linux>, groups: &[Group<'_, Linux>], how: Sampling) -> Cell {
    let sum = |of: &dyn Fn(&LinuxMeasured) -> u64| total(group.measured().map(of));
    let figure = |ticks: u64, measured: &LinuxMeasured| measured.counts.clock.figure(float(ticks));
    let if_known = |of: &dyn Fn(&LinuxMeasured) -> Option<u64>| {
        group.interval_if_known(how, |measured| Some(figure(of(measured)?, measured)))
    };
    let counted: Option<Vec<[u64; 2]>> =
        group.measured().map(|measured| Some([measured.guest_reports?, measured.guest_pages?])).collect();
    let step = |ticks: &dyn Fn(&LinuxMeasured) -> u64| {
        group.interval_if_known(how, |measured| {
            Some(figure(ticks(measured), measured) / float(measured.operations?.max(1)))
        })
    };
    let steps = [
        step(&|measured| measured.seen.fetch_ticks),
        step(&|measured| measured.seen.discard_ticks),
        step(&|measured| measured.seen.complete_ticks),
    ];
    Cell {
        choices: group.choices,
        trials: group.trials.len(),
        boot: group.interval(how, |measured| figure(measured.boot_ticks, measured)),
        reports: sum(&|measured| measured.in_all.reports),
        pages: sum(&|measured| measured.in_all.told_pages),
        by_the_guest: counted
            .map(|all| [0, 1].map(|which: usize| total(all.iter().map(|counted| counted[which])))),
        hypercalls: sum(&|measured| measured.in_all.hypercall_exits),
        register_exits: sum(&|measured| measured.in_all.mmio_exits),
        account: group.measured().map(|measured| measured.account).collect::<Option<Vec<_>>>().map(added),
        until: [0, 1, 2].map(|share: usize| if_known(&|measured| measured.account?.until[share])),
        refault: if_known(&|measured| measured.refault_ticks),
        operation: group.interval_if_known(how, LinuxMeasured::an_operation),
        change: change(group, groups, how),
        host: match steps {
            [Some(fetch), Some(discard), Some(complete)] => Some([fetch, discard, complete]),
            _ => None,
        },
        while_running: [sum(&|measured| measured.seen.reports), sum(&|measured| measured.seen.told_pages)],
    }
}

/// Of several trials together; when each was there is said elsewhere.
fn added(accounts: Vec<PageAccount>) -> PageAccount {
    let sum = |of: fn(&PageAccount) -> u64| total(accounts.iter().map(of));
    let if_known =
        |of: fn(&PageAccount) -> Option<u64>| accounts.iter().map(of).collect::<Option<Vec<_>>>().map(total);
    PageAccount {
        told: sum(|account| account.told),
        distinct: sum(|account| account.distinct),
        gone: sum(|account| account.gone),
        stayed: if_known(|account| account.stayed),
        touched: if_known(|account| account.touched),
        until: [None; 3],
    }
}

/// Against the guest that does the same and reports nothing.
fn change(group: &Group<'_, Linux>, groups: &[Group<'_, Linux>], how: Sampling) -> Option<Interval> {
    let choices = &group.choices;
    if choices.report.0 == Report::Off || !choices.task.0.is_timed() {
        return None;
    }
    let is_off = |other: &&Group<'_, Linux>| {
        let own = Choices::new(choices.task.0, choices.pages.0, Report::Off, Discard::None);
        let off = Choices {
            footprint: choices.footprint,
            kept: choices.kept,
            rounds: choices.rounds,
            memory: choices.memory,
            ..own
        };
        other.choices == off
    };
    let off = groups.iter().find(is_off)?;
    group.against(off, how, LinuxMeasured::operations_a_second, |ours, theirs| ours / theirs - 1.0)
}

impl Cell {
    /// What the guest does, in words.
    pub(super) fn task(&self) -> String {
        format!("{}, {} pages", self.choices.task, self.choices.pages)
    }

    /// How it reports, and what the host does with it.
    pub(super) fn way(&self) -> String {
        match (self.choices.report.0, self.choices.way.discard.0) {
            (Report::Off, _) => "off".to_owned(),
            (report, Discard::None) => format!("{}, nothing discarded", report.name()),
            (report, discard) => format!("{}, {}", report.name(), discard.name()),
        }
    }
}

impl Found {
    fn told(&self) -> Grid {
        let both = |both: &dyn Fn(&Cell) -> String, cell: &Cell| {
            if cell.choices.report.0 == Report::Off { String::new() } else { both(cell) }
        };
        Grid::of(
            "what was told from the first instruction to the end of the task, by our count and by the guest's",
            &self.cells,
            &[
                ("task", &|cell| cell.task()),
                ("reporting", &|cell| cell.way()),
                ("boot", &|cell| number::amount(self.unit, &cell.boot)),
                ("reports", &|cell| both(&|cell| cell.reports.to_string(), cell)),
                ("by the guest", &|cell| {
                    cell.by_the_guest.map_or_else(String::new, |[reports, _]| reports.to_string())
                }),
                ("pages", &|cell| both(&|cell| cell.pages.to_string(), cell)),
                ("by the guest", &|cell| {
                    cell.by_the_guest.map_or_else(String::new, |[_, pages]| pages.to_string())
                }),
                ("hypercalls", &|cell| cell.hypercalls.to_string()),
                ("register exits", &|cell| cell.register_exits.to_string()),
                ("n", &|cell| cell.trials.to_string()),
            ],
        )
    }

    fn came_back(&self) -> Option<Grid> {
        let looked = |cell: &&Cell| !cell.choices.task.0.is_timed() && cell.choices.report.0 != Report::Off;
        let cells: Vec<&Cell> = self.cells.iter().filter(looked).collect();
        cells.first()?;
        let count = |of: &dyn Fn(&PageAccount) -> Option<u64>, cell: &Cell| {
            cell.account.as_ref().and_then(of).map_or_else(String::new, |count| count.to_string())
        };
        let until = |at: usize, cell: &Cell| {
            cell.until[at].as_ref().map_or_else(String::new, |until| number::amount(self.unit, until))
        };
        let [half, most, all] = SHARES.map(|share| format!("{share} % back after"));
        Some(Grid::of(
            "pages told of since the task freed its memory, page by page, when reporting had settled",
            cells,
            &[
                ("task", &|cell| cell.task()),
                ("reporting", &|cell| cell.way()),
                ("freed", &|cell| (pages(cell.choices.footprint) * cell.trials as u64).to_string()),
                ("told", &|cell| count(&|account| Some(account.told), cell)),
                ("different", &|cell| count(&|account| Some(account.distinct), cell)),
                ("gone", &|cell| count(&|account| Some(account.gone), cell)),
                ("still there", &|cell| count(&|account| account.stayed, cell)),
                ("touched again", &|cell| count(&|account| account.touched, cell)),
                (&half, &|cell| until(0, cell)),
                (&most, &|cell| until(1, cell)),
                (&all, &|cell| until(2, cell)),
                ("taking it again", &|cell| {
                    cell.refault.as_ref().map_or_else(String::new, |took| number::amount(self.unit, took))
                }),
                ("n", &|cell| cell.trials.to_string()),
            ],
        ))
    }

    fn operations(&self) -> Option<Grid> {
        let timed: Vec<(&Cell, &Interval)> =
            self.cells.iter().filter_map(|cell| Some((cell, cell.operation.as_ref()?))).collect();
        timed.first()?;
        let step = |at: usize, cell: &Cell| match &cell.host {
            Some(host) if cell.choices.report.0 != Report::Off => self.unit.show(host[at].middle),
            _ => String::new(),
        };
        Some(Grid::of(
            "what an operation takes in the guest, and of that what the host spends on its reports",
            timed,
            &[
                ("task", &|(cell, _)| cell.task()),
                ("reporting", &|(cell, _)| cell.way()),
                ("an operation", &|(_, operation)| number::amount(self.unit, operation)),
                ("change of operations [95 %]", &|(cell, _)| {
                    cell.change.as_ref().map_or_else(String::new, number::share)
                }),
                ("reports", &|(cell, _)| cell.while_running[0].to_string()),
                ("pages", &|(cell, _)| cell.while_running[1].to_string()),
                ("fetch", &|(cell, _)| step(0, cell)),
                ("discard", &|(cell, _)| step(1, cell)),
                ("answer", &|(cell, _)| step(2, cell)),
                ("n", &|(cell, _)| cell.trials.to_string()),
            ],
        ))
    }

    fn sentence(&self, cell: &Cell) -> Option<String> {
        if let Some(change) = &cell.change {
            let is = if change.shows_difference() || change.is_counted() {
                let way = if change.middle < 0.0 { "fewer" } else { "more" };
                format!("does {} {way}", percent(change.middle.abs()))
            } else {
                "cannot be told to do more or fewer".to_owned()
            };
            return Some(format!(
                "{} {is} operations a {} with reporting by {} ({}, n = {}).",
                cell.task(),
                self.unit.billion(),
                cell.way(),
                number::share(change),
                change.blocks
            ));
        }
        let (account, all) = (cell.account.as_ref()?, cell.until[2].as_ref()?);
        (!cell.choices.task.0.is_timed()).then(|| {
            format!(
                "With reporting by {}, {} of {} different pages that were told of are gone when reporting has settled, all of them {} after the task freed its memory (n = {}).",
                cell.way(),
                account.gone,
                account.distinct,
                self.unit.show(all.middle),
                cell.trials
            )
        })
    }
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Linux>(), archive.sampling());
        let mut cells: Vec<Cell> = groups.iter().map(|group| cell(group, &groups, how)).collect();
        holm(cells.iter_mut().filter_map(|cell| cell.change.as_mut()));
        let mut kernels: Vec<String> = groups
            .iter()
            .flat_map(|group| group.measured().map(|measured| measured.kernel.clone()))
            .collect();
        kernels.sort_unstable();
        kernels.dedup();
        Self { unit: archive.unit(), kernels, cells }
    }

    fn tables(&self) -> Vec<Grid> {
        [self.operations(), self.came_back(), Some(self.told())].into_iter().flatten().collect()
    }

    fn comparisons(&self) -> usize {
        self.cells.iter().filter(|cell| cell.change.is_some()).count()
    }

    fn sentences(&self) -> Vec<String> {
        self.cells.iter().filter_map(|cell| self.sentence(cell)).collect()
    }

    fn how_to_read(&self) -> String {
        format!(
            "- The guest is a stock kernel ({}) with one process. *off*: no driver that reports is loaded. *virtio*: its own virtio_balloon. *hypercall-each*, \
             *hypercall-batch*: a module in its place calls for every block, or for every report, of the same reporting core.\n\
             - *told* is with repetition, *different* is not; *gone* are those that are not resident any more. One that is resident was *still there* when its report was \
             answered, or has been *touched again*.\n\
             - *back after*: since the task freed its memory, until that share of all that was given back had been. Linux waits for two seconds before it reports.\n\
             - *an operation* is a page touched (page-fault), or a region allocated or freed (churn), of 4 KiB pages in either case. *fetch*, *discard*, *answer*: what the host \
             spent on reports meanwhile, over the operations.\n",
            self.kernels.join(", ")
        )
    }
}
