//! A report and its discard taken apart: what of its cost is transport.
//!
//! Every rung discards the same pages in a block, and some do it dearer than others because of how they were told: a
//! thread that discards while the vCPU runs has to flush its translations. So the transport of a report is all of it but
//! what the cheapest rung pays to discard the same pages in the same block; and what a rung pays beyond that is a part
//! of its own, beside the path that carries the report. The transport of one rung less that of another is then what the
//! waterfall between them adds up to.

use abi::axes::Axis;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{Block, CellSummary};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling, holm_against_least};
use crate::figure::unit::{Unit, ratio};

/// A report that discards, taken apart. All but the share are costs a report.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Apart {
    /// The rung.
    pub rung: Named<Rung>,
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// The rung that discards at the least cost.
    pub cheapest: Named<Rung>,
    /// All but the cheapest discard: the next two together.
    pub transport: Interval,
    /// All but its own discard.
    pub path: Interval,
    /// By how much its own discard costs more than the cheapest; absent of that one itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dearer_discard: Option<Interval>,
    /// What the transport has of the report and of the refault that follows it.
    pub share: Interval,
    /// Flushes of the guest's translations by KVM's count, more than the cheapest has; absent if KVM does not count them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub more_flushes: Option<f64>,
}

impl Apart {
    /// What the dearer discard is put down to, by KVM's counters; nothing if it is not shown to be dearer.
    #[must_use]
    pub fn attribution(&self, unit: Unit) -> Option<String> {
        let dearer = self.dearer_discard?;
        if !dearer.shows_difference() || dearer.middle <= 0.0 {
            return None;
        }
        Some(match self.more_flushes {
            Some(flushes) if flushes >= 1.0 => format!(
                "with {flushes:.1} more flushes of the guest's translations by KVM's count, {} each if that is all",
                unit.show(ratio(dearer.middle, flushes))
            ),
            Some(_) => "not explained by KVM's count of flushes".to_owned(),
            None => "not explained: KVM does not count flushes here".to_owned(),
        })
    }
}

/// Takes every cell that discards apart, among the cells of its discard.
#[must_use]
pub fn take_apart(cells: &[CellSummary], how: Sampling) -> Vec<Apart> {
    let mut all: Vec<Apart> = cells.iter().filter_map(|cell| apart(cells, cell, how)).collect();
    for discard in Discard::ALL {
        let mut table: Vec<&mut Apart> = all.iter_mut().filter(|apart| apart.discard.0 == *discard).collect();
        holm_against_least(table.len(), table.iter_mut().filter_map(|apart| apart.dearer_discard.as_mut()));
    }
    all
}

/// Of the cells that discard as this one does, the one whose discard costs the least on the whole: the least of each
/// block would be the luckiest.
fn cheapest<'a>(cells: &'a [CellSummary], like: &CellSummary, how: Sampling) -> Option<&'a CellSummary> {
    let middle = |cell: &CellSummary| {
        let discards: Vec<f64> = cell.blocks.values().map(|block| block.discard).collect();
        Interval::of(&discards, how).map_or(f64::INFINITY, |interval| interval.middle)
    };
    let alike =
        |cell: &&CellSummary| cell.rung.is_some() && cell.discards() && cell.discard() == like.discard();
    cells.iter().filter(alike).min_by(|a, b| middle(a).total_cmp(&middle(b)))
}

fn apart(cells: &[CellSummary], cell: &CellSummary, how: Sampling) -> Option<Apart> {
    if !cell.discards() {
        return None;
    }
    let best = cheapest(cells, cell, how)?;
    let of = |figure: &dyn Fn(&Block, &Block) -> f64| {
        let both = |(number, own): (&u32, &Block)| {
            // Without the stopwatch, as in every other figure.
            let own = Block { total: cell.total(*number)?, ..*own };
            Some(figure(&own, best.blocks.get(number)?))
        };
        Interval::of(&cell.blocks.iter().filter_map(both).collect::<Vec<_>>(), how)
    };
    Some(Apart {
        rung: cell.rung?,
        discard: Named(cell.discard()),
        cheapest: best.rung?,
        transport: of(&|own, best| own.total - best.discard)?,
        path: of(&|own, _| own.total - own.discard)?,
        dearer_discard: of(&|own, best| own.discard - best.discard).filter(|_| cell.rung != best.rung),
        share: of(&|own, best| ratio(own.total - best.discard, own.total + own.refault))?,
        more_flushes: cell.flushes.zip(best.flushes).map(|(own, best)| own - best),
    })
}
