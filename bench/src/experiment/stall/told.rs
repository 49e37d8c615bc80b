//! How long a vCPU is kept, in one sentence, in a picture, and as a decision.

use super::found::{Does, Found, Row, SHARED, company};
use crate::archive::Archive;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats, of_all, sides};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure, Tone};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, share};
use crate::figure::quantity::Quantity;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let changes = self.changes();
        let figure = |row: &Row| {
            KeyFigure::new(
                format!("one that {}, {}, p99.9", row.does, name(row)),
                amount(self.unit, &row.p999),
            )
        };
        let figures = self
            .rows
            .iter()
            .filter(|row| changes.is_empty() || row.against.is_some())
            .take(3)
            .map(figure)
            .collect();
        if changes.is_empty() {
            let row = self.rows.first()?;
            let sentence = format!(
                "A vCPU that {} ({}) is kept for {} at the 99.9th percentile.",
                row.does,
                name(row),
                amount(self.unit, &row.p999)
            );
            return Some(Headline {
                sentence,
                confidence: "nothing is held against it in this run".to_owned(),
                figures,
            });
        }
        Some(Headline {
            sentence: format!(
                "A vCPU that faults, at the 99.9th percentile, while others report, against where nobody reports: {}.",
                sides(["kept for less long", "kept longer"], &changes, share)
            ),
            confidence: of_all(&changes),
            figures,
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let mut does = None;
        let bars = self.rows.iter().map(|row| {
            let is_new = does.replace(row.does) != Some(row.does);
            let heading = if is_new { format!("a vCPU that {}", row.does) } else { String::new() };
            let tone = row.against.as_ref().map_or(Tone::Plain, Tone::of);
            Bar::of(name(row), &row.p999, amount(self.unit, &row.p999)).toned(tone).below(heading)
        });
        let bars = bars.collect();
        let blocks = self.rows.iter().map(|row| row.p999.blocks).min().unwrap_or_default();
        vec![Chart {
            id: "p999".to_owned(),
            title: "How long a vCPU is kept from running, at the 99.9th percentile".to_owned(),
            reading: "Middle over blocks of each block's percentile, with its 95 % interval, by powers of ten; coloured by the test against where nobody reports.".to_owned(),
            caveats: caveats(self.unit, blocks).into_iter().chain(self.shared.then(|| SHARED.to_owned())).collect(),
            body: Body::Bars(Bars { along: Measure::powers("kept", Quantity::Cost(self.unit)), bars }),
        }]
    }

    fn decision(&self) -> Option<Decision> {
        let changes = self.changes();
        let option = |row: &Row| {
            Choice::new(
                format!("one that {}, {}", row.does, name(row)),
                format!("kept for {} at the 99.9th percentile", amount(self.unit, &row.p999)),
            )
        };
        let is_longer = |(_, change): &(String, Interval)| change.shows_difference() && change.middle > 0.0;
        let decided = match changes.iter().filter(|change| is_longer(change)).count() {
            _ if changes.is_empty() => None,
            all if all == changes.len() => {
                Some("What others report keeps a vCPU that faults: its tail has to be counted in.".to_owned())
            }
            _ => None,
        };
        let because = if changes.is_empty() {
            "Nothing was held against a guest in which nobody reports.".to_owned()
        } else {
            format!("Against where nobody reports: {}.", sides(["less", "longer"], &changes, share))
        };
        (!self.rows.is_empty()).then(|| Decision {
            options: self.rows.iter().map(option).collect(),
            decided,
            because,
            revisit: vec![
                "a kernel locks less while it discards, or there is a core for every thread".to_owned(),
            ],
        })
    }
}

impl Found {
    /// Those that fault, against where nobody reports.
    fn changes(&self) -> Vec<(String, Interval)> {
        let faulting = self.rows.iter().filter(|row| row.does.0 == Does::Faults);
        faulting.filter_map(|row| Some((name(row), row.against?))).collect()
    }
}

fn name(row: &Row) -> String {
    let rung = row.rung.map_or_else(String::new, |rung| format!("{rung}, "));
    format!("{rung}{}", company(row))
}
