//! What the options of a ring came to.

use host::axes::RingFeatures;
use host::balloon::RingCounts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// [`RingCounts`] as they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RingOptions {
    /// Reports that came in an indirect table.
    pub tables: u64,
    /// Acknowledgements of which the guest's event index said that it wants an interrupt.
    pub interrupts_due: u64,
    /// Those of which it said that it does not.
    pub interrupts_suppressed: u64,
    /// Times the device named the entry at which it wants to be kicked.
    pub kicks_asked: u64,
    /// Reports at which it did not want to be.
    pub kicks_suppressed: u64,
    /// Reports whose descriptors began where those of the report before ended.
    pub in_order: u64,
    /// Those whose did not, and should have.
    pub out_of_order: u64,
    /// Times the device's wrap counter turned: laps of a packed ring.
    pub wraps: u64,
}

impl RingOptions {
    /// As they are written; absent where there is nothing to say.
    #[must_use]
    pub fn new(counts: &RingCounts) -> Option<Self> {
        let RingCounts {
            tables,
            interrupts_due,
            interrupts_suppressed,
            kicks_asked,
            kicks_suppressed,
            in_order,
            out_of_order,
            wraps,
        } = *counts;
        (*counts != RingCounts::default()).then_some(Self {
            tables,
            interrupts_due,
            interrupts_suppressed,
            kicks_asked,
            kicks_suppressed,
            in_order,
            out_of_order,
            wraps,
        })
    }

    /// The options that took part in it.
    pub(super) const fn seen(&self) -> RingFeatures {
        RingFeatures {
            indirect: self.tables > 0,
            event_idx: (self.interrupts_due > 0 || self.interrupts_suppressed > 0) && self.kicks_asked > 0,
            in_order: self.in_order > 0,
        }
    }
}
