//! How long a block must stay free for its report to pay, by what reports and refaults cost in this run: the rule of
//! [`crate::model::worth`], with figures that were measured in the place of a model's.

use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::CellSummary;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling};
use crate::figure::unit::Unit;
use crate::model::worth::{GIB_PER_CPU, longer_than};

/// From how long on a range that stays free is worth its report.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Worth {
    /// How it is reported.
    pub rung: Named<Rung>,
    /// What the host does with it.
    pub discard: Named<Discard>,
    /// Report and refault of a range together, without the stopwatch if it was weighed.
    pub cost: Interval,
    /// How long it must stay free, where [`GIB_PER_CPU`] GiB of memory are worth a processor.
    pub longer_than: Interval,
}

/// Of every rung that discards; of none where figures are no time.
#[must_use]
pub fn worth(cells: &[CellSummary], unit: Unit, how: Sampling) -> Vec<Worth> {
    let is_time = unit == Unit::Nanoseconds;
    cells.iter().filter(|cell| is_time && cell.discards()).filter_map(|cell| of(cell, how)).collect()
}

fn of(cell: &CellSummary, how: Sampling) -> Option<Worth> {
    let ranges = f64::from(cell.choices.ranges_a_report());
    let bytes =
        crate::model::cost::Blocks { order: cell.choices.order, discarded: true, huge: false }.bytes();
    let cost =
        |(number, block): (&u32, &super::cell::Block)| Some((cell.total(*number)? + block.refault) / ranges);
    let costs: Vec<f64> = cell.blocks.iter().filter_map(cost).collect();
    let free: Vec<f64> = costs.iter().map(|cost| longer_than(*cost, bytes, GIB_PER_CPU)).collect();
    Some(Worth {
        rung: cell.rung?,
        discard: Named(cell.discard()),
        cost: Interval::of(&costs, how)?,
        longer_than: Interval::of(&free, how)?,
    })
}
