//! Discards in one sentence, in pictures, and as a decision.

use super::found::{Cell, Found};
use crate::archive::Archive;
use crate::experiment::least::Contest;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure};
use crate::figure::number::amount;
use crate::figure::quantity::Quantity;
use crate::figure::size::block;
use crate::figure::unit::{float, percent, ratio};

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let cells = self.that_free();
        let contest = contest(&cells)?;
        let (best, unit) = (contest.best, self.unit);
        let others = self.cells.iter().filter(|cell| cell.why_nothing.is_some()).count();
        Some(Headline {
            sentence: format!(
                "Of the {} discards of {} in blocks of {} that free their pages at once, {} takes the least, {} a page{}; {others} of {} pairs of a discard and a memory free nothing.",
                cells.len(),
                best.backing,
                block(best.order),
                best.discard,
                amount(unit, &best.a_page),
                contest.but(name),
                self.cells.len()
            ),
            confidence: contest.confidence(name),
            figures: cells
                .iter()
                .take(3)
                .map(|cell| {
                    KeyFigure::new(
                        format!("{} of {}, a page", cell.discard, cell.backing),
                        amount(unit, &cell.a_page),
                    )
                })
                .collect(),
        })
    }

    fn charts(&self, _: &Archive) -> Vec<Chart> {
        let of = |cells: &[Cell]| {
            let order = cells.first().map_or(0, |cell| cell.order);
            [
                self.chart(cells, format!("cost-{order}"), "what discarding a page costs", |cell| {
                    cell.a_page
                }),
                self.chart(
                    cells,
                    format!("refault-{order}"),
                    "what touching a page takes afterwards",
                    |cell| cell.refault,
                ),
            ]
        };
        self.cells.chunk_by(|one, other| one.order == other.order).flat_map(of).collect()
    }

    fn decision(&self) -> Option<Decision> {
        let cells = self.that_free();
        let contest = contest(&cells)?;
        let best = contest.best;
        let is_alternative = |cell: &Cell| (cell.order, cell.backing) == (best.order, best.backing);
        let option = |cell: &Cell| {
            let evidence = format!(
                "{} a page, {} of the pages unmapped, {} a page to touch afterwards",
                amount(self.unit, &cell.a_page),
                freed(cell),
                amount(self.unit, &cell.refault)
            );
            Choice::new(format!("{} of {}, {}", cell.discard, cell.backing, block(cell.order)), evidence)
        };
        Some(Decision {
            // What is of another memory, or of other blocks, is no alternative.
            options: self.cells.iter().filter(|cell| is_alternative(cell)).map(option).collect(),
            decided: contest.is_decided().then(|| {
                format!(
                    "Of {} in blocks of {}: discard by {}{}.",
                    best.backing,
                    block(best.order),
                    best.discard,
                    contest.but(name)
                )
            }),
            because: format!(
                "{} has the lowest cost a page of those that free{}; {}.",
                best.discard,
                contest.but(name),
                contest.confidence(name)
            ),
            revisit: vec![
                "memory is made of something else: what frees pages of one backing may free none of another"
                    .to_owned(),
            ],
        })
    }
}

impl Found {
    fn all_that_free(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.frees())
    }

    /// Of the first memory and order: only these are alternatives.
    fn that_free(&self) -> Vec<Cell> {
        let Some(first) = self.all_that_free().next() else { return Vec::new() };
        let place = |cell: &Cell| (cell.order, cell.backing);
        self.all_that_free().filter(|cell| place(cell) == place(first)).cloned().collect()
    }

    fn chart(
        &self,
        cells: &[Cell],
        id: String,
        what: &str,
        of: fn(&Cell) -> crate::figure::interval::Interval,
    ) -> Chart {
        let order = cells.first().map_or(0, |cell| cell.order);
        let mut backing = None;
        let bars = cells.iter().map(|cell| {
            let is_new = backing.replace(cell.backing) != Some(cell.backing);
            let heading = if is_new { format!("memory: {}", cell.backing) } else { String::new() };
            let shown = format!("{}, unmaps {}", amount(self.unit, &of(cell)), freed(cell));
            Bar::of(cell.discard.to_string(), &of(cell), shown).below(heading)
        });
        let bars = bars.collect();
        let nothing = cells.iter().filter_map(|cell| {
            Some(format!(
                "{} of {} frees nothing: {}.",
                cell.discard,
                cell.backing,
                cell.why_nothing.as_ref()?
            ))
        });
        let blocks = cells.iter().map(|cell| of(cell).blocks).min().unwrap_or_default();
        Chart {
            id,
            title: format!("Blocks of {}: {what}", block(order)),
            reading: "Middle over blocks of medians, with its 95 % interval, by powers of ten; beside it what share of the reported pages is unmapped afterwards.".to_owned(),
            caveats: caveats(self.unit, blocks).into_iter().chain(nothing).collect(),
            body: Body::Bars(Bars { along: Measure::powers("a page", Quantity::Cost(self.unit)), bars }),
        }
    }
}

fn contest(cells: &[Cell]) -> Option<Contest<'_, Cell>> {
    Contest::of(cells, |cell| cell.a_page.middle, |cell| cell.against_least)
}

fn name(cell: &Cell) -> String {
    cell.discard.to_string()
}

fn freed(cell: &Cell) -> String {
    percent(ratio(float(cell.proof.unmapped), float(cell.proof.reported)))
}
