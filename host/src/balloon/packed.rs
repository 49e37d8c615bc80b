//! The balloon's queues where the driver has accepted the packed format.

use vm_memory::GuestMemoryError;

use super::{Balloon, RingError, chain};
use crate::fault::Fault;
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
        let Some(queue) = &mut self.packed[usize::from(reporting)] else { return self.fetch(batch) };
        let ram = &self.ram;
        match queue.take(ram, |buffer| chain::take(ram, buffer, batch)) {
            Ok(Some(list)) => {
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
        let Some(queue) = &mut self.packed[usize::from(number)] else { return Ok(false) };
        match queue.take(&self.ram, |_| {}) {
            Ok(Some(list)) => self.give_back_packed(number, list.id).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(self.broken(access(number, &error))),
        }
    }

    fn give_back_packed(&mut self, number: u16, id: u16) -> Result<(), RingError> {
        let Some(queue) = self.packed[usize::from(number)] else { return Ok(()) };
        let used = queue.put(&self.ram, id).and_then(|()| queue.wants_interrupt(&self.ram));
        self.tell(used.map_err(|error| access(number, &error)))
    }
}

fn access(queue: u16, error: &GuestMemoryError) -> RingError {
    RingError::Access { queue, what: error.to_string() }
}
