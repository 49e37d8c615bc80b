//! Strategies in one sentence, in pictures, and as a decision.

use host::engine::Shuffle;

use super::found::{CombRow, Found};
use crate::archive::Archive;
use crate::experiment::least::Contest;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point};
use crate::figure::number::{amount, around, number};
use crate::figure::quantity::Quantity;
use crate::figure::unit::float;

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let rows = self.longest();
        let contest = contest(&rows)?;
        let best = contest.best;
        let figure = |row: &CombRow| {
            KeyFigure::new(format!("{}, walking altogether", row.walk), amount(self.unit, &row.walking_ns))
        };
        Some(Headline {
            sentence: format!(
                "Through a list of {} blocks {} walks for the shortest, {}, and looks at {} blocks for each that it reports{}.",
                best.length,
                best.walk,
                amount(self.unit, &best.walking_ns),
                number(best.examined.middle),
                contest.but(name)
            ),
            confidence: contest.confidence(name),
            figures: rows.iter().take(3).map(figure).collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let blocks = self.combs.iter().map(|row| row.examined.blocks).min().unwrap_or_default();
        let chart = |id: &str, title: &str, y, lines| {
            Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            reading: "Both axes by powers of ten: a line that is level does not depend on the list, one that rises as steeply as the list grows is linear.".to_owned(),
            caveats: caveats(self.unit, blocks),
            body: Body::Plot(Plot { x: Measure::powers("blocks on the list", Quantity::Count), y, lines }),
        }
        };
        let examined = self.lines(|row| Point::of(float(row.length), &row.examined));
        let held = self.lines(|row| Point::at(float(row.length), row.hold.p50));
        vec![
            chart(
                "examined",
                "Blocks looked at for each that is reported",
                Measure::powers("blocks looked at", Quantity::Count),
                examined,
            ),
            chart(
                "held",
                "How long the zone lock is held for a batch, median",
                Measure::powers("lock held", Quantity::Cost(self.unit)),
                held,
            ),
        ]
    }

    fn decision(&self) -> Option<Decision> {
        let rows = self.longest();
        let contest = contest(&rows)?;
        let best = contest.best;
        let option = |row: &CombRow| {
            let evidence = format!(
                "{} walking through {} blocks; {} looked at for each reported; lock held for {} at the median",
                amount(self.unit, &row.walking_ns),
                row.length,
                around(&row.examined, "", number),
                self.unit.show(row.hold.p50)
            );
            Choice::new(row.walk.to_string(), evidence)
        };
        Some(Decision {
            options: rows.iter().map(option).collect(),
            decided: contest
                .is_decided()
                .then(|| format!("Walk by {}, where lists are long{}.", best.walk, contest.but(name))),
            because: format!(
                "{} walked for the shortest of {} at the longest list{}; {}.",
                best.walk,
                rows.len(),
                contest.but(name),
                contest.confidence(name)
            ),
            revisit: vec!["lists are shorter than was tried, or compaction moves them".to_owned()],
        })
    }
}

impl Found {
    /// Every strategy at the longest list, with compaction left aside.
    fn longest(&self) -> Vec<CombRow> {
        let plain = || self.combs.iter().filter(|row| row.shuffle.0 == Shuffle::None);
        let longest = plain().map(|row| row.length).max().unwrap_or_default();
        plain().filter(|row| row.length == longest).cloned().collect()
    }

    fn lines(&self, point: impl Fn(&CombRow) -> Point) -> Vec<Line> {
        let mut walks: Vec<_> = self.combs.iter().map(|row| row.walk).collect();
        walks.sort_unstable();
        walks.dedup();
        let line = |rows: &[CombRow]| {
            let (walk, shuffle) = (rows[0].walk, rows[0].shuffle.0);
            let moved = if shuffle == Shuffle::None { "" } else { ", the list moved" };
            Line {
                name: format!("{walk}{moved}"),
                look: walks.iter().position(|known| *known == walk).unwrap_or_default(),
                is_second: shuffle != Shuffle::None,
                join: Join::Straight,
                points: rows.iter().map(&point).collect(),
            }
        };
        self.combs.chunk_by(|a, b| (a.walk, a.shuffle) == (b.walk, b.shuffle)).map(line).collect()
    }
}

fn contest(rows: &[CombRow]) -> Option<Contest<'_, CombRow>> {
    Contest::of(rows, |row| row.walking_ns.middle, |row| row.against_least)
}

fn name(row: &CombRow) -> String {
    row.walk.to_string()
}
