//! One call or many, in one sentence, in pictures, and as a decision.

use super::found::{Found, Row, gains, threshold};
use crate::archive::Archive;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats, confidence};
use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, share};
use crate::figure::quantity::Quantity;
use crate::figure::size::block;
use crate::figure::unit::float;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let rows = self.by_order().next()?;
        let largest = rows.last()?;
        let figure = |row: &Row| {
            KeyFigure::new(format!("change of the discard at {} ranges", row.batch), share(&row.change))
        };
        Some(Headline {
            sentence: threshold(rows),
            confidence: format!("at {} ranges {}", largest.batch, confidence(&largest.change, 1.0)),
            figures: rows.iter().rev().take(3).rev().map(figure).collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        self.by_order().map(|rows| self.chart(rows)).collect()
    }

    fn decision(&self) -> Option<Decision> {
        let rows = self.by_order().next()?;
        let option = |name: &str, of: fn(&Row) -> Interval| {
            let ends = [rows.first(), rows.last()].into_iter().flatten();
            let said =
                ends.map(|row| format!("{} a range at {} ranges", amount(self.unit, &of(row)), row.batch));
            Choice::new(name, said.collect::<Vec<_>>().join(", "))
        };
        let last = rows.last()?.change;
        let decided = (last.shows_difference() && last.middle < 0.0).then(|| threshold(rows));
        Some(Decision {
            options: vec![
                option("a madvise for each range", |row| row.single),
                option("one process_madvise for all of them", |row| row.vectored),
            ],
            decided,
            because: gains(rows).collect::<Vec<_>>().join(" "),
            revisit: vec!["reports hold another number of ranges than was tried".to_owned()],
        })
    }
}

impl Found {
    fn chart(&self, rows: &[Row]) -> Chart {
        let order = rows.first().map_or(0, |row| row.order);
        let line = |look, name: &str, of: fn(&Row) -> Interval| Line {
            name: name.to_owned(),
            look,
            is_second: false,
            join: Join::Straight,
            points: rows.iter().map(|row| Point::of(float(row.batch.into()), &of(row))).collect(),
        };
        let blocks = rows.iter().map(|row| row.change.blocks).min().unwrap_or_default();
        Chart {
            id: format!("ranges-{order}"),
            title: format!("Blocks of {}: what discarding a range costs, by the ranges of a report", block(order)),
            reading: "Middle over blocks of medians, with 95 % intervals; where the lines cross, one call for all begins to be cheaper.".to_owned(),
            caveats: caveats(self.unit, blocks),
            body: Body::Plot(Plot {
                x: Measure::doublings("ranges a report", Quantity::Count),
                y: Measure::powers("discard, a range", Quantity::Cost(self.unit)),
                lines: vec![line(0, "a madvise for each", |row| row.single), line(1, "one process_madvise", |row| row.vectored)],
            }),
        }
    }
}
