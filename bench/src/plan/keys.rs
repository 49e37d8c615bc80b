//! What can be chosen for the trials of an experiment: the same keys as flags and in a plan file.
//!
//! An experiment looks at the keys that its built-in plan gives a value, and at those it names beside. Any other is
//! refused: a choice that changes nothing is a mistake.

use clap::Args;
use host::axes::{
    Backing, Carrier, Coalesce, Completion, Discard, Doorbell, HaltPoll, RingChoice, RingFeatures, Servicer,
    Workload,
};
use host::engine::{Load, PerCpuLists, Reporting, Shuffle, Walk};
use host::linux::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::size::{bytes, whole};
use crate::plan::until::{Share, Span, Until};
use crate::trial::linux::task::{Pages, Task};

/// The choices of a plan. What is left out is as in the built-in plan of the experiment.
#[derive(Args, Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Keys {
    /// Rounds; every block runs every cell once.
    #[arg(long, value_parser = whole::<u32>)]
    pub blocks: Option<u32>,
    /// From which the order of trials and the workloads follow.
    #[arg(long, value_parser = whole::<u64>)]
    pub seed: Option<u64>,
    /// Minutes to go on for.
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Add blocks until the intervals of what the run is about reach no further to either side, or for a time: 2%, 10m.
    /// `blocks` are then those before the first look.
    #[arg(long, value_name = "SHARE|TIME", help_heading = "How sure")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// The most time that takes: no block begins later. [default: 30m]
    #[arg(long, value_name = "TIME", help_heading = "How sure")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Exit with 4 unless a verdict is there on what the run is about, or a difference of this share would have been seen.
    #[arg(long, value_name = "SHARE", help_heading = "How sure")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Share>,
    /// Pairs of trials in a comparison. [default: 17; 40 for same calm]
    #[arg(long, value_parser = whole::<u32>, help_heading = "How sure")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u32>,
    /// Transports, by their rung of the ladder, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "RUNG,…", help_heading = "What is compared")]
    pub rungs: Option<Vec<Named<Rung>>>,
    /// What the host does with the pages, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "DISCARD,…", help_heading = "What is compared")]
    pub discards: Option<Vec<Named<Discard>>>,
    /// What guest memory is made of, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "BACKING,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backings: Option<Vec<Named<Backing>>>,
    /// Orders of the workload's blocks, separated by commas.
    #[arg(long, value_parser = whole::<u8>, value_delimiter = ',', value_name = "ORDER,…", help_heading = "What is compared")]
    pub units: Option<Vec<u8>>,
    /// Ranges in a report, 1 to 511, separated by commas.
    #[arg(long, value_parser = whole::<u16>, value_delimiter = ',', value_name = "RANGES,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<Vec<u16>>,
    /// Walk strategies, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "WALK,…", help_heading = "What is compared")]
    pub walks: Option<Vec<Named<Walk>>>,
    /// Whether compaction moves the lists, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "SHUFFLE,…", help_heading = "What is compared")]
    pub shuffles: Option<Vec<Named<Shuffle>>>,
    /// Lengths of the free list, separated by commas.
    #[arg(long, value_parser = whole::<u64>, value_delimiter = ',', value_name = "BLOCKS,…", help_heading = "What is compared")]
    pub lengths: Option<Vec<u64>>,
    /// Orders reported, separated by commas.
    #[arg(long, value_parser = whole::<u8>, value_delimiter = ',', value_name = "ORDER,…", help_heading = "What is compared")]
    pub orders: Option<Vec<u8>>,
    /// Blocks a report holds, separated by commas.
    #[arg(long, value_parser = whole::<u16>, value_delimiter = ',', value_name = "BLOCKS,…", help_heading = "What is compared")]
    pub capacities: Option<Vec<u16>>,
    /// From request to pass, in milliseconds, separated by commas.
    #[arg(long, value_parser = whole::<u64>, value_delimiter = ',', value_name = "MS,…", help_heading = "What is compared")]
    pub delays_ms: Option<Vec<u64>>,
    /// Workloads, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "LOAD,…", help_heading = "What is compared")]
    pub loads: Option<Vec<Named<Load>>>,
    /// Whether processors keep lists of free pages of their own, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "PCP,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcps: Option<Vec<Named<PerCpuLists>>>,
    /// What the process of a Linux guest does, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "TASK,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Named<Task>>>,
    /// What memory of its task is made of, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "PAGES,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<Vec<Named<Pages>>>,
    /// How a Linux guest reports, separated by commas; off is what the others are compared with.
    #[arg(long, value_delimiter = ',', value_name = "REPORT,…", help_heading = "What is compared")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_by: Option<Vec<Named<Report>>>,
    /// The kernel of a Linux guest: a series of Debian's (6.1, 6.12), a package, a .deb file, or any bzImage.
    #[arg(long, value_name = "KERNEL", help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_kernel: Option<String>,
    /// Where the modules of that kernel are, if it is a file whose virtio drivers are modules: /lib/modules/VERSION.
    #[arg(long, value_name = "DIR", help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_modules: Option<String>,
    /// Memory of a Linux guest that is in use all the time and checked, such as 16M.
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// Seconds a Linux guest may take, from its first instruction to its last.
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>, help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience_s: Option<u64>,
    /// The rung to start from; the flags of its axes change it.
    #[arg(long, help_heading = "Transport")]
    pub preset: Option<Named<Rung>>,
    /// Where ranges travel.
    #[arg(long, help_heading = "Transport")]
    pub carrier: Option<Named<Carrier>>,
    /// What the ring has beside its format.
    #[arg(long, help_heading = "Transport")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_features: Option<Named<RingFeatures>>,
    /// How the host is told.
    #[arg(long, help_heading = "Transport")]
    pub doorbell: Option<Named<Doorbell>>,
    /// Who acts.
    #[arg(long, help_heading = "Transport")]
    pub servicer: Option<Named<Servicer>>,
    /// How the guest learns.
    #[arg(long, help_heading = "Transport")]
    pub completion: Option<Named<Completion>>,
    /// Whether KVM spins before a vCPU that halts sleeps; 0 for never.
    #[arg(long, help_heading = "Transport")]
    pub halt_poll: Option<Named<HaltPoll>>,
    /// Entries of the ring. [default: the least that holds the capacity, at least 32]
    #[arg(long, value_parser = whole::<u16>, help_heading = "Transport")]
    pub queue_size: Option<u16>,
    /// What the host does with a range.
    #[arg(long, help_heading = "Transport")]
    pub discard: Option<Named<Discard>>,
    /// What one discard covers.
    #[arg(long, help_heading = "Transport")]
    pub coalesce: Option<Named<Coalesce>>,
    /// What guest memory is made of.
    #[arg(long, help_heading = "Guest")]
    pub backing: Option<Named<Backing>>,
    /// The mode the payload runs in.
    #[arg(long, help_heading = "Guest")]
    pub guest_ring: Option<Named<RingChoice>>,
    /// Virtual processors. [default: of a timed trial 1, else those of the host, at most 8]
    #[arg(long, value_parser = whole::<u32>, help_heading = "Guest")]
    pub vcpus: Option<u32>,
    /// How many of them report in a timed trial; the others fault. [default: all]
    #[arg(long, value_parser = whole::<u32>, help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reporters: Option<u32>,
    /// Memory of the engine, such as 512M, its books included.
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Guest")]
    pub memory: Option<u64>,
    /// The byte free pages are filled with. [default: they are not filled]
    #[arg(long, value_parser = whole::<u8>, value_name = "BYTE", help_heading = "Guest")]
    pub poison: Option<u8>,
    /// Whether the balloon offers VIRTIO_BALLOON_F_PAGE_POISON. [default: false]
    #[arg(long, help_heading = "Guest")]
    pub offer_poison: Option<bool>,
    /// Whether processors keep lists of free pages of their own, as Linux does. [default: off]
    #[arg(long, help_heading = "Guest")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcp: Option<Named<PerCpuLists>>,
    /// Ranges in a report, 1 to 511.
    #[arg(long, value_parser = whole::<u16>, value_name = "RANGES", help_heading = "Reports")]
    pub batch: Option<u16>,
    /// Reports in flight at once, 1 to 8; more than one only over a ring that a device thread serves, or one that polls. [default: 1]
    #[arg(long, value_parser = whole::<u16>, value_name = "REPORTS", help_heading = "Reports")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u16>,
    /// log2 of the pages in a range, 0 to 10.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=10), help_heading = "Reports")]
    pub order: Option<u8>,
    /// Which pages are freed.
    #[arg(long, help_heading = "Reports")]
    pub workload: Option<Named<Workload>>,
    /// Reports before the measured ones, a trial.
    #[arg(long, value_parser = whole::<u64>, value_name = "REPORTS", help_heading = "Reports")]
    pub warmup: Option<u64>,
    /// Measured reports, a trial.
    #[arg(long, value_parser = whole::<u64>, help_heading = "Reports")]
    pub reports: Option<u64>,
    /// Microseconds for which the guest sleeps before each report. [default: 0]
    #[arg(long, value_parser = whole::<u32>, value_name = "US", help_heading = "Reports")]
    pub idle_us: Option<u32>,
    /// Memory that is freed and reported, such as 64M; by default the smallest that serves.
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Reports")]
    pub arena: Option<u64>,
    /// Whether the guest reports.
    #[arg(long, help_heading = "Reporting core")]
    pub reporting: Option<Named<Reporting>>,
    /// How it finds what it has not reported.
    #[arg(long, help_heading = "Reporting core")]
    pub walk: Option<Named<Walk>>,
    /// Whether compaction moves the free lists.
    #[arg(long, help_heading = "Reporting core")]
    pub shuffle: Option<Named<Shuffle>>,
    /// The least order reported.
    #[arg(long, value_parser = whole::<u8>, help_heading = "Reporting core")]
    pub min_order: Option<u8>,
    /// Blocks a report holds.
    #[arg(long, value_parser = whole::<u16>, help_heading = "Reporting core")]
    pub capacity: Option<u16>,
    /// From request to pass, in milliseconds; Linux has 2000.
    #[arg(long, value_parser = whole::<u64>, value_name = "MS", help_heading = "Reporting core")]
    pub delay_ms: Option<u64>,
    /// Unreported blocks on a list that request a pass. [default: 1; 32 for walk boundary, as its versions had]
    #[arg(long, value_parser = whole::<u64>, value_name = "BLOCKS", help_heading = "Reporting core")]
    pub high_water: Option<u64>,
    /// Passes' worth of reports to a list; 0 for no limit.
    #[arg(long, value_parser = whole::<u64>, help_heading = "Reporting core")]
    pub budget: Option<u64>,
    /// Whether a zone without much to spare is left alone.
    #[arg(long, help_heading = "Reporting core")]
    pub watermark: Option<bool>,
    /// Who allocates.
    #[arg(long, help_heading = "Workload")]
    pub load: Option<Named<Load>>,
    /// Order of its blocks.
    #[arg(long, value_parser = whole::<u8>, help_heading = "Workload")]
    pub unit: Option<u8>,
    /// Memory each virtual processor has allocated at the most; of a comb, all together. [default: by the memory]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Workload")]
    pub footprint: Option<u64>,
    /// Rounds of a load that is not timed.
    #[arg(long, value_parser = whole::<u64>, help_heading = "Workload")]
    pub rounds: Option<u64>,
    /// Warm-up of a load that is timed, in milliseconds.
    #[arg(long, value_parser = whole::<u64>, value_name = "MS", help_heading = "Workload")]
    pub warmup_ms: Option<u64>,
    /// Its measured part, in milliseconds.
    #[arg(long, value_parser = whole::<u64>, value_name = "MS", help_heading = "Workload")]
    pub window_ms: Option<u64>,
    /// How long reporting may take to settle after each round, in milliseconds.
    #[arg(long, value_parser = whole::<u64>, value_name = "MS", help_heading = "Workload")]
    pub settle_ms: Option<u64>,
    /// How often resident memory is looked at meanwhile, in milliseconds.
    #[arg(long, value_parser = whole::<u64>, value_name = "MS", help_heading = "Workload")]
    pub watch_ms: Option<u64>,
}
