//! What a trial of the engine is to run.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::Map;
use abi::engine::{Load, PerCpuLists, Reporting, Shuffle, Walk};
use abi::wire::virtio::balloon::REPORTING_QUEUE_MIN;

use crate::axes::Way;

/// Every choice of one trial of the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineSpec {
    /// How reports travel and what is done with them; over any carrier but [`crate::axes::Carrier::Empty`].
    pub way: Way,
    /// Virtual processors, 1 to [`abi::layout::VCPUS_MAX`] and to what KVM allows.
    pub vcpus: u32,
    /// Size of the arena in bytes, a multiple of 4 MiB: the engine's books and the memory it manages.
    pub memory: u64,
    /// Whether the guest reports.
    pub reporting: Reporting,
    /// How it finds what it has not reported.
    pub walk: Walk,
    /// Whether compaction moves the free lists.
    pub shuffle: Shuffle,
    /// The least order reported.
    pub min_order: Order,
    /// Blocks a report holds.
    pub capacity: u16,
    /// Entries of the ring; `None` for the least that holds the capacity, at least 32.
    pub queue_size: Option<u16>,
    /// From request to pass.
    pub delay: Duration,
    /// Unreported blocks on a list that request a pass.
    pub high_water: u64,
    /// Passes' worth of reports to a list; 0 for no limit: see [`abi::engine::info::EngineInfo::budget`].
    pub budget: u64,
    /// Whether the watermark is checked.
    pub watermark: bool,
    /// Who allocates.
    pub load: Load,
    /// Order of its blocks.
    pub unit: Order,
    /// Bytes each virtual processor has allocated at the most; of [`Load::Comb`], all of them together.
    pub footprint: u64,
    /// Rounds of a load that is not timed.
    pub rounds: u64,
    /// Warm-up of a load that is.
    pub warmup: Duration,
    /// Its measured part.
    pub window: Duration,
    /// How long reporting may take to settle after each round of a load that is not timed.
    pub settle: Duration,
    /// The byte free pages are filled with, if the guest poisons them.
    pub poison: Option<u8>,
    /// Whether the balloon offers `VIRTIO_BALLOON_F_PAGE_POISON`.
    pub offer_poison: bool,
    /// How often resident memory is looked at meanwhile, if at all: looking takes the lock that faults take.
    pub watch: Option<Duration>,
    /// Whether processors keep lists of free pages of their own.
    pub pcp: PerCpuLists,
    /// Seed of the workload.
    pub seed: u64,
}

impl EngineSpec {
    /// Entries of the ring: as asked, else the least that holds a report, at least the 32 a Linux driver
    /// asks for.
    #[must_use]
    pub fn queue_size(&self) -> u16 {
        self.queue_size.unwrap_or_else(|| self.capacity.next_power_of_two().max(REPORTING_QUEUE_MIN))
    }

    /// Where the engine keeps its books and which pages it manages.
    #[must_use]
    pub const fn map(&self) -> Map {
        Map::new(self.memory / PAGE_SIZE)
    }

    /// The same with every parameter that nothing looks at set to its neutral value, so that it is not refused as
    /// [`super::EngineSpecError::Unused`]: for experiments that try many walks and loads with the same parameters.
    #[must_use]
    pub fn neutral(self) -> Self {
        let mut spec = self;
        if !spec.walk.walks_lists() {
            (spec.shuffle, spec.high_water, spec.budget, spec.watermark) = (Shuffle::None, 1, 0, false);
        }
        if spec.walk == Walk::Synchronous {
            // It reports what is freed before it goes on any list.
            (spec.capacity, spec.delay, spec.pcp) = (1, Duration::ZERO, PerCpuLists::Off);
        }
        if spec.load.is_timed() {
            (spec.rounds, spec.settle) = (1, Duration::ZERO);
        } else {
            (spec.warmup, spec.window) = (Duration::ZERO, Duration::ZERO);
        }
        if matches!(spec.load, Load::Comb | Load::IdleAfterBurst) {
            spec.rounds = 1;
        }
        if spec.load == Load::Comb {
            spec.vcpus = 1;
        }
        if !spec.way.carrier.is_ring() {
            (spec.queue_size, spec.offer_poison) = (None, false);
        }
        spec
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::specs::{ENGINE, churning};

    #[test]
    fn neutral_changes_nothing_that_is_used() {
        assert_eq!(ENGINE.neutral(), ENGINE);
        assert_eq!(churning(ENGINE).neutral(), churning(ENGINE));
    }
}
