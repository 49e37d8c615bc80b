//! Putting aside what is completed later.

use super::Balloon;
use super::aside::Aside;

impl Balloon {
    /// Puts what was fetched last aside, so that more can be fetched before it is completed.
    pub(crate) fn put_aside(&mut self) {
        if let Some(number) = self.in_hand.take() {
            let list = self.packed[usize::from(self.reporting_queue())].map(|queue| queue.taken());
            self.aside.push_back(Aside { number, list });
        }
    }

    /// Takes the oldest in hand that was put aside: its head or id; `None` if the driver has taken the queue away.
    pub(crate) fn take_up(&mut self) -> Option<u16> {
        let Aside { number, list } = self.aside.pop_front()?;
        let reporting = usize::from(self.reporting_queue());
        if let (Some(queue), Some(list)) = (&mut self.packed[reporting], list) {
            queue.take_up(list);
        }
        self.in_hand = Some(number);
        self.in_hand
    }

    /// Whether the driver waits for anything that was fetched.
    pub(super) fn has_fetched(&self) -> bool {
        self.in_hand.is_some() || !self.aside.is_empty()
    }
}
