//! What each way to discard costs, and what it frees.

use abi::addr::Order;
use host::axes::{Backing, Discard, Way};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::experiment::contract::Findings;
use crate::experiment::least::{AgainstLeast, Blocks, in_tables};
use crate::figure::interval::{Interval, Sampling, pairs};
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::{Grid, NOTHING_BACK};
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::measured::{ProofCounts, TimedMeasured};
use crate::trial::timed::phases::Phase;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// Every discard, with every memory it goes with, of every order.
    pub cells: Vec<Cell>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// What is done with a range.
    pub discard: Named<Discard>,
    /// What memory is made of.
    pub backing: Named<Backing>,
    /// The order of a range.
    pub order: u8,
    /// Ranges in a report.
    pub ranges: u16,
    /// Calls of the kernel that a report takes.
    pub calls: f64,
    /// A call, with the interval of its median over blocks.
    pub a_call: Interval,
    /// The same of a page.
    pub a_page: Interval,
    /// How much more a page costs than by the discard of the same memory and order that frees its pages at the least cost;
    /// absent of that one, and of those that do not free their pages at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against_least: Option<AgainstLeast>,
    /// Where discards are put off: what a page takes when memory is wanted; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub later: Option<Interval>,
    /// What touching a page takes afterwards, over touching one that is there; likewise.
    pub refault: Interval,
    /// What became of the pages.
    pub proof: ProofCounts,
    /// Why it frees nothing; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why_nothing: Option<String>,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let groups = archive.groups::<Timed>();
        let unit = groups.first().map_or(Unit::Nanoseconds, |group| group.clock().unit());
        let how = archive.sampling();
        let mut cells: Vec<(Cell, Blocks)> = groups.iter().map(|group| cell(group, how)).collect();
        let place = |cell: &Cell| (cell.order, cell.backing);
        let table = |cell: &Cell| cell.frees().then(|| place(cell));
        in_tables(&mut cells, table, |cell, against| cell.against_least = against, how);
        cells.sort_by_key(|(cell, _)| (place(cell), cell.discard));
        Self { unit, cells: cells.into_iter().map(|(cell, _)| cell).collect() }
    }

    fn tables(&self) -> Vec<Grid> {
        let mut orders: Vec<u8> = self.cells.iter().map(|cell| cell.order).collect();
        orders.dedup();
        orders.into_iter().map(|order| self.of_order(order)).collect()
    }

    fn comparisons(&self) -> usize {
        let is_in = |cell: &&Cell| cell.frees();
        let tables =
            self.cells.chunk_by(|one, other| (one.order, one.backing) == (other.order, other.backing));
        tables.map(|cells| pairs(cells.iter().filter(is_in).count())).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        let freed_nothing = self.cells.iter().filter_map(|cell| {
            let why = cell.why_nothing.as_ref()?;
            let Cell { discard, backing, order, proof, .. } = cell;
            Some(format!(
                "{discard} of {backing} in blocks of {} freed {} of {} pages: {why}. What it costs is the cost of nothing.",
                block(*order),
                proof.unmapped,
                proof.reported
            ))
        });
        freed_nothing.collect()
    }

    fn how_to_read(&self) -> String {
        "- *a call*, *a page*: the discard phase of a report, over its calls and its pages; medians of trials, their middle over blocks with its 95 % interval.\n\
         - *more than the least*: than the discard of the same memory that frees its pages at the least cost, block by block; `=` equal within the margin, `~` \
         cannot be told apart, by an exact signed-rank test corrected for all pairs of that memory.\n\
         - *later*: of what is put off, the discard when memory is wanted, which is no part of a report; what is left of a call is to remember the pages.\n\
         - *unmapped*: reported pages that are neither in the page table nor, where memory is a shared file, in that file. *lazily*: still there, and marked \
         as the kernel's to take (LazyFree). *back*: the host can give their frames to others.\n\
         - *refault*: what touching a page takes afterwards, over touching one that is there. Where nothing is freed it is the cost of mapping it again.\n"
            .to_owned()
    }
}

impl Cell {
    /// Whether it frees its pages, and at once.
    pub(super) fn frees(&self) -> bool {
        self.why_nothing.is_none() && self.proof.unmapped > 0 && self.later.is_none()
    }
}

impl Found {
    fn of_order(&self, order: u8) -> Grid {
        let unit = self.unit;
        let cells = || self.cells.iter().filter(move |cell| cell.order == order);
        let blocks = cells().map(|cell| cell.a_call.blocks).min().unwrap_or_default();
        let ranges = cells().next().map_or(0, |cell| cell.ranges);
        let title = format!("blocks of {}; {ranges} a report, n = {blocks}", block(order));
        Grid::of(
            title,
            cells(),
            &[
                ("memory", &|cell| cell.backing.to_string()),
                ("discard", &|cell| cell.discard.to_string()),
                ("calls", &|cell| number::number(cell.calls)),
                ("a call [95 %]", &|cell| number::amount(unit, &cell.a_call)),
                ("a page [95 %]", &|cell| number::amount(unit, &cell.a_page)),
                ("more than the least", &|cell| {
                    cell.against_least.as_ref().map_or_else(String::new, |against| against.show(unit))
                }),
                ("later, a page [95 %]", &|cell| {
                    cell.later.as_ref().map_or_else(String::new, |later| number::amount(unit, later))
                }),
                ("unmapped", &|cell| share(cell, cell.proof.unmapped)),
                ("lazily", &|cell| match cell.proof.lazy {
                    0 => String::new(),
                    lazy => share(cell, lazy),
                }),
                ("back", &|cell| match cell.proof.unknown {
                    0 => share(cell, cell.proof.back),
                    _ => "unknown".to_owned(),
                }),
                ("refault a page [95 %]", &|cell| number::amount(unit, &cell.refault)),
            ],
        )
    }
}

/// Of the pages reported to look at them afterwards.
fn share(cell: &Cell, pages: u64) -> String {
    match pages {
        0 => NOTHING_BACK.to_owned(),
        pages => percent(ratio(float(pages), float(cell.proof.reported))),
    }
}

/// What a page that was put off takes when memory is wanted; time only.
fn later(measured: &TimedMeasured) -> Option<f64> {
    let put_off = measured.counts.put_off?;
    Some(ratio(float(put_off.took_ns?), float(put_off.discarded)))
}

fn cell(group: &Group<'_, Timed>, how: Sampling) -> (Cell, Blocks) {
    let choices = group.choices;
    let calls = total(group.measured().map(|measured| measured.counts.madvise_calls));
    let calls = ratio(float(calls), float(total(group.measured().map(|measured| measured.reports))));
    let pages = float(u64::from(choices.batch) * choices.pages_a_range());
    let figure = |phase, part| move |measured: &TimedMeasured| ratio(measured.phase(phase).p50, part);
    let over = |phase, part: f64| group.interval(how, figure(phase, part));
    let order: Order = choices.block();
    let cell = Cell {
        discard: choices.way.discard,
        backing: choices.way.backing,
        order: choices.order,
        ranges: choices.batch,
        calls,
        a_call: over(Phase::Discard, calls),
        a_page: over(Phase::Discard, pages),
        against_least: None,
        later: group.interval_if_known(how, later),
        refault: over(Phase::Refault, pages),
        proof: group.measured().fold(ProofCounts::default(), |sum, measured| sum.plus(measured.proof)),
        why_nothing: Way::from(choices.way).why_nothing(order).map(str::to_owned),
    };
    (cell, group.by_block(figure(Phase::Discard, pages)))
}
