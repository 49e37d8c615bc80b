//! Who serves the reporting queue: the host's kernel from when the driver is ready until it takes the queue away, if it is to.

use std::io;

use abi::wire::virtio::{mmio, status};
use virtio_queue::QueueT;

use super::vhost::Vhost;
use super::{Balloon, RingError};

impl Balloon {
    /// The same whose reporting queue the host's kernel serves.
    pub(crate) fn served_by(self, vhost: Vhost) -> Self {
        Self { vhost: Some(vhost), ..self }
    }

    /// Why the host's kernel serves the reporting queue no more, if it ought to and does not.
    pub(crate) fn failure(&self) -> Option<RingError> {
        let vhost = self.vhost.as_ref()?;
        let broken = || Some(format!("the driver has broken it ({})", vhost.broken()?));
        vhost.failed.clone().or_else(broken).map(|why| RingError::Vhost(io::Error::other(why)))
    }

    /// The driver is ready: the kernel serves its reporting queue from now on, if it is to and there is one. A ring that
    /// it does not take leaves a device that needs a reset (virtio 2.1.2).
    pub(super) fn hand_over(&mut self) {
        let number = self.reporting_queue();
        let queue = &self.queues[usize::from(number)];
        if self.vhost.is_none() || !self.is_live(number) || !queue.ready() {
            return;
        }
        let Some(vhost) = &mut self.vhost else { return };
        if let Err(error) = vhost.start(number, queue, self.accepted) {
            vhost.failed = Some(error);
            self.status |= status::DEVICE_NEEDS_RESET;
            // Should the interrupt fail too, the first error is the one to report.
            let _ = self.raise(mmio::INTERRUPT_CONFIG);
        }
    }

    /// The driver takes its reporting queue away: waits until the kernel has done with it.
    pub(super) fn take_back(&mut self) {
        if let Some(vhost) = &mut self.vhost {
            vhost.failed = None;
            vhost.stop();
        }
    }

    /// Device status (2.1), as whoever serves has left it.
    pub(super) fn status_read(&self) -> u32 {
        let broken = self.vhost.as_ref().is_some_and(|vhost| vhost.broken().is_some());
        self.status | if broken { status::DEVICE_NEEDS_RESET } else { 0 }
    }
}
