//! Why a trial of the engine cannot be run.

use abi::wire::virtio::balloon::{QUEUE_MAX, REPORTING_QUEUE_MIN};

use abi::engine::Walk;

use crate::axes::{Axis, Carrier, WayError};
use crate::trial::TrialError;

/// An [`super::EngineSpec`] that means nothing, or cannot be had. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineSpecError {
    /// The choices of the way do not go together.
    #[error(transparent)]
    Way(#[from] WayError),
    /// Nothing could be reported.
    #[error("carrier empty carries no ranges: use --carrier registers, batch, ring or packed")]
    NoRanges,
    /// The carrier is none for a reporting core.
    #[error("carrier {carrier} is for timed reports only: {why}; use --carrier registers, batch, ring or packed", carrier = .carrier.name())]
    Carrier {
        /// The carrier.
        carrier: Carrier,
        /// Why, in words that end a clause.
        why: &'static str,
    },
    /// Reports would not be acknowledged one by one.
    #[error(
        "carrier {carrier} gathers {entries} entries before the host is told, and the reporting core keeps each of its reports off the free lists until it is acknowledged: use --carrier registers, batch, ring or packed",
        carrier = .carrier.name()
    )]
    Gathers {
        /// The carrier.
        carrier: Carrier,
        /// Entries it gathers.
        entries: u64,
    },
    /// There would never be another report to merge with.
    #[error(
        "coalesce across merges the ranges of reports that are in flight at once, and the reporting core waits for each: use --coalesce merged"
    )]
    Across,
    /// What the kernel serves leaves no account for the engine's books.
    #[error(
        "what a module serves inside the kernel (doorbell hypercall-module, servicer vhost) is for timed reports: use --doorbell hypercall or --servicer device"
    )]
    InKernel,
    /// No block in a report, or more than a report can hold.
    #[error("over carrier {carrier} a report holds 1 to {most} blocks, not {capacity}: change --capacity", carrier = .carrier.name())]
    Capacity {
        /// Blocks asked for.
        capacity: u16,
        /// The carrier.
        carrier: Carrier,
        /// The most it holds.
        most: u64,
    },
    /// No ring of ours has so many entries.
    #[error(
        "a reporting ring has {REPORTING_QUEUE_MIN} to {QUEUE_MAX} entries and a power of two of them, not {entries}: change --queue-size"
    )]
    QueueSize {
        /// Entries asked for.
        entries: u16,
    },
    /// A report would not fit in the ring.
    #[error(
        "a report of {capacity} blocks does not fit in a ring of {entries} entries: use --queue-size {needs} or --capacity {entries}",
        needs = .capacity.next_power_of_two()
    )]
    QueueTooSmall {
        /// Entries asked for.
        entries: u16,
        /// Blocks of a report.
        capacity: u16,
    },
    /// The host could not know what the guest has taken back.
    #[error(
        "discard deferred needs a guest that says what it has taken back, and the engine's allocator does not: use --discard free, where the kernel knows, or a timed trial (pagehint run)"
    )]
    NoLedger,
    /// A walk that cannot report what it has not noted.
    #[error(
        "load flush has everything reported that is on a free list, and walk {} goes through none: use --walk rewalk, boundary, rotation or hold",
        .walk.name()
    )]
    NoFlush {
        /// The walk.
        walk: Walk,
    },
    /// Too few or too many virtual processors.
    #[error("a guest has 1 to {most} virtual processors here, not {vcpus}: change --vcpus")]
    Vcpus {
        /// Processors asked for.
        vcpus: u32,
        /// The most there may be.
        most: u32,
    },
    /// Something must not be zero.
    #[error("{what} must not be 0: {why}")]
    Zero {
        /// What.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// Too long to be told in ticks, or to be waited for.
    #[error("{what} is longer than a day")]
    TooLong {
        /// What.
        what: &'static str,
    },
    /// The budget of a pass is no number any more.
    #[error("a budget of {budget} times a capacity of {capacity} is beyond 64 bits: use a smaller --budget")]
    Budget {
        /// The budget.
        budget: u64,
        /// The capacity.
        capacity: u16,
    },
    /// No multiple of the blocks it consists of, or none.
    #[error("a footprint of {footprint} bytes is no multiple of {of} bytes ({why}): change --footprint")]
    Footprint {
        /// Bytes asked for.
        footprint: u64,
        /// What it has to be a multiple of.
        of: u64,
        /// Why.
        why: &'static str,
    },
    /// Memory too small for the footprints, too large, or no multiple of the largest block.
    #[error(
        "memory of {bytes} bytes does not do: it must be a multiple of 4 MiB from {least} bytes (the engine's books, the footprint of every processor, an eighth and a block a zone for watermarks) to {most}"
    )]
    Memory {
        /// Bytes asked for.
        bytes: u64,
        /// The least that serves.
        least: u64,
        /// The most there is room for.
        most: u64,
    },
    /// No memory is large enough.
    #[error(
        "a footprint of {footprint} bytes on each of {vcpus} processors does not fit in the largest memory: use a smaller --footprint or --vcpus"
    )]
    FootprintTooLarge {
        /// Bytes asked for.
        footprint: u64,
        /// Processors.
        vcpus: u32,
    },
    /// A parameter that nothing would look at is set.
    #[error("{parameter} means nothing to {whom}: leave it at {neutral}")]
    Unused {
        /// The parameter.
        parameter: &'static str,
        /// Who does not look at it.
        whom: &'static str,
        /// The value that says nothing.
        neutral: &'static str,
    },
}

impl From<EngineSpecError> for TrialError {
    fn from(error: EngineSpecError) -> Self {
        Self::Spec(Box::new(error))
    }
}
