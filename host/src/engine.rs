//! Trials of the guest's reporting engine: what to run ([`EngineSpec`]) and what comes out ([`EngineOutcome`]).
//!
//! The payload allocates and frees like a guest kernel and reports what its reporting core decides; see
//! [`abi::engine`]. Here are several virtual processors, memory that is watched from outside, and no stopwatch on
//! single reports: what is measured is what all of it costs the workload.

use std::time::Duration;

use abi::addr::Order;
pub use abi::engine::books::{Counter as GuestCounter, PassRecord, Tally};
pub use abi::engine::{GuestFault, Inhibited, Load, Reporting, Shuffle, VCPUS_MAX, Walk};
use abi::trace::Violation;

use crate::axes::{
    Backing, Bell, Carrier, Coalesce, Completion, Discard, Doorbell, GuestRing, RingChoice, Servicer,
};
use crate::facts::Counter;
use crate::trial::{Exits, Refused};

/// Every choice of one trial of the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineSpec {
    /// Where ranges travel: anything but [`Carrier::Empty`].
    pub carrier: Carrier,
    /// How the host is told.
    pub doorbell: Doorbell,
    /// Who acts.
    pub servicer: Servicer,
    /// How the guest learns. With [`Completion::Interrupt`] the processor that reported goes on with its workload until
    /// then, as a kernel does whose worker sleeps; with [`Completion::Poll`] it spins.
    pub completion: Completion,
    /// What is done with a range.
    pub discard: Discard,
    /// What one discard covers.
    pub coalesce: Coalesce,
    /// What guest memory is made of.
    pub backing: Backing,
    /// The mode the payload runs in.
    pub guest_ring: RingChoice,
    /// Virtual processors, 1 to [`VCPUS_MAX`] and to what KVM allows.
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
    /// Entries of the split ring; `None` for the least that holds the capacity, at least 32.
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
    /// How long reporting may take to settle after each round.
    pub settle: Duration,
    /// The byte free pages are filled with, if the guest poisons them.
    pub poison: Option<u8>,
    /// Whether the balloon offers `VIRTIO_BALLOON_F_PAGE_POISON`.
    pub offer_poison: bool,
    /// How often resident memory is looked at meanwhile, if at all: looking takes the lock that faults take.
    pub watch: Option<Duration>,
    /// Seed of the workload.
    pub seed: u64,
}

/// A bucket of a tally that is not empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Its smallest value.
    pub lowest: u64,
    /// Its largest value.
    pub highest: u64,
    /// How many there were.
    pub count: u64,
}

/// What was resident at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// Nanoseconds since the measured part began.
    pub at_ns: u64,
    /// Bytes of managed memory resident on the host.
    pub resident: u64,
    /// Bytes of managed memory free in the guest, by its own count.
    pub free: u64,
}

/// What the kernel said when a round had settled. Pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// The round, from 1.
    pub round: u64,
    /// Nanoseconds since the measured part began.
    pub at_ns: u64,
    /// Managed pages that the guest has free.
    pub free: u64,
    /// Of these, resident on the host: not returned.
    pub resident: u64,
    /// Pages reported and acknowledged, and not allocated since.
    pub reported: u64,
    /// Of these, resident all the same.
    pub reported_resident: u64,
    /// Pages written to and not reported that are gone: must be 0.
    pub lost: u64,
}

/// What the host did for reports, in ticks of its time stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    /// Ranges out of the carrier, checked.
    pub fetch: u64,
    /// Coalescing and `madvise`.
    pub discard: u64,
    /// The acknowledgement written and the interrupt raised.
    pub complete: u64,
}

/// What a trial of the engine showed. Counts cover the measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineOutcome {
    /// The instruction the guest used.
    pub bell: Bell,
    /// The mode the guest ran in.
    pub guest_ring: GuestRing,
    /// What the time stamp counter counts.
    pub counter: Counter,
    /// Frequency of the time stamp counter in kHz.
    pub tsc_khz: u32,
    /// Why the guest did not report although it was told to.
    pub inhibited: Inhibited,
    /// Pages the engine manages.
    pub managed: u64,
    /// The guest's counters, for each virtual processor, in the order of [`GuestCounter`].
    pub counters: Vec<Vec<u64>>,
    /// The guest's tallies, added up over the virtual processors, in the order of [`Tally`].
    pub tallies: Vec<Vec<Bucket>>,
    /// The first passes of the reporting core, of the whole trial.
    pub passes: Vec<PassRecord>,
    /// Guest ticks when the measured part began and ended, and when the memory of the last round had been freed (0 for a
    /// timed load).
    pub began: u64,
    /// See `began`.
    pub ended: u64,
    /// See `began`.
    pub freed: u64,
    /// Resident memory over time; empty if it was not watched.
    pub curve: Vec<Point>,
    /// Every settled round.
    pub settled: Vec<Settled>,
    /// Exits by our count, all processors.
    pub exits: Exits,
    /// Exits by which a processor gave itself away ([`abi::calls::IDLE_PORT`]); in no other count.
    pub idles: u64,
    /// Change of KVM's own statistics, all processors, by KVM's names.
    pub kvm_stats: Vec<(String, u64)>,
    /// What the host did for reports, of the whole trial.
    pub spent: Spent,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// Ranges refused, in the whole trial.
    pub refused: Refused,
    /// What the guest found wrong, in the whole trial; empty is right.
    pub violations: Vec<(Violation, u64)>,
    /// Frame of the first page found wrong.
    pub first_wrong: Option<u64>,
    /// The whole trial in nanoseconds; `None` where the counter counts instructions.
    pub elapsed_ns: Option<u64>,
}
