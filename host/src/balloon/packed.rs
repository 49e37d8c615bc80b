//! The balloon's queues where the driver has accepted the packed format.

use abi::wire::virtio::feature;
use vm_memory::GuestMemoryError;

use super::chain::{Buffer, Walk};
use super::packed_queue::{List, PackedQueue};
use super::{Balloon, RingCounts, RingError, chain, packed_queue};
use crate::fault::Fault;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

impl Balloon {
    /// Takes the next list of the reporting queue; its id, or `None` if there is none. A driver that has not accepted
    /// the packed format has a split queue, and is served as [`Balloon::fetch`] does it.
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    pub(crate) fn fetch_packed(&mut self, batch: &mut Batch) -> Result<Option<u16>, RingError> {
        let reporting = self.reporting_queue();
        if !self.is_live(reporting) {
            return self.fetch(batch);
        }
        let [indirect, events] = [feature::INDIRECT_DESC, feature::EVENT_IDX].map(|bit| self.has(bit));
        let Some(queue) = &mut self.packed[usize::from(reporting)] else { return self.fetch(batch) };
        let (ram, counts) = (&self.ram, &mut self.counts);
        let mut walk = Walk::new(queue.size(), indirect);
        let show = |before, buffer| take(&mut walk, ram, before, buffer, batch);
        match next_or_ask(queue, ram, events, counts, show) {
            Ok(Some(list)) => {
                counts.wraps += u64::from(queue.has_turned());
                let unasked = queue.was_unasked();
                if indirect || events {
                    self.note_list(walk, unasked);
                }
                batch.refused.broken_chain += u64::from(!list.is_whole);
                batch.kept = self.poison != 0;
                self.in_hand = Some(list.id);
                Ok(Some(list.id))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.broken(access(reporting, &error))),
        }
    }

    /// Marks the list `id` of the reporting queue as used, and interrupts the driver if it wants that: see
    /// [`Balloon::complete`].
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    pub(crate) fn complete_packed(&mut self, id: u16) -> Result<(), RingError> {
        let reporting = self.reporting_queue();
        let Some(queue) = self.packed[usize::from(reporting)] else { return self.complete(id) };
        if self.in_hand.take() != Some(id) {
            return Ok(());
        }
        if self.planted.is(Fault::UsedTwice) {
            // First, so that the driver finds both.
            queue.put_beyond(&self.ram, id).map_err(|error| self.broken(access(reporting, &error)))?;
        }
        self.give_back_packed(reporting, id)
    }

    /// Acknowledges the next list of a packed queue without a look at it, if there is one.
    pub(super) fn ignore_list(&mut self, number: u16) -> Result<bool, RingError> {
        let events = self.has(feature::EVENT_IDX);
        let Some(queue) = &mut self.packed[usize::from(number)] else { return Ok(false) };
        let mut unread = RingCounts::default();
        match next_or_ask(queue, &self.ram, events, &mut unread, |_, _| {}) {
            Ok(Some(list)) => self.give_back_packed(number, list.id).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(self.broken(access(number, &error))),
        }
    }

    fn give_back_packed(&mut self, number: u16, id: u16) -> Result<(), RingError> {
        let Some(queue) = self.packed[usize::from(number)] else { return Ok(()) };
        let events = self.has(feature::EVENT_IDX);
        let used = queue.put(&self.ram, id).and_then(|()| match events {
            true => queue.is_event_due(&self.ram),
            false => queue.wants_interrupt(&self.ram),
        });
        if events && number == self.reporting_queue() {
            self.counts.judged(matches!(used, Ok(true)));
        }
        self.tell(used.map_err(|error| access(number, &error)))
    }
}

/// The next list. If there is none, and the driver goes by what the device asks for, it is asked to ring for the next, and the
/// queue is looked at once more.
#[inline(always)]
fn next_or_ask(
    queue: &mut PackedQueue,
    ram: &GuestRam,
    events: bool,
    counts: &mut RingCounts,
    mut show: impl FnMut(u16, Buffer),
) -> Result<Option<List>, GuestMemoryError> {
    loop {
        match queue.take(ram, &mut show) {
            // It is asked once: what was asked for is not to be asked for again.
            Ok(None) if events && queue.ask_for_kick(ram, counts)? => {}
            taken => return taken,
        }
    }
}

/// Takes what a descriptor of a list names, or what the table names that it points to.
#[inline(always)]
fn take(walk: &mut Walk, ram: &GuestRam, before: u16, buffer: Buffer, batch: &mut Batch) {
    walk.take(ram, buffer, before, batch, |table, batch| {
        packed_queue::row(ram, table, |buffer| chain::take(ram, buffer, batch))
    });
}

fn access(queue: u16, error: &GuestMemoryError) -> RingError {
    RingError::Access { queue, what: error.to_string() }
}
