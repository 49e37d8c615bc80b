//! Comparisons of like things, in one sentence and in a picture.

use super::found::Found;
use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::experiment::told::{Headline, KeyFigure, Told};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::quantity::Quantity;
use crate::figure::unit::{float, percent, ratio};

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let check = self.checks().into_iter().next()?;
        let figures = self
            .outcomes()
            .into_iter()
            .map(|(what, count)| KeyFigure::new(what, format!("{count} of {}", self.comparisons)));
        Some(Headline {
            sentence: self.sentences().into_iter().next()?,
            confidence: format!("{}: {} ({})", check.standing.word(), check.what, check.detail),
            figures: figures.collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let bars = self.outcomes().into_iter().map(|(what, count)| {
            let share = ratio(float(count as u64), float(self.comparisons as u64));
            Bar::plain(what, share, format!("{count} of {} ({})", self.comparisons, percent(share)))
        });
        vec![Chart {
            id: "outcomes".to_owned(),
            title: "What comparisons of a cell with itself were called".to_owned(),
            reading: if self.planted.is_some() {
                "One trial of every pair was slowed: what is not called different was missed."
            } else {
                "Nothing differs here: every one that is called different is called so by chance."
            }
            .to_owned(),
            caveats: vec!["Each comparison stands for itself, corrected for no table.".to_owned()],
            body: Body::Bars(Bars {
                along: Measure::even("share of comparisons", Quantity::Share),
                bars: bars.collect(),
            }),
        }]
    }
}

impl Found {
    const fn outcomes(&self) -> [(&'static str, usize); 3] {
        [("called different", self.different), ("called equal", self.equal), ("cannot say", self.cannot_say)]
    }
}
