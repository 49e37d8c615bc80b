//! Orders and capacities, in one sentence, in pictures, and as a decision.

use super::found::{Found, Point, SHARE, said};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{self, Body, Chart, Join, Line, Measure, Plot};
use crate::figure::interval::Interval;
use crate::figure::number::part;
use crate::figure::quantity::Quantity;
use crate::figure::size::block;
use crate::figure::unit::percent;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        // What Linux has: 32 blocks a report; else whatever ran.
        let threshold = self.thresholds.iter().rfind(|threshold| threshold.capacity == 32);
        let threshold = threshold.or_else(|| self.thresholds.last())?;
        let of = |cell: &&Point| cell.rung == threshold.rung && cell.capacity == threshold.capacity;
        let figure = |cell: &Point| {
            Some(KeyFigure::new(
                format!("transport's share at order {} ({})", cell.order, block(cell.order)),
                part(&cell.transport_of_all?),
            ))
        };
        let blocks = self.cells.iter().filter(of).map(|cell| cell.cost.blocks).min().unwrap_or_default();
        Some(Headline {
            sentence: said(threshold),
            confidence: format!("by the whole 95 % interval, below {}, over {blocks} blocks", percent(SHARE)),
            figures: self.cells.iter().filter(of).filter_map(figure).take(3).collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let rungs = self.cells.chunk_by(|one, other| one.rung == other.rung).enumerate();
        rungs.flat_map(|(number, cells)| [self.share(number, cells), self.cost(number, cells)]).collect()
    }

    fn decision(&self) -> Option<Decision> {
        let option = |cell: &Point| {
            let share = cell.transport_of_all.as_ref().map_or_else(|| "unknown".to_owned(), part);
            Choice::new(
                format!("{}, order {}, {} a report", label(cell.rung), cell.order, cell.capacity),
                format!("{share} of reporting and touching again is transport"),
            )
        };
        let shown: Vec<String> =
            self.thresholds.iter().filter(|threshold| threshold.order.is_some()).map(said).collect();
        (!self.cells.is_empty()).then(|| Decision {
            options: self.cells.iter().map(option).collect(),
            decided: (!shown.is_empty()).then(|| shown.join(" ")),
            because: super::found::rule() + ".",
            revisit: vec!["the discard or the refault costs another amount: the share is of them".to_owned()],
        })
    }
}

impl Found {
    /// A line a capacity, over orders.
    fn over_orders(cells: &[Point], of: impl Fn(&Point) -> Option<Interval>) -> Vec<Line> {
        let mut capacities: Vec<u16> = cells.iter().map(|cell| cell.capacity).collect();
        capacities.sort_unstable();
        capacities.dedup();
        let line = |(look, capacity): (usize, &u16)| {
            let here = cells.iter().filter(|cell| cell.capacity == *capacity);
            let points = here.filter_map(|cell| Some(chart::Point::of(cell.order.into(), &of(cell)?)));
            let name = format!("{capacity} a report");
            Line { name, look, is_second: false, join: Join::Straight, points: points.collect() }
        };
        capacities.iter().enumerate().map(line).collect()
    }

    fn share(&self, number: usize, cells: &[Point]) -> Chart {
        Chart {
            id: format!("share-{number}"),
            title: format!(
                "{}: what transport has of reporting memory and touching it again, by order",
                label(cells.first().and_then(|cell| cell.rung))
            ),
            reading: format!("With 95 % intervals; below {} exits are said not to matter.", percent(SHARE)),
            caveats: caveats(self.unit, blocks(cells)),
            body: Body::Plot(Plot {
                x: Measure::even("order of a block", Quantity::Count),
                y: Measure::even("transport's share", Quantity::Share),
                lines: Self::over_orders(cells, |cell| cell.transport_of_all),
            }),
        }
    }

    fn cost(&self, number: usize, cells: &[Point]) -> Chart {
        Chart {
            id: format!("mib-{number}"),
            title: format!(
                "{}: what reporting a MiB costs, by order",
                label(cells.first().and_then(|cell| cell.rung))
            ),
            reading: "Guest and host together, with 95 % intervals, by powers of ten.".to_owned(),
            caveats: caveats(self.unit, blocks(cells)),
            body: Body::Plot(Plot {
                x: Measure::even("order of a block", Quantity::Count),
                y: Measure::powers("a MiB", Quantity::Cost(self.unit)),
                lines: Self::over_orders(cells, |cell| Some(cell.cost)),
            }),
        }
    }
}

fn blocks(cells: &[Point]) -> usize {
    cells.iter().map(|cell| cell.cost.blocks).min().unwrap_or_default()
}
