//! What reports do to other memory, in pictures.

use super::found::{Cell, Found};
use crate::archive::Archive;
use crate::experiment::told::Told;
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::number::{self, around};
use crate::figure::quantity::Quantity;
use crate::figure::size::block;

impl Told for Found {
    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let of = |cells: &[Cell]| [faults(cells), huge(cells)];
        self.cells.chunk_by(|one, other| one.order == other.order).flat_map(of).collect()
    }
}

/// A bar a cell, below its memory.
fn bars(cells: &[Cell], bar: impl Fn(&Cell) -> Option<Bar>) -> Vec<Bar> {
    let mut backing = None;
    let below = |cell: &Cell| {
        let bar = bar(cell)?;
        let is_new = backing.replace(cell.backing) != Some(cell.backing);
        Some(bar.below(if is_new { format!("memory: {}", cell.backing) } else { String::new() }))
    };
    cells.iter().filter_map(below).collect()
}

fn faults(cells: &[Cell]) -> Chart {
    let order = cells.first().map_or(0, |cell| cell.order);
    let bar = |cell: &Cell| {
        let faults = cell.faults.as_ref()?;
        Some(Bar::of(cell.discard.to_string(), faults, around(faults, "", number::number)))
    };
    Chart {
        id: format!("faults-{order}"),
        title: format!("Blocks of {}: faults of the guest on pages that were not reported", block(order)),
        reading: "A report, with the 95 % interval over blocks; what the discard none has is no discard's."
            .to_owned(),
        caveats: vec!["Where KVM does not count faults, a row is missing.".to_owned()],
        body: Body::Bars(Bars {
            along: Measure::even("faults a report", Quantity::Count),
            bars: bars(cells, bar),
        }),
    }
}

fn huge(cells: &[Cell]) -> Chart {
    let order = cells.first().map_or(0, |cell| cell.order);
    let bar = |cell: &Cell| Some(Bar::plain(cell.discard.to_string(), cell.huge, number::number(cell.huge)));
    Chart {
        id: format!("huge-{order}"),
        title: format!("Blocks of {}: huge pages less after a report", block(order)),
        reading: "By smaps; whole ones that were reported are among them.".to_owned(),
        caveats: vec!["Means of all reports together: no interval is given.".to_owned()],
        body: Body::Bars(Bars {
            along: Measure::even("huge pages a report", Quantity::Count),
            bars: bars(cells, bar),
        }),
    }
}
