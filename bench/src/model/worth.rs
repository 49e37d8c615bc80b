//! How long a block must stay free for its report to pay.
//!
//! A report and the refault that may follow it take processor time. What is had for it is memory for as long as the block
//! stays free. A host is full when its processors or its memory are used up: where it has so many GiB a processor, holding
//! these GiB idle for a second is worth as much as a second of a processor. So a block of `b` GiB pays if it stays free
//! longer than `T = (report + refault) * GiB a processor / b`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::{Blocks, Report};
use super::predict::Estimate;
use super::profile::Profile;
use super::scale::Scale;
use crate::axes::named::Named;
use crate::axes::rung::Rung;

/// GiB of memory that a host has a processor, if nobody says: the shape of general-purpose machines.
pub const GIB_PER_CPU: f64 = 4.0;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// How long a block of so many bytes must stay free that costs so much processor time: in what the cost is in.
#[must_use]
pub fn longer_than(cost: f64, bytes: f64, gib_per_cpu: f64) -> f64 {
    cost / (bytes / GIB / gib_per_cpu)
}

/// From how long on a block that stays free is worth its report.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Worth {
    /// How it is reported.
    pub rung: Named<Rung>,
    /// In reports of so many.
    pub batch: u16,
    /// What it is.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// What its report and its refault cost together, in the profile's unit.
    pub cost: Estimate,
    /// How long it must stay free, in the profile's unit.
    pub longer_than: Estimate,
}

impl Worth {
    /// By a host's profile; `None` where figures are no time of a processor.
    #[must_use]
    pub fn of(profile: &Profile, rung: Rung, batch: u16, blocks: Blocks, gib_per_cpu: f64) -> Option<Self> {
        if profile.unit == Scale::Instructions || !blocks.discarded {
            return None;
        }
        let ranges = f64::from(batch);
        let mut counts = Report { rung: Named(rung), batch, blocks }.counts()?;
        for (term, count) in blocks.refault() {
            *counts.entry(term).or_insert(0.0) += count * ranges;
        }
        let cost = profile.cost(&counts).over(ranges);
        let longer_than = cost.over(blocks.bytes() / GIB / gib_per_cpu);
        Some(Self { rung: Named(rung), batch, blocks, cost, longer_than })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_hyperalloc_make_a_huge_page_pay_sooner_than_a_small_one() {
        let text = "name = \"a\"\nhost = \"b\"\nsource = \"c\"\nunit = \"ns\"\n[terms]\nexit = { value = 0.0 }\n\
            page = { value = 0.0 }\nrange-in-page = { value = 0.0 }\nmadvise = { value = 16000.0 }\n\
            discard-huge = { value = 0.0 }\nrefault-huge = { value = 340000.0 }";
        let profile = Profile::parse(text, "here").unwrap();
        let huge = Blocks { order: 9, discarded: true, huge: true };
        let worth = Worth::of(&profile, Rung::HypercallBatch, 32, huge, 4.0).unwrap();
        // 356 µs of a processor for 1/512 GiB, where 4 GiB are worth one.
        assert!((worth.longer_than.value - 356e3 * 4.0 * 512.0).abs() < 1.0, "{worth:?}");
        let kept = Blocks { discarded: false, ..huge };
        assert!(Worth::of(&profile, Rung::HypercallBatch, 32, kept, 4.0).is_none());
        let counted = Profile { unit: Scale::Instructions, ..profile };
        assert!(Worth::of(&counted, Rung::HypercallBatch, 32, huge, 4.0).is_none());
    }
}
