//! Linux guests in one sentence and in pictures.

use super::found::{Cell, Found};
use crate::archive::Archive;
use crate::experiment::told::{Headline, KeyFigure, OBSERVED, Told, caveats, confidence};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, share};
use crate::figure::quantity::Quantity;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        self.of_operations().or_else(|| self.of_pages())
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let name = |cell: &Cell| format!("{} ({})", cell.way(), cell.task());
        let bars = |of: &dyn Fn(&Cell) -> Option<Interval>| -> Vec<Bar> {
            let bar = |cell: &Cell| Some(Bar::of(name(cell), &of(cell)?, amount(self.unit, &of(cell)?)));
            self.cells.iter().filter_map(bar).collect()
        };
        let blocks = self.cells.iter().map(|cell| cell.trials).min().unwrap_or_default();
        let chart = |id: &str, title: &str, label: &str, bars: Vec<Bar>| {
            (!bars.is_empty()).then(|| Chart {
                id: id.to_owned(),
                title: title.to_owned(),
                reading: "Middle over blocks with its 95 % interval, where there is one.".to_owned(),
                caveats: caveats(self.unit, blocks),
                body: Body::Bars(Bars { along: Measure::even(label, Quantity::Cost(self.unit)), bars }),
            })
        };
        [
            chart(
                "operation",
                "What an operation takes in the guest",
                "an operation",
                bars(&|cell| cell.operation),
            ),
            chart(
                "back",
                "Until all that was given back had been, since the task freed its memory",
                "time until it is back",
                bars(&|cell| cell.until[2]),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Found {
    /// What reporting costs, the dearest way first.
    fn of_operations(&self) -> Option<Headline> {
        let mut changes: Vec<(&Cell, &Interval)> =
            self.cells.iter().filter_map(|cell| Some((cell, cell.change.as_ref()?))).collect();
        changes.sort_by(|one, other| one.1.middle.total_cmp(&other.1.middle));
        let (worst, change) = changes.first()?;
        let (best, least) = changes.last()?;
        Some(Headline {
            sentence: format!(
                "Reporting changes how many operations a Linux guest does by {} at the worst ({}; {}) and {} at the best ({}; {}).",
                share(change),
                worst.task(),
                worst.way(),
                share(least),
                best.task(),
                best.way()
            ),
            confidence: confidence(change, 1.0),
            figures: changes
                .iter()
                .take(3)
                .map(|(cell, change)| {
                    KeyFigure::new(format!("{}; {}", cell.task(), cell.way()), share(change))
                })
                .collect(),
        })
    }

    /// What came back, the least of all ways.
    fn of_pages(&self) -> Option<Headline> {
        let back = |cell: &Cell| Some((cell.account?, cell.until[2]?));
        let known: Vec<_> = self.cells.iter().filter_map(|cell| Some((cell, back(cell)?))).collect();
        let (least, (account, all)) = known.iter().min_by_key(|(_, (account, _))| account.gone)?;
        Some(Headline {
            sentence: format!(
                "Over each of {} ways at least {} of the different pages that a Linux guest told of were gone when reporting had settled ({} of {}; {}).",
                known.len(),
                account.gone,
                account.gone,
                account.distinct,
                least.way()
            ),
            confidence: OBSERVED.to_owned(),
            figures: vec![KeyFigure::new(
                format!("until all was back, {}", least.way()),
                amount(self.unit, all),
            )],
        })
    }
}
