//! Rates in one sentence, in pictures, and as a decision.

use super::found::{Found, Rate};
use crate::archive::Archive;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::check::Standing;
use crate::figure::number::{around, mib};
use crate::figure::quantity::Quantity;
use crate::figure::unit::Unit;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let worst =
            self.cells.iter().max_by(|a, b| a.deviation.middle.abs().total_cmp(&b.deviation.middle.abs()))?;
        Some(Headline {
            sentence: self.standstills().or_else(|| self.rates())?,
            confidence: self.confidence(),
            figures: vec![
                KeyFigure::new(
                    format!("furthest from what is predicted, {}", worst.title()),
                    deviation(worst),
                ),
                KeyFigure::new("the same, observed a second", mib(worst.observed.middle)),
                KeyFigure::new("the same, predicted a second", mib(worst.predicted.middle)),
            ],
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let observed = self.cells.iter().map(|cell| {
            Bar::of(
                cell.title(),
                &cell.observed,
                format!("{} (formula {})", mib(cell.observed.middle), mib(cell.formula)),
            )
        });
        let deviations =
            self.cells.iter().map(|cell| Bar::of(cell.title(), &cell.deviation, deviation(cell)));
        let blocks = self.cells.iter().map(|cell| cell.observed.blocks).min().unwrap_or_default();
        let chart = |id: &str, title: &str, reading: &str, along, bars| Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            reading: reading.to_owned(),
            caveats: caveats(Unit::Nanoseconds, blocks),
            body: Body::Bars(Bars { along, bars }),
        };
        vec![
            chart(
                "deviation",
                "Observed rate against the predicted one",
                "How far the observed rate is from what delay, budget and capacity say when the time of the reports is counted, with its 95 % interval.",
                Measure::even("deviation", Quantity::Change),
                deviations.collect(),
            ),
            chart(
                "observed",
                "Memory reported a second",
                "Observed, by powers of ten, with its 95 % interval; the formula's without the time of reports beside it.",
                Measure::powers("bytes a second", Quantity::Bytes),
                observed.collect(),
            ),
        ]
    }

    fn decision(&self) -> Option<Decision> {
        let option = |cell: &Rate| {
            Choice::new(
                cell.title(),
                format!(
                    "{} a second observed, {} predicted ({})",
                    mib(cell.observed.middle),
                    mib(cell.predicted.middle),
                    deviation(cell)
                ),
            )
        };
        let holds =
            self.stalled.is_empty() && self.cells.iter().all(|cell| cell.standing() == Standing::Holds);
        Some(Decision {
            options: self.cells.iter().map(option).collect(),
            decided: (holds && !self.cells.is_empty()).then(|| "Delay, budget and capacity can be chosen by the formula, with the time of the reports added.".to_owned()),
            because: self.rates().into_iter().chain(self.standstills()).collect::<Vec<_>>().join(" "),
            revisit: vec!["reports take another time on another host: that is in the prediction, and is not predicted".to_owned()],
        })
    }
}

impl Found {
    fn confidence(&self) -> String {
        let count = |standing| self.cells.iter().filter(|cell| cell.standing() == standing).count();
        format!(
            "by whole 95 % intervals {} of {} cells are as predicted, {} are not, of {} it cannot be said",
            count(Standing::Holds),
            self.cells.len(),
            count(Standing::Fails),
            count(Standing::Unknown)
        )
    }
}

fn deviation(cell: &Rate) -> String {
    around(&cell.deviation, " %", |share| format!("{:+.2}", share * 100.0))
}
