//! What the options of a ring came to, and where they stand.

/// How often the options of a ring took part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RingCounts {
    /// Chains or lists that went on in an indirect table.
    pub tables: u64,
    /// Used entries of which the driver's event index said that it wants to be told.
    pub interrupts_due: u64,
    /// Those of which it said that it does not.
    pub interrupts_suppressed: u64,
    /// Times the device named the next entry as the one at which it wants to be told.
    pub kicks_asked: u64,
    /// Chains or lists at which it did not want to be told: it had not stopped looking.
    pub kicks_suppressed: u64,
    /// Chains that began where the one before ended.
    pub in_order: u64,
    /// Chains that should have, and did not.
    pub out_of_order: u64,
    /// Times the device's wrap counter turned: laps of a packed ring.
    pub wraps: u64,
}

impl RingCounts {
    /// What was counted since there was `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            tables: self.tables - before.tables,
            interrupts_due: self.interrupts_due - before.interrupts_due,
            interrupts_suppressed: self.interrupts_suppressed - before.interrupts_suppressed,
            kicks_asked: self.kicks_asked - before.kicks_asked,
            kicks_suppressed: self.kicks_suppressed - before.kicks_suppressed,
            in_order: self.in_order - before.in_order,
            out_of_order: self.out_of_order - before.out_of_order,
            wraps: self.wraps - before.wraps,
        }
    }

    /// Counts whether the driver wants to be told.
    pub(super) const fn judged(&mut self, is_due: bool) {
        self.interrupts_due += is_due as u64;
        self.interrupts_suppressed += !is_due as u64;
    }
}

/// Where they stand at the reporting queue, from when that is ready.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// The entry at which the device wants to be told, if the queue is split; 0 in memory that was found zeroed.
    pub(super) named: u16,
    /// Whether what was fetched last is at another: no driver rings for it.
    pub(super) unasked: bool,
    /// Where the next chain begins, if descriptors are taken in order.
    pub(super) next_head: u16,
}
