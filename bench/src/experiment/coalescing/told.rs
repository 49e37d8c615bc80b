//! Coalescing in one sentence, in a picture, and as a decision.

use super::found::{Cell, Found};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats, of_all, sides};
use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, share};
use crate::figure::quantity::Quantity;
use crate::figure::unit::float;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let (batch, changes) = self.widest()?;
        let figures = changes.iter().take(3);
        let base = label(self.against);
        Some(Headline {
            sentence: format!(
                "With {batch} ranges a report, a range over these against {base} is {}.",
                sides(["cheaper", "dearer"], &changes, share)
            ),
            confidence: of_all(&changes),
            figures: figures
                .map(|(name, change)| {
                    KeyFigure::new(format!("{name} against {base}, {batch} ranges"), share(change))
                })
                .collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let line = |(look, cells): (usize, &[Cell])| Line {
            name: label(cells.first().and_then(|cell| cell.rung)),
            look,
            is_second: false,
            join: Join::Straight,
            points: cells.iter().map(|cell| Point::of(float(cell.batch.into()), &cell.a_range)).collect(),
        };
        let rungs = || self.cells.chunk_by(|one, other| one.rung == other.rung).enumerate();
        let crossings = rungs().filter_map(|(look, cells)| crossing(look, cells));
        let lines = rungs().map(line).chain(crossings).collect();
        let blocks = self.cells.iter().map(|cell| cell.a_range.blocks).min().unwrap_or_default();
        vec![Chart {
            id: "ranges".to_owned(),
            title: "What a range costs, by the ranges of a report".to_owned(),
            reading: format!(
                "Mean of all reports over their ranges, with 95 % intervals over blocks, by powers of ten; lower is cheaper. A dashed bar is where a \
                 transport becomes cheaper than {}: from the last batch with which that is not shown to the first from which on it is.",
                label(self.against)
            ),
            caveats: caveats(self.unit, blocks)
                .into_iter()
                .chain(["The stopwatch is in it, and weighs most where a report is one range.".to_owned()])
                .collect(),
            body: Body::Plot(Plot {
                x: Measure::doublings("ranges a report", Quantity::Count),
                y: Measure::powers("a range", Quantity::Cost(self.unit)),
                lines,
            }),
        }]
    }

    fn decision(&self) -> Option<Decision> {
        let (batch, changes) = self.widest()?;
        let at = |cell: &&Cell| cell.batch == batch;
        let option = |cell: &Cell| {
            Choice::new(
                label(cell.rung),
                format!("{} a range at {batch} ranges", amount(self.unit, &cell.a_range)),
            )
        };
        let is_dearer = |change: &Interval| change.shows_difference() && change.middle > 0.0;
        let cheaper: Vec<&str> = changes
            .iter()
            .filter(|(_, change)| change.shows_difference() && change.middle < 0.0)
            .map(|(name, _)| name.as_str())
            .collect();
        let base = label(self.against);
        let decided = match cheaper.as_slice() {
            [] if changes.iter().all(|(_, change)| is_dearer(change)) => {
                Some(format!("At {batch} ranges a report: {base}."))
            }
            [] => None,
            those => {
                Some(format!("At {batch} ranges a report: not by {base}, but by {}.", those.join(" or ")))
            }
        };
        Some(Decision {
            options: self.cells.iter().filter(at).map(option).collect(),
            decided,
            because: format!("Against {base}: {}.", sides(["cheaper", "dearer"], &changes, share)),
            revisit: vec!["reports hold another number of ranges: lines cross".to_owned()],
        })
    }
}

/// Where a transport becomes cheaper than what it is held against; nothing where it does not, or is from the beginning.
fn crossing(look: usize, cells: &[Cell]) -> Option<Line> {
    let held: Vec<(&Cell, &Interval)> =
        cells.iter().filter_map(|cell| Some((cell, cell.change.as_ref()?))).collect();
    let from = |is: &dyn Fn(&Interval) -> bool| held.iter().rposition(|(_, change)| !is(change));
    let is_shown = |change: &Interval| change.shows_difference() && change.middle < 0.0;
    let [last, unshown] = [from(&|change| change.middle < 0.0)?, from(&is_shown)?];
    let (first, _) = held.get(last + 1)?;
    let x = |place: usize| held.get(place).map(|(cell, _)| float(cell.batch.into()));
    let said = match held.get(unshown + 1) {
        Some((shown, _)) if shown.batch > first.batch => {
            format!("{}, shown from {}", first.batch, shown.batch)
        }
        _ => first.batch.to_string(),
    };
    let y = first.a_range.middle;
    let named = Point { label: said, ..Point::at(x(unshown + 1).or(x(unshown))?, y) };
    Some(Line {
        name: format!("{} is cheaper", label(first.rung)),
        look,
        is_second: true,
        join: Join::Straight,
        points: vec![Point::at(x(last)?, y), named],
    })
}

impl Found {
    /// The largest batch at which anything is held against the base, and what is.
    fn widest(&self) -> Option<(u16, Vec<(String, Interval)>)> {
        let batch = self.cells.iter().filter(|cell| cell.change.is_some()).map(|cell| cell.batch).max()?;
        let of = |cell: &Cell| Some((label(cell.rung), cell.change?));
        Some((batch, self.cells.iter().filter(|cell| cell.batch == batch).filter_map(of).collect()))
    }
}
