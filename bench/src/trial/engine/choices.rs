//! The choices of a trial as they are written; trials with the same choices are a cell.

use host::engine::{EngineSpec, Load, PerCpuLists, Reporting, Shuffle, Walk};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::axes::way::Way;

/// [`EngineSpec`] as it is written, without its seed. Durations are microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct Choices {
    /// Who allocates.
    pub load: Named<Load>,
    /// Order of its blocks.
    pub unit: u8,
    /// Whether the guest reports.
    pub reporting: Named<Reporting>,
    /// How it finds what it has not reported.
    pub walk: Named<Walk>,
    /// Whether compaction moves the free lists.
    pub shuffle: Named<Shuffle>,
    /// How reports travel and what is done with them.
    #[serde(flatten)]
    pub way: Way,
    /// The least order reported.
    pub min_order: u8,
    /// Blocks a report holds.
    pub capacity: u16,
    /// From request to pass.
    pub delay_us: u64,
    /// Unreported blocks on a list that request a pass.
    pub high_water: u64,
    /// Passes' worth of reports to a list; 0 for no limit.
    pub budget: u64,
    /// Whether the watermark is checked.
    pub watermark: bool,
    /// Bytes each virtual processor has allocated at the most; of a comb, all of them together.
    pub footprint: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Bytes of the arena.
    pub memory: u64,
    /// Entries of the ring, if they were chosen.
    pub queue_size: Option<u16>,
    /// Rounds of a load that is not timed.
    pub rounds: u64,
    /// Warm-up of a load that is.
    pub warmup_us: u64,
    /// Its measured part.
    pub window_us: u64,
    /// How long reporting may take to settle after each round.
    pub settle_us: u64,
    /// The byte free pages are filled with.
    pub poison: Option<u8>,
    /// Whether the balloon offers `VIRTIO_BALLOON_F_PAGE_POISON`.
    pub offer_poison: bool,
    /// How often resident memory was looked at.
    pub watch_us: Option<u64>,
    /// Whether processors keep lists of free pages of their own.
    #[serde(default = "no_lists")]
    pub pcp: Named<PerCpuLists>,
}

/// What trials had before there were any.
const fn no_lists() -> Named<PerCpuLists> {
    Named(PerCpuLists::Off)
}

impl From<&EngineSpec> for Choices {
    fn from(spec: &EngineSpec) -> Self {
        let us = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self {
            load: Named(spec.load),
            unit: spec.unit.get(),
            reporting: Named(spec.reporting),
            walk: Named(spec.walk),
            shuffle: Named(spec.shuffle),
            way: spec.way.into(),
            min_order: spec.min_order.get(),
            capacity: spec.capacity,
            delay_us: us(spec.delay),
            high_water: spec.high_water,
            budget: spec.budget,
            watermark: spec.watermark,
            footprint: spec.footprint,
            vcpus: spec.vcpus,
            memory: spec.memory,
            queue_size: spec.queue_size,
            rounds: spec.rounds,
            warmup_us: us(spec.warmup),
            window_us: us(spec.window),
            settle_us: us(spec.settle),
            poison: spec.poison,
            offer_poison: spec.offer_poison,
            watch_us: spec.watch.map(us),
            pcp: Named(spec.pcp),
        }
    }
}

impl Choices {
    /// The rung whose transport is used; none if nothing is reported, or the transport is none of the ladder's.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        if self.reporting.0 == Reporting::On { self.way.rung() } else { None }
    }

    /// What tables call the transport.
    #[must_use]
    pub fn transport(&self) -> &'static str {
        use abi::axes::Axis;
        match self.reporting.0 {
            Reporting::On => self.rung().map_or("custom", Rung::name),
            Reporting::Absent | Reporting::Off => "",
        }
    }

    /// The cell in a word of a log: what differs between the cells of any experiment.
    #[must_use]
    pub fn tag(&self) -> String {
        let Self { load, unit, reporting, walk, shuffle, way, min_order, capacity, delay_us, pcp, .. } = self;
        let (transport, discard) = (self.transport(), way.discard);
        let footprint = self.footprint;
        let features = way.features_tag();
        format!(
            "{load}.u{unit}.{reporting}.{transport}{features}.{walk}.{shuffle}.{discard}.o{min_order}.c{capacity}.d{delay_us}.f{footprint}.p{pcp}"
        )
    }
}
