//! Processor time in one sentence, in a picture, and as a decision.

use super::found::{Found, Row};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats, of_all, sides};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure, Tone};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, plain};
use crate::figure::quantity::Quantity;
use crate::figure::size::block;

/// Names, and by how much each differs from what it is held against.
type Changes = Vec<(String, Interval)>;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let (rows, changes) = self.held()?;
        let (order, base) = (rows.first()?.order, self.first(rows.first()?.order));
        let figure =
            |row: &Row| KeyFigure::new(format!("{}, a GiB", label(row.rung)), amount(self.unit, &row.both));
        Some(Headline {
            sentence: format!(
                "Processor time for a GiB given back in blocks of {}, against {base}: {}.",
                block(order),
                sides(["less", "more"], &changes, |change| plain(self.unit, change))
            ),
            confidence: of_all(&changes),
            figures: rows.iter().take(3).map(figure).collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        self.rows.chunk_by(|a, b| a.order == b.order).map(|rows| self.chart(rows)).collect()
    }

    fn decision(&self) -> Option<Decision> {
        let (rows, changes) = self.held()?;
        let base = self.first(rows.first()?.order);
        let less: Vec<&str> = changes
            .iter()
            .filter(|(_, change)| change.shows_difference() && change.middle < 0.0)
            .map(|(name, _)| name.as_str())
            .collect();
        let all_more = changes.iter().all(|(_, change)| change.shows_difference() && change.middle > 0.0);
        let decided = match less.as_slice() {
            [] if all_more => Some(format!("For processor time: {base}.")),
            [] => None,
            those => Some(format!("For processor time: rather {} than {base}.", those.join(" or "))),
        };
        Some(Decision {
            options: rows.iter().map(|row| Choice::new(label(row.rung), format!("{} a GiB", amount(self.unit, &row.both)))).collect(),
            decided,
            because: format!("Against {base}: {}.", sides(["less", "more"], &changes, |change| plain(self.unit, change))),
            revisit: vec!["reports come less often: a thread that polls has its processor also while nothing is reported".to_owned()],
        })
    }
}

impl Found {
    /// The rows of the first order that holds anything against its first, and their changes.
    fn held(&self) -> Option<(&[Row], Changes)> {
        let of = |rows: &[Row]| -> Changes {
            rows.iter().filter_map(|row| Some((label(row.rung), row.against?))).collect()
        };
        let mut orders = self.rows.chunk_by(|a, b| a.order == b.order).map(|rows| (rows, of(rows)));
        orders.find(|(_, changes)| !changes.is_empty())
    }

    fn chart(&self, rows: &[Row]) -> Chart {
        let order = rows.first().map_or(0, |row| row.order);
        let bar = |row: &Row| {
            let device = row
                .device
                .as_ref()
                .map_or_else(String::new, |device| format!(", device {}", self.unit.show(device.middle)));
            let tone = row.against.as_ref().map_or(Tone::Base, Tone::of);
            Bar::of(label(row.rung), &row.both, format!("{}{device}", amount(self.unit, &row.both)))
                .toned(tone)
        };
        let blocks = rows.iter().map(|row| row.both.blocks).min().unwrap_or_default();
        Chart {
            id: format!("time-{order}"),
            title: format!("Processor time for a GiB given back in blocks of {}", block(order)),
            reading: "vCPU's and device's threads together, middle over blocks with its 95 % interval; coloured by the test against the first.".to_owned(),
            caveats: caveats(self.unit, blocks).into_iter().chain(["What the guest does with its pages before and after is in every bar, and alike.".to_owned()]).collect(),
            body: Body::Bars(Bars { along: Measure::even("processor time a GiB", Quantity::Cost(self.unit)), bars: rows.iter().map(bar).collect() }),
        }
    }
}
