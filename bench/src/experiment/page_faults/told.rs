//! What reporting costs a workload, in one sentence, in pictures, and as a decision.

use super::found::{Found, OfUnit, Row};
use super::state::State;
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats, confidence};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::interval::Verdict;
use crate::figure::number::share;
use crate::figure::quantity::Quantity;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let (unit, row) = self.main()?;
        let figures = unit.rows.iter().filter(|other| other.rung.is_none() || other.rung == row.rung);
        Some(Headline {
            sentence: format!(
                "Reporting {} over {}, with blocks of {}, {}.",
                row.state,
                label(row.rung),
                unit.name(),
                said(row)
            ),
            confidence: confidence(&row.change, 1.0),
            figures: figures
                .take(3)
                .map(|row| KeyFigure::new(format!("operations, {}", row.state), share(&row.change)))
                .collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        self.units.iter().enumerate().map(|(number, unit)| self.chart(number, unit)).collect()
    }

    fn decision(&self) -> Option<Decision> {
        let (unit, row) = self.main()?;
        let option = |row: &Row| {
            let over = row.rung.map_or_else(String::new, |rung| format!(" over {rung}"));
            Choice::new(format!("{}{over}", row.state), format!("{} operations", share(&row.change)))
        };
        let decided = match row.change.verdict(1.0) {
            Verdict::Equal => Some(
                "Reporting can be on by default: what it costs this workload is within the margin."
                    .to_owned(),
            ),
            Verdict::Different if row.change.middle < 0.0 => {
                Some("Reporting has a price for this workload, which has to be worth the memory.".to_owned())
            }
            Verdict::Different => {
                Some("Reporting can be on by default: this workload is not slower with it.".to_owned())
            }
            Verdict::CannotSay => None,
        };
        Some(Decision {
            options: unit.rows.iter().map(option).collect(),
            decided,
            because: format!(
                "With blocks of {}, {} over {} {}.",
                unit.name(),
                row.state,
                label(row.rung),
                said(row)
            ),
            revisit: vec![
                "the workload is another: this one does nothing but fault pages in and give them back"
                    .to_owned(),
            ],
        })
    }
}

impl Found {
    /// What the answer is about: on with discard, over the last transport of the first order.
    fn main(&self) -> Option<(&OfUnit, &Row)> {
        let unit = self.units.first()?;
        let row = unit.rows.iter().rev().find(|row| row.state.0 == State::WithDiscard);
        Some((unit, row.or_else(|| unit.rows.last())?))
    }

    fn chart(&self, number: usize, unit: &OfUnit) -> Chart {
        let mut rung = None;
        let bars = unit.rows.iter().map(|row| {
            let heading = row.rung.map_or_else(|| "any transport".to_owned(), |rung| format!("over {rung}"));
            let is_new = rung.replace(row.rung) != Some(row.rung);
            let bar = Bar::change(row.state.to_string(), &row.change, share(&row.change));
            bar.below(if is_new { heading } else { String::new() })
        });
        let bars = bars.collect();
        Chart {
            id: format!("change-{number}"),
            title: format!(
                "Blocks of {}: change of operations against a guest without reporting",
                unit.name()
            ),
            reading:
                "Middle over blocks of the change in each block, with its 95 % interval; left of 0 is slower."
                    .to_owned(),
            caveats: caveats(self.unit, unit.absent.blocks),
            body: Body::Bars(Bars { along: Measure::even("change of operations", Quantity::Change), bars }),
        }
    }
}

/// What may be said of a change.
fn said(row: &Row) -> String {
    let figures = share(&row.change);
    let figures = figures.trim_start_matches("~ ");
    match row.change.verdict(1.0) {
        Verdict::Different if row.change.middle < 0.0 => {
            format!("costs this workload operations ({figures})")
        }
        Verdict::Different => format!("leaves this workload with more operations ({figures})"),
        Verdict::Equal => format!("changes this workload's operations by less than the margin ({figures})"),
        Verdict::CannotSay => format!("cannot be told from no reporting at all ({figures})"),
    }
}
