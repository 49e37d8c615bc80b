//! What cannot be gone on from without a reset.

use std::io;

use abi::wire::virtio::balloon::{REPORTING_QUEUE, REPORTING_QUEUE_FIXED};

/// A driver broke a queue beyond what one chain can: the device needs a reset (2.1.2).
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The available index moved by more than the queue has entries.
    #[error("the available index of queue {queue} moved by more than its size")]
    AvailableJump {
        /// The queue.
        queue: u16,
    },
    /// The head of a chain is not in the table.
    #[error("queue {queue} was given chain {head}, which is beyond its {size} descriptors")]
    Head {
        /// The queue.
        queue: u16,
        /// The head named.
        head: u16,
        /// Entries of the queue.
        size: u16,
    },
    /// The parts of the queue are not in memory.
    #[error("queue {queue} cannot be accessed: {what}")]
    Access {
        /// The queue.
        queue: u16,
        /// What went wrong.
        what: String,
    },
    /// Reports would come by either of two queues.
    #[error(
        "the driver has set up a reporting queue {REPORTING_QUEUE} and a reporting queue {REPORTING_QUEUE_FIXED}, and there is one"
    )]
    TwoReportingQueues,
    /// The host's kernel serves the queue no more. No text beside that of [`RingError::Access`]: with two the result of every
    /// look into a ring would need a word more.
    #[error("vhost-pagehint does not serve the reporting queue: {0}")]
    Vhost(io::Error),
    /// The interrupt could not be raised.
    #[error("the balloon's interrupt cannot be raised: write to its eventfd: {0}")]
    Interrupt(io::Error),
}
