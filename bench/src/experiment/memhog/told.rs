//! Memory that comes back, in one sentence and in pictures.

use super::found::{Found, OfTransport};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::told::{Headline, KeyFigure, OBSERVED, Told, caveats};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, part};
use crate::figure::quantity::Quantity;
use crate::figure::unit::percent;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let known: Vec<(&OfTransport, Interval)> =
            self.cells.iter().filter_map(|cell| Some((cell, last(cell)?))).collect();
        let least = known.iter().min_by(|a, b| a.1.middle.total_cmp(&b.1.middle))?;
        let slowest = known.iter().max_by(|a, b| a.0.settled_ns.middle.total_cmp(&b.0.settled_ns.middle))?;
        let ways = known.len();
        let unknown = self.cells.len() - ways;
        let of_others =
            if unknown > 0 { format!("; of {unknown} more nobody can tell") } else { String::new() };
        Some(Headline {
            sentence: format!(
                "Over each of {ways} transports at least {} of the guest's free memory was back when reporting had settled after the last round, {} after it was freed at the latest (mean, {}){of_others}.",
                percent(least.1.middle),
                self.unit.show(slowest.0.settled_ns.middle),
                label(slowest.0.rung)
            ),
            confidence: OBSERVED.to_owned(),
            figures: vec![
                KeyFigure::new(format!("back over {}, the least", label(least.0.rung)), part(&least.1)),
                KeyFigure::new(
                    format!("until it had settled over {}, the longest", label(slowest.0.rung)),
                    amount(self.unit, &slowest.0.settled_ns),
                ),
            ],
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let blocks = self.cells.iter().map(|cell| cell.settled_ns.blocks).min().unwrap_or_default();
        let settled = self
            .cells
            .iter()
            .map(|cell| Bar::of(label(cell.rung), &cell.settled_ns, amount(self.unit, &cell.settled_ns)));
        let back = self.cells.iter().filter_map(|cell| {
            let back = last(cell)?;
            Some(Bar::of(label(cell.rung), &back, part(&back)))
        });
        let missing = self.cells.iter().filter(|cell| last(cell).is_none());
        let missing: Vec<String> =
            missing.map(|cell| format!("Over {} the witness could not tell.", label(cell.rung))).collect();
        let chart = |id: &str, title: &str, caveats, along, bars| Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            reading: "Middle over blocks with its 95 % interval.".to_owned(),
            caveats,
            body: Body::Bars(Bars { along, bars }),
        };
        vec![
            chart(
                "settled",
                "From the last round's memory freed to the end of the last pass that reported",
                caveats(self.unit, blocks),
                Measure::even("time until settled", Quantity::Cost(self.unit)),
                settled.collect(),
            ),
            chart(
                "back",
                "Share of the guest's free memory that is back on the host after the last round",
                missing,
                Measure::even("share that is back", Quantity::Share),
                back.collect(),
            ),
        ]
    }
}

/// What was back after the last round, if the witness could tell.
fn last(cell: &OfTransport) -> Option<Interval> {
    cell.returned.last().copied().flatten()
}
