//! The options of the reporting queue: tables, event indices, descriptors in order. What they come to is counted, so that
//! it can be seen that they took part.

use std::num::Wrapping;

use abi::wire::virtio::feature;
use virtio_queue::{Error as QueueError, QueueT};

use super::chain::Walk;
use super::{Balloon, RingError};
use crate::axes::RingFeatures;

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
    named: u16,
    /// Whether what was fetched last is at another: no driver rings for it.
    unasked: bool,
    /// Where the next chain begins, if descriptors are taken in order.
    next_head: u16,
}

impl Balloon {
    /// The same with these options offered too.
    pub(crate) fn offering(self, options: RingFeatures) -> Self {
        Self { offered: self.offered | feature::of(options), ..self }
    }

    /// Whether a feature was negotiated.
    pub(super) const fn has(&self, feature: u64) -> bool {
        self.accepted & feature != 0
    }

    /// What the options came to so far.
    pub(crate) const fn counts(&self) -> RingCounts {
        self.counts
    }

    /// Whether the device did not ask to be told of what was fetched last.
    pub(crate) const fn was_unasked(&self) -> bool {
        self.standing.unasked
    }

    /// Notes how a chain of the reporting queue came that was fetched just now.
    #[cold]
    pub(super) fn note(&mut self, head: u16, walk: Walk) {
        self.counts.tables += u64::from(walk.in_table);
        let queue = &self.queues[usize::from(self.reporting_queue())];
        if self.has(feature::EVENT_IDX) {
            self.standing.unasked = queue.next_avail().wrapping_sub(1) != self.standing.named;
            self.counts.kicks_suppressed += u64::from(self.standing.unasked);
        }
        if self.has(feature::IN_ORDER) {
            let is_next = head == self.standing.next_head;
            self.counts.in_order += u64::from(is_next);
            self.counts.out_of_order += u64::from(!is_next);
            self.standing.next_head = (Wrapping(head) + Wrapping(walk.descriptors)).0 % queue.size();
        }
    }

    /// Notes how a list of the reporting queue came that was fetched just now; `unasked`: whether the device had named
    /// another descriptor.
    #[cold]
    pub(super) fn note_list(&mut self, walk: Walk, unasked: bool) {
        self.counts.tables += u64::from(walk.in_table);
        self.standing.unasked = unasked;
        self.counts.kicks_suppressed += u64::from(unasked);
    }

    /// Names the next entry of a split queue as the one at which to be told; whether it is there already.
    #[cold]
    pub(super) fn ask_for_kick(&mut self, number: u16) -> Result<bool, RingError> {
        let is_reporting = number == self.reporting_queue();
        let queue = &mut self.queues[usize::from(number)];
        let next = queue.next_avail();
        // A queue that is not there is not to be written to. And where it was asked for before, it was looked at once more
        // then: whoever adds to it rings.
        if !queue.ready() || is_reporting && self.standing.named == next {
            return Ok(false);
        }
        if is_reporting {
            self.standing.named = next;
            self.counts.kicks_asked += 1;
        }
        // The library stores the event, and loads the available index after a SeqCst fence: either it sees what the driver
        // has added, or the driver, which does it the other way round, sees the event.
        let more = queue.enable_notification(self.ram.memory());
        more.map_err(|what: QueueError| RingError::Access { queue: number, what: what.to_string() })
    }

    /// Whether the driver of a split queue wants an interrupt for what was just used, by its event index (2.7.7.2).
    #[cold]
    pub(super) fn is_event_due(&mut self, number: u16) -> Result<bool, RingError> {
        // The library loads the event after a SeqCst fence: the used index is visible before, or a driver that names an
        // entry and then looks at the index could wait for ever.
        let due = self.queues[usize::from(number)].needs_notification(self.ram.memory());
        let due = due.map_err(|what| RingError::Access { queue: number, what: what.to_string() })?;
        if number == self.reporting_queue() {
            self.counts.judged(due);
        }
        Ok(due)
    }
}
