//! The options of the reporting queue: tables, event indices, descriptors in order. What they come to is counted, so that
//! it can be seen that they took part.

use std::num::Wrapping;

use abi::wire::virtio::feature;
use virtio_queue::{Error as QueueError, QueueT};

use super::chain::Walk;
use super::standing::RingCounts;
use super::{Balloon, RingError};
use crate::axes::RingFeatures;

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
