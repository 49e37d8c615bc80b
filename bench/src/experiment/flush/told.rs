//! Flushes in one sentence, in pictures, and as a decision.

use super::found::{Cell, Found};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::least::Contest;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::number::{amount, around, mib, number};
use crate::figure::quantity::Quantity;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let cells = self.discarding();
        let contest = contest(&cells)?;
        let best = contest.best;
        let figure = |cell: &Cell| {
            KeyFigure::new(
                format!("{}, discard {}", label(cell.rung), cell.discard),
                amount(self.unit, &cell.took),
            )
        };
        Some(Headline {
            sentence: format!(
                "{} are reported and discarded by {} over {} in {}, the least of {} ways that discard{}.",
                mib(best.pages * 4096.0),
                best.discard,
                label(best.rung),
                amount(self.unit, &best.took),
                cells.len(),
                contest.but(name)
            ),
            confidence: contest.confidence(name),
            figures: cells.iter().take(3).map(figure).collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let unit = self.unit;
        let rate = format!("GiB a {}", unit.billion());
        let took = self.bars(|cell| Bar::of(label(cell.rung), &cell.took, amount(unit, &cell.took)));
        let rates = self.bars(|cell| Bar::of(label(cell.rung), &cell.rate, around(&cell.rate, "", number)));
        let chart = |id: &str, title: String, along, bars| {
            Chart {
            id: id.to_owned(),
            title,
            reading: "From the host's question to the last acknowledgement, middle over blocks with its 95 % interval.".to_owned(),
            caveats: caveats(unit, self.cells.iter().map(|cell| cell.took.blocks).min().unwrap_or_default()),
            body: Body::Bars(Bars { along, bars }),
        }
        };
        vec![
            chart(
                "took",
                "How long until everything free is reported".to_owned(),
                Measure::even("time of a flush", Quantity::Cost(unit)),
                took,
            ),
            chart("rate", format!("At which rate: {rate}"), Measure::even(rate, Quantity::Count), rates),
        ]
    }

    fn decision(&self) -> Option<Decision> {
        let cells = self.discarding();
        let contest = contest(&cells)?;
        let best = contest.best;
        let option = |cell: &Cell| {
            Choice::new(
                format!("{}, discard {}", label(cell.rung), cell.discard),
                format!("{} for {}", amount(self.unit, &cell.took), mib(cell.pages * 4096.0)),
            )
        };
        Some(Decision {
            options: self.cells.iter().map(option).collect(),
            decided: contest.is_decided().then(|| {
                format!("To flush: {} with discard {}{}.", label(best.rung), best.discard, contest.but(name))
            }),
            because: format!(
                "{} took the least time{}; {}.",
                name(best),
                contest.but(name),
                contest.confidence(name)
            ),
            revisit: vec!["a guest has more memory, or has it free in other blocks".to_owned()],
        })
    }
}

impl Found {
    fn discarding(&self) -> Vec<Cell> {
        self.cells.iter().filter(|cell| cell.discards()).cloned().collect()
    }

    /// A bar a cell, below its discard.
    fn bars(&self, bar: impl Fn(&Cell) -> Bar) -> Vec<Bar> {
        let mut discard = None;
        let below = |cell: &Cell| {
            let is_new = discard.replace(cell.discard) != Some(cell.discard);
            bar(cell).below(if is_new { format!("discard: {}", cell.discard) } else { String::new() })
        };
        self.cells.iter().map(below).collect()
    }
}

fn contest(cells: &[Cell]) -> Option<Contest<'_, Cell>> {
    Contest::of(cells, |cell| cell.took.middle, |cell| cell.against_least)
}

fn name(cell: &Cell) -> String {
    format!("{} with {}", label(cell.rung), cell.discard)
}
