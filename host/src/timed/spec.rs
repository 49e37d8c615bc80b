//! What a timed trial is to run, and whether it means anything.

use abi::addr::{Order, PAGE_SIZE};
use abi::layout::ARENA_MAX_PAGES;
use abi::wire::page::BATCH_CAPACITY;

use super::stopwatch::Stopwatch;
use crate::axes::{Carrier, Servicer, Way, WayError, Workload};
use crate::trial::TrialError;

/// Every choice of one timed trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimedSpec {
    /// How reports travel and what is done with them.
    pub way: Way,
    /// Which pages are freed.
    pub workload: Workload,
    /// Size of every range.
    pub order: Order,
    /// Ranges in a report, 1 to [`BATCH_CAPACITY`].
    pub batch: u16,
    /// Size of the arena in bytes; `None` for the smallest that serves: see [`TimedSpec::arena_pages`].
    pub arena: Option<u64>,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured, at least 1.
    pub reports: u64,
    /// Microseconds for which the guest gives its processor away before each report; 0 to go on at once. Outside the
    /// stopwatch.
    pub idle: u32,
    /// Seed of the workload.
    pub seed: u64,
    /// What is done with the stopwatch. Where it is weighed, `reports` are the reports of one call each.
    pub stopwatch: Stopwatch,
}

/// A [`TimedSpec`] that means nothing, or cannot be had. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimedSpecError {
    /// The choices of the way do not go together.
    #[error(transparent)]
    Way(#[from] WayError),
    /// No batch, or one larger than a batch page.
    #[error("a batch has 1 to {BATCH_CAPACITY} ranges, not {batch}: change --batch")]
    Batch {
        /// The batch size.
        batch: u16,
    },
    /// Nothing would be measured.
    #[error("at least one report must be measured: use --reports 1 or more")]
    NoReports,
    /// The stopwatch is weighed over something else than an empty call.
    #[error(
        "the stopwatch is weighed on empty calls that return when they are served: use carrier empty and servicer vcpu or kernel"
    )]
    Weighing,
    /// The arena cannot hold two batches, is no power of two, or is too large.
    #[error(
        "an arena of {bytes} bytes does not do: it must be a power of two from {min} bytes (a batch of blocks of this order) to {max}; change --arena"
    )]
    Arena {
        /// Bytes asked for.
        bytes: u64,
        /// The least that serves this batch and order.
        min: u64,
        /// The most there is room for.
        max: u64,
    },
}

impl From<TimedSpecError> for TrialError {
    fn from(error: TimedSpecError) -> Self {
        Self::Spec(Box::new(error))
    }
}

// The largest batch of the largest blocks fits in the largest arena: there is nothing to refuse.
const _: () = assert!(BATCH_CAPACITY.next_power_of_two() * Order::MAX.pages() <= ARENA_MAX_PAGES);

impl TimedSpec {
    /// Pages of the arena: as asked, else four batches' worth of blocks, at least 16 MiB, less if that would
    /// be more than 1 GiB.
    #[must_use]
    pub fn arena_pages(&self) -> u64 {
        let batch = self.least_pages();
        self.arena
            .map_or_else(|| (4 * batch).clamp(4096, (1 << 18_u64).max(batch)), |bytes| bytes / PAGE_SIZE)
    }

    /// Pages of one batch, with the batch rounded up to a power of two.
    fn least_pages(&self) -> u64 {
        u64::from(self.batch).next_power_of_two() * self.order.pages()
    }

    /// Entries of the ring: as many as the batch has ranges, at least the 32 a Linux driver asks for.
    #[must_use]
    pub fn queue_size(&self) -> u16 {
        self.batch.next_power_of_two().max(abi::wire::virtio::balloon::REPORTING_QUEUE_MIN)
    }

    /// Ranges one call can carry.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        match self.way.carrier {
            Carrier::Empty | Carrier::Registers => 1,
            Carrier::Batch | Carrier::Ring | Carrier::PackedRing => self.batch,
        }
    }

    /// Whether the choices go together, before anything is started.
    ///
    /// # Errors
    /// [`TimedSpecError`], with what to change.
    pub fn validate(&self) -> Result<(), TimedSpecError> {
        self.way.validate()?;
        if self.batch == 0 || u64::from(self.batch) > BATCH_CAPACITY {
            return Err(TimedSpecError::Batch { batch: self.batch });
        }
        if self.reports == 0 {
            return Err(TimedSpecError::NoReports);
        }
        let way = &self.way;
        if self.stopwatch == Stopwatch::Weighed
            && (way.carrier != Carrier::Empty || way.servicer == Servicer::Device)
        {
            return Err(TimedSpecError::Weighing);
        }
        let (least, max) = (self.least_pages(), ARENA_MAX_PAGES * PAGE_SIZE);
        if let Some(bytes) = self.arena {
            let min = (least * PAGE_SIZE).max(4 << 20);
            if !bytes.is_power_of_two() || bytes < min || bytes > max {
                return Err(TimedSpecError::Arena { bytes, min, max });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::{Axis, Coalesce, Completion, Doorbell};
    use crate::testing::specs::TIMED;

    #[test]
    fn what_means_something_is_accepted() {
        assert_eq!(TIMED.validate(), Ok(()));
        for arena in [None, Some(4 << 20), Some(ARENA_MAX_PAGES * PAGE_SIZE)] {
            assert_eq!(TimedSpec { arena, ..TIMED }.validate(), Ok(()));
        }
    }

    #[test]
    fn the_way_is_judged_as_in_every_trial() {
        for carrier in [Carrier::Empty, Carrier::Registers, Carrier::Batch] {
            let way = Way::plain(carrier, Doorbell::Port, Completion::Poll);
            let error = way.validate().unwrap_err();
            assert_eq!(TimedSpec { way, ..TIMED }.validate(), Err(TimedSpecError::Way(error)));
            let way = Way { coalesce: Coalesce::Merged, completion: Completion::Return, ..way };
            assert_eq!(TimedSpec { way, ..TIMED }.validate(), Ok(()));
        }
    }

    #[test]
    fn the_stopwatch_is_weighed_on_empty_calls() {
        let weighed = |carrier| {
            let way = Way::plain(carrier, Doorbell::Port, Completion::Return);
            TimedSpec { way, stopwatch: Stopwatch::Weighed, ..TIMED }.validate()
        };
        assert_eq!(weighed(Carrier::Empty), Ok(()));
        for carrier in [Carrier::Registers, Carrier::Batch, Carrier::Ring, Carrier::PackedRing] {
            assert_eq!(weighed(carrier), Err(TimedSpecError::Weighing));
        }
    }

    #[test]
    fn a_call_carries_a_batch_or_a_range() {
        let capacity = |carrier| {
            let way = Way::plain(carrier, Doorbell::Port, Completion::Return);
            TimedSpec { way, batch: 7, ..TIMED }.capacity()
        };
        assert_eq!(
            Carrier::ALL.iter().map(|carrier| capacity(*carrier)).collect::<Vec<_>>(),
            [1, 1, 7, 7, 7]
        );
    }
}
