//! Whether the answer rests on blocks in which the machine was disturbed: the same without them.

use std::collections::BTreeSet;

use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{CellSummary, find, paired_but};
use super::compared::{Compared, cruxes};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{Interval, Sampling, Verdict};
use crate::figure::number::plain as show;
use crate::figure::unit::Unit;

/// One comparison without the disturbed blocks.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Undisturbed {
    /// What the host did with the pages.
    pub discard: Named<Discard>,
    /// The rung that is taken off.
    pub from: Named<Rung>,
    /// The rung.
    pub to: Named<Rung>,
    /// Blocks left out.
    pub left_out: usize,
    /// Median cost a range more.
    pub per_range: Interval,
    /// What is said of it without them.
    pub verdict: Verdict,
    /// What is said of it with them.
    pub with_them: Verdict,
}

/// What the run is about, without the blocks that were disturbed.
#[must_use]
pub fn undisturbed(
    cells: &[CellSummary],
    compared: &[Compared],
    disturbed: &BTreeSet<u32>,
    how: Sampling,
) -> Vec<Undisturbed> {
    if disturbed.is_empty() {
        return Vec::new();
    }
    let of = |compared: &Compared| {
        let (discard, said) = (compared.discard, compared.said);
        let [from, to] = [compared.from, compared.to].map(|rung| find(cells, rung.0, discard.0));
        let per_range = Interval::of(&paired_but(disturbed, from?, to?), how)?;
        Some(Undisturbed {
            discard,
            from: compared.from,
            to: compared.to,
            left_out: compared.per_range.blocks - per_range.blocks,
            per_range,
            verdict: per_range.verdict(from?.a_range().p50),
            with_them: said.verdict,
        })
    };
    cruxes(compared).filter_map(of).collect()
}

/// One sentence of all of them; nothing if nothing was left out.
#[must_use]
pub fn sentence(unit: Unit, without: &[Undisturbed]) -> Option<String> {
    let first = without.first()?;
    let of = |one: &Undisturbed| {
        let Undisturbed { discard, from, to, per_range, verdict, with_them, .. } = one;
        let change = if verdict == with_them {
            format!("still {}", verdict.words())
        } else {
            format!("{}, and {} with them", verdict.words(), with_them.words())
        };
        format!("{to} less {from} with discard {discard} is {} ({change})", show(unit, per_range))
    };
    let all = without.iter().map(of).collect::<Vec<_>>().join("; ");
    let (count, left) = (first.left_out, first.per_range.blocks);
    Some(format!("Without the blocks in which the machine was disturbed ({count}; {left} are left), {all}."))
}
