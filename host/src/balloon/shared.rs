//! The balloon as two threads have it: the processor's, which reads and writes its registers, and the one that serves
//! its queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Balloon;

/// A balloon behind its lock.
#[derive(Clone, Debug)]
pub(crate) struct SharedBalloon(Arc<Mutex<Balloon>>);

impl SharedBalloon {
    pub(crate) fn new(balloon: Balloon) -> Self {
        Self(Arc::new(Mutex::new(balloon)))
    }

    /// The balloon itself. One whose lock was poisoned by a panic elsewhere is still a state machine in a valid state:
    /// every method leaves it in one.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Balloon> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver reads a register.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) {
        self.lock().read(offset, data);
    }

    /// The driver writes a register. A write that takes the queue away waits for the thread that has a chain of it in
    /// hand.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) {
        loop {
            let mut device = self.lock();
            if !device.must_wait(offset, data) {
                return device.write(offset, data);
            }
            drop(device);
            std::thread::yield_now();
        }
    }
}
