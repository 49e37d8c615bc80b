//! Pages that were looked at, in one sentence and in a picture.

use super::found::{Found, Soaked};
use crate::archive::Archive;
use crate::axes::rung::label;
use crate::experiment::contract::Findings;
use crate::experiment::told::{Headline, KeyFigure, Told};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::number::number;
use crate::figure::quantity::Quantity;
use crate::figure::unit::{float, total};

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let sum = |of: fn(&Soaked) -> u64| total(self.cells.iter().map(of));
        Some(Headline {
            sentence: self.sentences().into_iter().next()?,
            confidence: "every page that is said to be looked at was; what was not looked at is not known"
                .to_owned(),
            figures: vec![
                KeyFigure::new("pages reported", number(float(sum(|cell| cell.reported)))),
                KeyFigure::new("violations found by the guest", sum(|cell| cell.violations).to_string()),
                KeyFigure::new("pages found wrong by the host", sum(|cell| cell.wrong).to_string()),
            ],
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let mut place = None;
        let bars = self.cells.iter().map(|cell| {
            let here = (cell.walk, cell.load);
            let is_new = place.replace(here) != Some(here);
            let heading =
                if is_new { format!("walk {}, load {}", cell.walk, cell.load) } else { String::new() };
            let shown = format!(
                "{} pages, {} violations, {} wrong",
                number(float(cell.reported)),
                cell.violations,
                cell.wrong
            );
            Bar::plain(label(cell.rung), float(cell.reported), shown).below(heading)
        });
        let bars = bars.collect();
        vec![Chart {
            id: "reported".to_owned(),
            title: "Pages reported, and what was found of them".to_owned(),
            reading: "By powers of ten; how much of each combination has been tried.".to_owned(),
            caveats: Vec::new(),
            body: Body::Bars(Bars { along: Measure::powers("pages reported", Quantity::Count), bars }),
        }]
    }
}
