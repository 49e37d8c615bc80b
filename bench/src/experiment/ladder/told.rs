//! The ladder in one sentence, in pictures, and as a decision.

use host::axes::Discard;

use super::cell::CellSummary;
use super::found::Found;
use super::pictures;
use super::sentences::{action, cheapest, lowest};
use super::waterfall::Waterfall;
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::told::{Choice, Decision, Headline, KeyFigure, Told, confidence};
use crate::figure::chart::Chart;
use crate::figure::interval::{Interval, Verdict};
use crate::figure::number::{part, plain};

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let waterfall = self.main()?;
        let discard = waterfall.discard.0;
        let each = self.cell(Rung::HypercallEach, discard)?;
        let against_each = compared(self, each, waterfall.whole, "by a hypercall of its own");
        let batch = self.cell(Rung::HypercallBatch, discard).zip(waterfall.beyond_batching);
        let against_batch =
            batch.map(|(batch, more)| compared(self, batch, more, "by one hypercall for the whole batch"));
        let parts: Vec<String> = std::iter::once(against_each).chain(against_batch).collect();
        let what = format!("{}, to tell of a range over virtio {}", action(discard), parts.join(", and "));
        let (figure, decisive) =
            batch.map_or((each.a_range().p50, waterfall.whole), |(batch, more)| (batch.a_range().p50, more));
        Some(Headline {
            sentence: format!("{what}."),
            confidence: confidence(&decisive, figure),
            figures: self.key_figures(waterfall),
        })
    }

    fn charts(&self, archive: &Archive) -> Vec<Chart> {
        pictures::all(self, archive)
    }

    fn decision(&self) -> Option<Decision> {
        let discard = self.main().map_or_else(|| self.preferred(), |waterfall| Some(waterfall.discard.0))?;
        let options = self.compared(discard).map(|cell| self.option(cell)).collect();
        let (best, not_shown_dearer) = lowest(self, discard)?;
        let decided = match not_shown_dearer.as_slice() {
            [] => format!("Report by {}, which every other is shown to be dearer than.", best.label()),
            others => format!(
                "Report by {} or {}: between these nothing is decided by cost.",
                best.label(),
                others.join(" or ")
            ),
        };
        Some(Decision {
            options,
            // Where no rung is shown to be dearer, nothing is decided.
            decided: (not_shown_dearer.len() + 1 < self.compared(discard).count()).then_some(decided),
            because: cheapest(self, discard)?,
            revisit: vec![
                "a report holds another number of ranges, or ranges of another order: the cost of a call is shared by the ranges of its batch".to_owned(),
                "the guest may not wait for the host: latency of a report is what was measured, and processor time stands beside it".to_owned(),
            ],
        })
    }
}

impl Found {
    /// The waterfall that the answer is about: with the discard that VMMs use, else with any, else without.
    fn main(&self) -> Option<&Waterfall> {
        let with = |discard| self.waterfalls.iter().find(|waterfall| waterfall.discard.0 == discard);
        let any = || self.waterfalls.iter().find(|waterfall| waterfall.discard.0 != Discard::None);
        with(Discard::DontNeed).or_else(any).or_else(|| self.waterfalls.first())
    }

    /// The same of discards, where no waterfall has both ends.
    fn preferred(&self) -> Option<Discard> {
        let discards = self.discards();
        let discarding = discards.iter().find(|discard| **discard != Discard::None);
        discarding.or(discards.first()).copied()
    }

    /// The rungs between which is decided.
    fn compared(&self, discard: Discard) -> impl Iterator<Item = &CellSummary> {
        let of =
            move |cell: &&CellSummary| cell.discard() == discard && cell.rung.is_some() && cell.names_pages();
        self.cells.iter().filter(of)
    }

    fn key_figures(&self, waterfall: &Waterfall) -> Vec<KeyFigure> {
        let unit = self.unit;
        let mut figures = vec![KeyFigure::new(
            "virtio against a hypercall for each range, a range",
            plain(unit, &waterfall.whole),
        )];
        figures.extend(waterfall.beyond_batching.map(|more| {
            KeyFigure::new("virtio against one hypercall for all of them, a range", plain(unit, &more))
        }));
        let share = self
            .apart
            .iter()
            .find(|apart| apart.rung == Named(Rung::Virtio) && apart.discard == waterfall.discard);
        figures.extend(share.map(|apart| {
            KeyFigure::new(
                "of a report over virtio and of its refaults later, what is transport",
                part(&apart.share),
            )
        }));
        figures
    }

    fn option(&self, cell: &CellSummary) -> Choice {
        let (range, report) = (cell.a_range(), cell.a_report());
        let evidence = format!(
            "{} a range (median of {} reports; p99 {}), {} a report",
            self.unit.show(range.p50),
            cell.reports,
            self.unit.show(range.p99),
            self.unit.show(report.p50)
        );
        Choice::new(cell.label(), evidence)
    }
}

/// What may be said of virtio against something else, with its interval.
fn compared(found: &Found, other: &CellSummary, more: Interval, what: &str) -> String {
    let figures = plain(found.unit, &more);
    match more.verdict(other.a_range().p50) {
        Verdict::Different if more.middle < 0.0 => format!("is cheaper than {what} ({figures})"),
        Verdict::Different => format!("is dearer than {what} ({figures})"),
        Verdict::Equal => format!("costs the same as {what}, within the margin ({figures})"),
        Verdict::CannotSay => format!("cannot be told from {what} ({figures})"),
    }
}
