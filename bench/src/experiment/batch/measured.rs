//! Virtio against a call with the same batch, as it was measured, and whether that bears out what the model says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, MARGIN, Sampling, Verdict, holm};
use crate::figure::table::Grid;
use crate::figure::unit::{percent, ratio, signed_percent};
use crate::model::cost::{Blocks, Report};
use crate::model::even::{CALLS, Even, VIRTIO};
use crate::model::observed::Observed;

/// Virtio against a call with the same batch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Against {
    /// The way to call.
    pub against: Named<Rung>,
    /// Ranges in a report.
    pub batch: u16,
    /// What they are.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// By what share virtio is dearer, paired by block.
    pub change: Interval,
}

impl Against {
    /// Against each call, for every batch with which both ran.
    pub(super) fn all(observed: &Observed, how: Sampling) -> Vec<Self> {
        let of = |call: Rung| {
            observed.cells.iter().filter(|cell| cell.report.rung.0 == VIRTIO).filter_map(move |virtio| {
                let Report { batch, blocks, .. } = virtio.report;
                let called = observed.cell(&Report { rung: Named(call), batch, blocks })?;
                let both = |(block, cost): (&u32, &f64)| {
                    let called = called.totals.get(block)?;
                    Some(ratio(cost - called, *called))
                };
                let changes: Vec<f64> = virtio.totals.iter().filter_map(both).collect();
                Some(Self { against: Named(call), batch, blocks, change: Interval::of(&changes, how)? })
            })
        };
        let mut all: Vec<Self> = CALLS.into_iter().flat_map(of).collect();
        all.sort_by_key(|row| (row.blocks, row.against, row.batch));
        holm(all.iter_mut().map(|row| &mut row.change));
        all
    }

    fn side(&self) -> Side {
        match self.change.verdict(1.0) {
            Verdict::Different if self.change.middle > 0.0 => Side::Dearer,
            Verdict::Different => Side::Cheaper,
            Verdict::Equal => Side::Equal,
            Verdict::CannotSay => Side::CannotSay,
        }
    }

    /// Whether it can be held against what the model says of it: a side was shown, by more than what does not matter, and the
    /// model knows its terms.
    fn is_evidence_on(&self, even: &Even) -> bool {
        (even.against, even.blocks) == (self.against, self.blocks)
            && even.unknown.is_empty()
            && matches!(self.side(), Side::Dearer | Side::Cheaper)
            && self.change.middle.abs() > MARGIN
    }

    /// Whether virtio is dearer beyond the band of the model's break-even, or cheaper before it.
    fn refutes(&self, even: &Even) -> bool {
        match self.side() {
            Side::Dearer => even.most.is_some_and(|most| self.batch >= most),
            Side::Cheaper => even.least.is_none_or(|least| self.batch < least),
            Side::Equal | Side::CannotSay => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Dearer,
    Cheaper,
    Equal,
    CannotSay,
}

/// With which batches virtio is dearer than a call, and with which it is cheaper.
pub(super) fn sides(measured: &[Against]) -> Grid {
    let cells: Vec<&[Against]> =
        measured.chunk_by(|one, other| (one.blocks, one.against) == (other.blocks, other.against)).collect();
    let with = |cells: &[Against], side: Side| {
        let batches = cells.iter().filter(|cell| cell.side() == side).map(|cell| cell.batch.to_string());
        batches.collect::<Vec<_>>().join(", ")
    };
    Grid::of(
        "measured: with so many ranges a report virtio is",
        cells,
        &[
            ("blocks", &|cells| cells.first().map(|cell| cell.blocks.title()).unwrap_or_default()),
            ("than", &|cells| cells.first().map(|cell| cell.against.to_string()).unwrap_or_default()),
            ("dearer", &|cells| with(cells, Side::Dearer)),
            ("cheaper", &|cells| with(cells, Side::Cheaper)),
            ("equal", &|cells| with(cells, Side::Equal)),
            ("cannot say", &|cells| with(cells, Side::CannotSay)),
        ],
    )
}

/// What was measured of such blocks that the model has otherwise: whatever it says of them is to be read with that.
pub(super) fn contradiction(evens: &[Even], measured: &[Against], blocks: Blocks) -> Option<String> {
    let (cell, _) = held(evens, measured).find(|(cell, even)| cell.blocks == blocks && cell.refutes(even))?;
    let change = signed_percent(cell.change.middle);
    Some(format!(
        "the model is contradicted here: measured with {} ranges, virtio is {change} against {}",
        cell.batch, cell.against
    ))
}

/// Every comparison that says something of a break-even of the model, and that break-even.
fn held<'a>(evens: &'a [Even], measured: &'a [Against]) -> impl Iterator<Item = (&'a Against, &'a Even)> {
    let all = measured.iter().flat_map(move |cell| evens.iter().map(move |even| (cell, even)));
    all.filter(|(cell, even)| cell.is_evidence_on(even))
}

/// Whether what was measured is on the side of the break-even where the model has it. What is no evidence is not counted.
pub(super) fn bears_out(evens: &[Even], measured: &[Against]) -> Check {
    let refuted = |(cell, even): (&Against, &Even)| {
        format!(
            "{} ranges, {}: {} against {}, by the model even from {} on",
            cell.batch,
            cell.blocks.title(),
            signed_percent(cell.change.middle),
            cell.against,
            even.show()
        )
    };
    let faults: Vec<String> =
        held(evens, measured).filter(|(cell, even)| cell.refutes(even)).map(refuted).collect();
    let examined = held(evens, measured).count() as u64;
    let looked_at =
        format!("{examined} of {} comparisons show a side, by more than {}", measured.len(), percent(MARGIN));
    none_of(
        "no measured difference lies beyond the band of the model's break-even",
        Standing::Doubtful,
        &faults,
        examined,
        looked_at,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::term::Term;

    const HUGE: Blocks = Blocks { order: 9, discarded: true, huge: true };

    fn even(least: u16, most: Option<u16>) -> Even {
        let against = Named(Rung::HypercallEach);
        Even { against, blocks: HUGE, from: Some(least + 1), least: Some(least), most, unknown: Vec::new() }
    }

    fn against(batch: u16, middle: f64) -> Against {
        let change = Interval { middle, low: middle - 0.04, high: middle + 0.04, blocks: 11, p: Some(0.001) };
        Against { against: Named(Rung::HypercallEach), batch, blocks: HUGE, change }
    }

    #[test]
    fn the_wrong_side_of_a_break_even_is_found() {
        let standing = |even: Even, cell: Against| bears_out(&[even], std::slice::from_ref(&cell)).standing;
        assert_eq!(standing(even(2, Some(6)), against(16, 0.2)), Standing::Doubtful, "dearer beyond it");
        assert_eq!(standing(even(2, Some(6)), against(1, -0.2)), Standing::Doubtful, "cheaper before it");
        assert_eq!(standing(even(2, Some(6)), against(4, 0.2)), Standing::Holds, "within the band");
        assert_eq!(standing(even(2, Some(6)), against(16, -0.2)), Standing::Holds);
        assert_eq!(standing(even(2, None), against(511, 0.2)), Standing::Holds, "never even by the band");
        let said = |blocks| contradiction(&[even(2, Some(6))], &[against(1, 0.2), against(16, 0.2)], blocks);
        assert!(said(HUGE).is_some_and(|said| said.contains("16 ranges, virtio is +20")));
        assert_eq!(said(Blocks { huge: false, ..HUGE }), None, "of others nothing was measured");
    }

    #[test]
    fn what_is_no_evidence_holds_nothing_up() {
        let standing = |even: &[Even], cell: Against| bears_out(even, &[cell]).standing;
        let known = even(2, Some(6));
        assert_eq!(
            standing(std::slice::from_ref(&known), against(16, 0.045)),
            Standing::Unknown,
            "no matter"
        );
        assert_eq!(
            standing(std::slice::from_ref(&known), against(16, 0.03)),
            Standing::Unknown,
            "no side shown"
        );
        let unknown = Even { unknown: vec![Named(Term::WakeUp)], ..known };
        assert_eq!(standing(&[unknown], against(16, 0.2)), Standing::Unknown, "the model knows nothing");
        assert_eq!(standing(&[], against(16, 0.2)), Standing::Unknown);
        assert_eq!(bears_out(&[], &[]).standing, Standing::Unknown);
    }

    #[test]
    fn batches_stand_on_the_side_that_was_measured() {
        let grid = sides(&[against(1, 0.5), against(4, 0.01), against(16, -0.5), against(64, -0.6)]);
        let text = grid.to_text();
        let row = text.lines().find(|line| line.contains("hypercall-each")).unwrap();
        let cells: Vec<&str> =
            row.trim_matches('│').split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells[2..], ["1", "16, 64", "4"], "dearer, cheaper, equal: {text}");
    }
}
