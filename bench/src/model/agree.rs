//! Whether two runs of one plan say the same: who is the cheaper in every cell in which both call it, and from how many
//! ranges on virtio is no dearer.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::Report;
use super::even::{CALLS, Even};
use super::fit::Fit;
use super::floors::doorbells_of;
use super::observed::{Cell, Observed};
use super::scale::Scale;
use crate::archive::Archive;
use crate::figure::interval::{Interval, Sampling, holm};

/// What two runs say of the same comparisons.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// Pairs of cells that both runs have.
    pub compared: usize,
    /// Of these, both runs call one the cheaper.
    pub called: usize,
    /// Of those, they call different ones.
    pub contrary: Vec<String>,
    /// Break-even batches that are not within each other's ends.
    pub uneven: Vec<String>,
    /// Break-even batches that both know.
    pub even: usize,
}

impl Agreement {
    /// Whether nothing that was said twice was said differently.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.contrary.is_empty() && self.uneven.is_empty()
    }
}

/// Two of a run's cells with the same batch and blocks.
type Pair = (Report, Report);

/// Compares two runs.
#[must_use]
pub fn agree(one: &Archive, other: &Archive) -> Agreement {
    let [ours, theirs] = [one, other].map(|archive| called(&Observed::of(archive).cells, archive.sampling()));
    let mut agreement = Agreement::default();
    for ((from, to), our) in &ours {
        let Some(their) = theirs.get(&(*from, *to)) else { continue };
        agreement.compared += 1;
        if !(our.shows_difference() && their.shows_difference()) {
            continue;
        }
        agreement.called += 1;
        if our.middle.is_sign_positive() != their.middle.is_sign_positive() {
            agreement.contrary.push(format!(
                "{} and {}, {} ranges, {}",
                from.rung,
                to.rung,
                to.batch,
                to.blocks.title()
            ));
        }
    }
    let [ours, theirs] = [one, other].map(evens);
    for our in &ours {
        let same = |their: &&Even| (their.against, their.blocks) == (our.against, our.blocks);
        let Some(their) = theirs.iter().find(same) else { continue };
        let Some(agrees) = our.agrees_with(their) else { continue };
        agreement.even += 1;
        if !agrees {
            let (blocks, against) = (our.blocks.title(), our.against);
            agreement.uneven.push(format!("{blocks}, than {against}: {} and {}", our.show(), their.show()));
        }
    }
    agreement
}

/// Every pair of transports with the same reports, and what the second costs more, corrected for those of its table.
fn called(cells: &[Cell], how: Sampling) -> BTreeMap<Pair, Interval> {
    let mut pairs = BTreeMap::new();
    for (index, from) in cells.iter().enumerate() {
        let alike = |to: &&Cell| {
            (to.report.batch, to.report.blocks) == (from.report.batch, from.report.blocks)
                && to.report != from.report
        };
        for to in cells[index..].iter().filter(alike) {
            let more: Vec<f64> =
                to.totals.iter().filter_map(|(block, cost)| Some(cost - from.totals.get(block)?)).collect();
            if let Some(interval) = Interval::of(&more, how) {
                pairs.insert((from.report, to.report), interval);
            }
        }
    }
    // A table is what has the same batch and blocks, as the ladder's are by discard.
    let tables: BTreeSet<_> = pairs.keys().map(|(from, _)| (from.batch, from.blocks)).collect();
    for table in tables {
        let of_table = pairs.iter_mut().filter(|((from, _), _)| (from.batch, from.blocks) == table);
        holm(of_table.map(|(_, interval)| interval));
    }
    pairs
}

/// Every break-even batch that a run's own fit knows.
fn evens(archive: &Archive) -> Vec<Even> {
    let observed = Observed::of(archive);
    let unit = Scale::from(archive.unit());
    let fit = Fit::of(&observed.cells, &doorbells_of(archive), unit, archive.plan.seed(), archive.sampling());
    let Some(fit) = fit else { return Vec::new() };
    let profile = fit.profile();
    let mut blocks: Vec<_> = observed.cells.iter().map(|cell| cell.report.blocks).collect();
    blocks.dedup();
    blocks.sort_unstable();
    blocks.dedup();
    blocks.iter().flat_map(|blocks| CALLS.map(|call| Even::of(&profile, call, *blocks))).collect()
}
