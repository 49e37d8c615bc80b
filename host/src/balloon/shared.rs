//! The balloon as two threads have it: the processor's, which reads and writes its registers, and the one that serves
//! its queue.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::wire::virtio::balloon::DEFLATE_QUEUE;

use super::Balloon;
use crate::kvm::{ExitError, Pulse};

/// A balloon behind its lock.
#[derive(Clone, Debug)]
pub(crate) struct SharedBalloon {
    balloon: Arc<Mutex<Balloon>>,
    /// Number of its reporting queue.
    reporting: Arc<AtomicU16>,
    /// Whether kicks of the deflate queue are heard as its are.
    deflates: bool,
    /// Of the machine it belongs to: says when nothing is to be waited for any more.
    pulse: Arc<Pulse>,
}

impl SharedBalloon {
    pub(crate) fn new(balloon: Balloon, pulse: &Arc<Pulse>) -> Self {
        let (reporting, deflates) = (Arc::clone(&balloon.reporting), balloon.of_frames);
        Self { balloon: Arc::new(Mutex::new(balloon)), reporting, deflates, pulse: Arc::clone(pulse) }
    }

    /// The balloon itself. One whose lock was poisoned by a panic elsewhere is still a state machine in a valid state:
    /// every method leaves it in one.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Balloon> {
        self.balloon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a kick of this queue is one about reports, or about pages that are taken back.
    #[inline]
    pub(crate) fn is_kick(&self, queue: u32) -> bool {
        // Relaxed: see the balloon.
        queue == u32::from(self.reporting.load(Ordering::Relaxed))
            || self.deflates && queue == u32::from(DEFLATE_QUEUE)
    }

    /// The driver reads a register.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) {
        self.lock().read(offset, data);
    }

    /// The driver writes a register. A write that takes the queue away waits for the thread that has a chain of it in
    /// hand, unless the processor is to leave.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Result<(), ExitError> {
        loop {
            let mut device = self.lock();
            if !device.must_wait(offset, data) {
                device.write(offset, data);
                return Ok(());
            }
            drop(device);
            // The watchdog's signal interrupts system calls; here there is none for it to interrupt.
            self.pulse.unless_kicked(ExitError::InHand)?;
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use abi::wire::virtio::mmio;

    use super::*;
    use crate::balloon::tests::with_chain_in_hand;
    use crate::kvm::watched;

    /// How a reset ends whose chain in hand is never given back.
    fn reset(patience: Duration, stop: bool) -> ExitError {
        let pulse = Arc::default();
        let balloon = SharedBalloon::new(with_chain_in_hand(), &pulse);
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let stop = AtomicBool::new(stop);
            let ended =
                watched(&pulse, patience, &stop, None, || balloon.write(mmio::STATUS, &[0; 4])).unwrap();
            tell.send(ended).unwrap();
        });
        told.recv_timeout(Duration::from_secs(20)).expect("it waits for ever").unwrap_err()
    }

    #[test]
    fn a_chain_that_is_never_given_back_is_not_waited_for_beyond_the_deadline() {
        assert!(matches!(reset(Duration::from_millis(10), false), ExitError::InHand));
    }

    #[test]
    fn a_chain_in_hand_is_not_waited_for_once_the_trial_is_to_stop() {
        assert!(matches!(reset(Duration::from_secs(3600), true), ExitError::Stopped));
    }
}
