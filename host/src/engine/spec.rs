//! What to run, and whether it means anything.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::{Map, ZONES};
use abi::engine::{CAPACITY_MAX, Load, Reporting, Shuffle, Walk};
use abi::layout::ARENA_MAX_PAGES;
use abi::layout::VCPUS_MAX;
use abi::wire::page::BATCH_CAPACITY;
use abi::wire::virtio::balloon::{QUEUE_MAX, REPORTING_QUEUE_MIN};

use crate::axes::{Axis, Backing, Carrier, Coalesce, Completion, Discard, Doorbell, RingChoice, Servicer};
use crate::trial::{Route, SpecError};

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

/// An [`EngineSpec`] that means nothing, or cannot be had. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineSpecError {
    /// The choices of the transport do not go together.
    #[error(transparent)]
    Transport(#[from] SpecError),
    /// Nothing could be reported.
    #[error("carrier empty carries no ranges: use --carrier registers, batch or ring")]
    NoRanges,
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
    /// No split ring has so many entries.
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

/// Longer than anybody waits; in ticks of any counter it is far below 64 bits.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Memory comes in largest blocks.
const GRAIN: u64 = Order::MAX.pages() * PAGE_SIZE;
const MOST_MEMORY: u64 = ARENA_MAX_PAGES * PAGE_SIZE;

impl EngineSpec {
    /// Entries of the split ring: as asked, else the least that holds a report, at least the 32 a Linux driver
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
    /// [`EngineSpecError::Unused`]: for experiments that try many walks and loads with the same parameters.
    #[must_use]
    pub fn neutral(self) -> Self {
        let mut spec = self;
        if !spec.walk.walks_lists() {
            (spec.shuffle, spec.high_water, spec.budget, spec.watermark) = (Shuffle::None, 1, 0, false);
        }
        if spec.walk == Walk::Synchronous {
            (spec.capacity, spec.delay) = (1, Duration::ZERO);
        }
        if spec.load.is_timed() {
            spec.rounds = 1;
        } else {
            (spec.warmup, spec.window) = (Duration::ZERO, Duration::ZERO);
        }
        if matches!(spec.load, Load::Comb | Load::IdleAfterBurst) {
            spec.rounds = 1;
        }
        if spec.load == Load::Comb {
            spec.vcpus = 1;
        }
        if spec.carrier != Carrier::Ring {
            (spec.queue_size, spec.offer_poison) = (None, false);
        }
        spec
    }

    /// Whether the choices mean something and go together, before anything is started. What a walk or a load does not
    /// look at has to have its neutral value ([`EngineSpec::neutral`]); a trial without reporting is exempt from
    /// nothing, so that it is refused whenever the trial it is compared with is.
    ///
    /// # Errors
    /// [`EngineSpecError`], with what to change.
    pub fn validate(&self) -> Result<(), EngineSpecError> {
        self.validate_transport()?;
        self.validate_processors(VCPUS_MAX)?;
        self.validate_durations()?;
        self.validate_numbers()?;
        self.validate_memory()?;
        self.find_unused()
    }

    /// Whether there may be so many processors, of `most`.
    pub(super) const fn validate_processors(&self, most: u32) -> Result<(), EngineSpecError> {
        if self.vcpus == 0 || self.vcpus > most {
            return Err(EngineSpecError::Vcpus { vcpus: self.vcpus, most });
        }
        Ok(())
    }

    fn validate_transport(&self) -> Result<(), EngineSpecError> {
        let Self { carrier, doorbell, servicer, completion, guest_ring, capacity, .. } = *self;
        Route { carrier, doorbell, servicer, completion, guest_ring }.validate()?;
        if carrier == Carrier::Empty {
            return Err(EngineSpecError::NoRanges);
        }
        let most = if carrier == Carrier::Batch { BATCH_CAPACITY } else { CAPACITY_MAX as u64 };
        if capacity == 0 || u64::from(capacity) > most {
            return Err(EngineSpecError::Capacity { capacity, carrier, most });
        }
        if let Some(entries) = self.queue_size {
            if !entries.is_power_of_two() || !(REPORTING_QUEUE_MIN..=QUEUE_MAX).contains(&entries) {
                return Err(EngineSpecError::QueueSize { entries });
            }
            if entries < capacity {
                return Err(EngineSpecError::QueueTooSmall { entries, capacity });
            }
        }
        Ok(())
    }

    fn validate_durations(&self) -> Result<(), EngineSpecError> {
        let delayed = self.walk != Walk::Synchronous;
        let rows = [
            ("--delay-ms", self.delay, delayed, "a pass would follow every free; use 1 ms or more"),
            (
                "--window-ms",
                self.window,
                self.load.is_timed(),
                "nothing would be measured; use 100 ms or more",
            ),
            ("--settle-ms", self.settle, true, "reporting never settles at once; use 10 s or more"),
            ("--warmup-ms", self.warmup, false, ""),
            ("--watch-ms", self.watch.unwrap_or(DAY), true, "nothing can be looked at all the time"),
        ];
        for (what, duration, needed, why) in rows {
            if needed && duration.is_zero() {
                return Err(EngineSpecError::Zero { what, why });
            }
            if duration > DAY {
                return Err(EngineSpecError::TooLong { what });
            }
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), EngineSpecError> {
        for (what, number, why) in [
            ("--rounds", self.rounds, "nothing would be run; use 1 or more"),
            ("--high-water", self.high_water, "1 requests a pass at every freed block"),
            ("--footprint", self.footprint, "nothing would be allocated"),
        ] {
            if number == 0 {
                return Err(EngineSpecError::Zero { what, why });
            }
        }
        let Self { budget, capacity, .. } = *self;
        if budget.checked_mul(capacity.into()).is_none() {
            return Err(EngineSpecError::Budget { budget, capacity });
        }
        Ok(())
    }

    fn validate_memory(&self) -> Result<(), EngineSpecError> {
        let Self { footprint, vcpus, memory: bytes, .. } = *self;
        let unit = self.unit.pages() * PAGE_SIZE;
        let (of, why) = match self.load {
            Load::Comb => (2 * unit, "of two blocks of the unit one is freed"),
            _ => (unit, "it is allocated in blocks of the unit"),
        };
        if !footprint.is_multiple_of(of) {
            return Err(EngineSpecError::Footprint { footprint, of, why });
        }
        let least = (1..=MOST_MEMORY / GRAIN).map(|blocks| blocks * GRAIN).find(|least| self.fits(*least));
        let Some(least) = least else {
            return Err(EngineSpecError::FootprintTooLarge { footprint, vcpus });
        };
        if !bytes.is_multiple_of(GRAIN) || bytes < least || bytes > MOST_MEMORY {
            return Err(EngineSpecError::Memory { bytes, least, most: MOST_MEMORY });
        }
        Ok(())
    }

    /// Whether what all processors allocate leaves an eighth of the managed pages free, and a block a zone: the minimum
    /// watermark is below the one, and the last block of a zone may be unavailable because of it.
    fn fits(&self, memory: u64) -> bool {
        let processors = if self.load == Load::Comb { 1 } else { u64::from(self.vcpus) };
        let managed = Map::new(memory / PAGE_SIZE).managed();
        let available = (managed - managed / 8).saturating_sub(ZONES * self.unit.pages());
        let allocated = (self.footprint / PAGE_SIZE).checked_mul(processors);
        managed >= ZONES * Order::MAX.pages() && allocated.is_some_and(|pages| pages <= available)
    }

    fn find_unused(&self) -> Result<(), EngineSpecError> {
        let neutral = self.neutral();
        let lists = "walks that do not go through the free lists";
        let load = self.load.name();
        let rows = [
            ("--shuffle", self.shuffle != neutral.shuffle, lists, "none"),
            ("--high-water", self.high_water != neutral.high_water, lists, "1"),
            ("--budget", self.budget != neutral.budget, lists, "0"),
            ("--watermark", self.watermark != neutral.watermark, lists, "false"),
            ("--capacity", self.capacity != neutral.capacity, "walk synchronous", "1"),
            ("--delay-ms", self.delay != neutral.delay, "walk synchronous", "0"),
            ("--rounds", self.rounds != neutral.rounds, load, "1"),
            ("--warmup-ms", self.warmup != neutral.warmup, load, "0"),
            ("--window-ms", self.window != neutral.window, load, "0"),
            ("--vcpus", self.vcpus != neutral.vcpus, load, "1"),
            ("--queue-size", self.queue_size != neutral.queue_size, "carriers other than the ring", "none"),
            (
                "--offer-poison",
                self.offer_poison != neutral.offer_poison,
                "carriers other than the ring",
                "false",
            ),
        ];
        match rows.into_iter().find(|(_, differs, ..)| *differs) {
            Some((parameter, _, whom, neutral)) => Err(EngineSpecError::Unused { parameter, whom, neutral }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A small sound trial.
    pub(crate) const SPEC: EngineSpec = EngineSpec {
        carrier: Carrier::Ring,
        doorbell: Doorbell::Mmio,
        servicer: Servicer::Vcpu,
        completion: Completion::Return,
        discard: Discard::DontNeed,
        coalesce: Coalesce::Each,
        backing: Backing::Anon,
        guest_ring: RingChoice::Auto,
        vcpus: 2,
        memory: 64 * MIB,
        reporting: Reporting::On,
        walk: Walk::Rotation,
        shuffle: Shuffle::None,
        min_order: Order::HUGE,
        capacity: 32,
        queue_size: None,
        delay: Duration::from_millis(2),
        high_water: 1,
        budget: 16,
        watermark: true,
        load: Load::Memhog,
        unit: Order::HUGE,
        footprint: 16 * MIB,
        rounds: 2,
        warmup: Duration::ZERO,
        window: Duration::ZERO,
        settle: Duration::from_secs(10),
        poison: None,
        offer_poison: false,
        watch: None,
        seed: 42,
    };

    fn timed(spec: EngineSpec) -> EngineSpec {
        EngineSpec { load: Load::Churn, window: Duration::from_millis(50), rounds: 1, ..spec }
    }

    #[test]
    fn what_means_something_is_accepted() {
        assert_eq!(SPEC.validate(), Ok(()));
        assert_eq!(timed(SPEC).validate(), Ok(()));
        for walk in Walk::ALL {
            for load in Load::ALL {
                let base = EngineSpec { window: Duration::from_secs(1), walk: *walk, load: *load, ..SPEC };
                assert_eq!(base.neutral().validate(), Ok(()), "{walk:?} {load:?}");
            }
        }
    }

    #[test]
    fn neutral_changes_nothing_that_is_used() {
        assert_eq!(SPEC.neutral(), SPEC);
        assert_eq!(timed(SPEC).neutral(), timed(SPEC));
    }

    type Change = fn(EngineSpec) -> EngineSpec;

    fn refused(change: Change) -> EngineSpecError {
        change(SPEC).validate().expect_err("it means nothing")
    }

    #[test]
    fn the_transport_is_judged_as_in_every_trial() {
        let mismatched: [Change; 4] = [
            |spec| EngineSpec { servicer: Servicer::Device, ..spec },
            |spec| EngineSpec { carrier: Carrier::Batch, completion: Completion::Interrupt, ..spec },
            |spec| EngineSpec { doorbell: Doorbell::Hypercall, guest_ring: RingChoice::Three, ..spec },
            |spec| EngineSpec { doorbell: Doorbell::HypercallKernel, servicer: Servicer::Kernel, ..spec },
        ];
        for change in mismatched {
            assert!(matches!(refused(change), EngineSpecError::Transport(_)));
        }
        assert_eq!(refused(|spec| EngineSpec { carrier: Carrier::Empty, ..spec }), EngineSpecError::NoRanges);
    }

    #[test]
    fn a_report_fits_in_its_carrier() {
        let page = EngineSpec { carrier: Carrier::Batch, doorbell: Doorbell::Port, ..SPEC };
        for (spec, most) in [(SPEC, 512), (page, 511)] {
            let capacity = |capacity| EngineSpec { capacity, ..spec }.validate();
            let refused = |capacity| {
                Err(EngineSpecError::Capacity { capacity, carrier: spec.carrier, most: most.into() })
            };
            assert_eq!(capacity(0), refused(0));
            assert_eq!(capacity(1), Ok(()));
            assert_eq!(capacity(most), Ok(()));
            assert_eq!(capacity(most + 1), refused(most + 1));
        }
        let entries = |entries| EngineSpec { queue_size: Some(entries), ..SPEC }.validate();
        for wrong in [0, 16, 33, 2048] {
            assert_eq!(entries(wrong), Err(EngineSpecError::QueueSize { entries: wrong }));
        }
        assert_eq!(entries(32), Ok(()));
        assert_eq!(entries(1024), Ok(()));
        assert_eq!(
            refused(|spec| EngineSpec { queue_size: Some(32), capacity: 33, ..spec }),
            EngineSpecError::QueueTooSmall { entries: 32, capacity: 33 }
        );
        assert_eq!(EngineSpec { capacity: 511, ..SPEC }.queue_size(), 512);
        assert_eq!(EngineSpec { capacity: 1, ..SPEC }.queue_size(), 32);
    }

    #[test]
    fn nothing_that_is_needed_is_zero() {
        let zeroes: [(Change, &str); 6] = [
            (|spec| EngineSpec { delay: Duration::ZERO, ..spec }, "--delay-ms"),
            (|spec| EngineSpec { window: Duration::ZERO, ..timed(spec) }, "--window-ms"),
            (|spec| EngineSpec { settle: Duration::ZERO, ..spec }, "--settle-ms"),
            (|spec| EngineSpec { watch: Some(Duration::ZERO), ..spec }, "--watch-ms"),
            (|spec| EngineSpec { rounds: 0, ..spec }, "--rounds"),
            (|spec| EngineSpec { high_water: 0, ..spec }, "--high-water"),
        ];
        for (change, name) in zeroes {
            assert!(matches!(refused(change), EngineSpecError::Zero { what, .. } if what == name), "{name}");
        }
        for vcpus in [0, 9] {
            let spec = EngineSpec { vcpus, ..SPEC };
            assert_eq!(spec.validate(), Err(EngineSpecError::Vcpus { vcpus, most: 8 }));
        }
    }

    #[test]
    fn nothing_is_too_large() {
        assert_eq!(
            refused(|spec| EngineSpec { settle: Duration::MAX, ..spec }),
            EngineSpecError::TooLong { what: "--settle-ms" }
        );
        assert_eq!(
            refused(|spec| EngineSpec { budget: u64::MAX, ..spec }),
            EngineSpecError::Budget { budget: u64::MAX, capacity: 32 }
        );
    }

    #[test]
    fn memory_holds_books_footprints_and_watermarks() {
        let memory = |memory| EngineSpec { memory, ..SPEC }.validate();
        let Err(EngineSpecError::Memory { least, most, .. }) = memory(4 * MIB) else {
            panic!("the books alone take more")
        };
        assert_eq!((memory(least), memory(most)), (Ok(()), Ok(())));
        for bytes in [0, least - 4 * MIB, least + 1, least + 2 * MIB, most + 4 * MIB, u64::MAX] {
            assert_eq!(memory(bytes), Err(EngineSpecError::Memory { bytes, least, most }));
        }
        let spec = EngineSpec { memory: least, ..SPEC };
        let (managed, taken) = (spec.map().managed() * PAGE_SIZE, 2 * spec.footprint);
        assert!(taken + managed / 8 <= managed, "{taken} of {managed}");
        let footprint = |footprint| EngineSpec { footprint, ..SPEC }.validate();
        assert!(matches!(footprint(MIB), Err(EngineSpecError::Footprint { of, .. }) if of == 2 * MIB));
        assert!(matches!(footprint(0), Err(EngineSpecError::Zero { what: "--footprint", .. })));
        for huge in [1 << 31, !(2 * MIB - 1)] {
            assert!(matches!(footprint(huge), Err(EngineSpecError::FootprintTooLarge { .. })));
        }
        let comb = EngineSpec { load: Load::Comb, footprint: 2 * MIB, ..SPEC }.neutral();
        assert!(matches!(comb.validate(), Err(EngineSpecError::Footprint { of, .. }) if of == 4 * MIB));
    }

    #[test]
    fn what_nothing_looks_at_is_not_set() {
        let unused: [(Change, &str); 11] = [
            (|spec| EngineSpec { shuffle: Shuffle::Compaction, ..array(spec) }, "--shuffle"),
            (|spec| EngineSpec { high_water: 32, ..array(spec) }, "--high-water"),
            (|spec| EngineSpec { budget: 16, ..array(spec) }, "--budget"),
            (|spec| EngineSpec { watermark: true, ..array(spec) }, "--watermark"),
            (
                |spec| {
                    let spec = EngineSpec { walk: Walk::Synchronous, ..spec };
                    EngineSpec { capacity: 2, ..spec.neutral() }
                },
                "--capacity",
            ),
            (
                |spec| {
                    let spec = EngineSpec { walk: Walk::Synchronous, ..spec };
                    EngineSpec { delay: Duration::from_secs(2), ..spec.neutral() }
                },
                "--delay-ms",
            ),
            (|spec| EngineSpec { rounds: 2, ..timed(spec) }, "--rounds"),
            (|spec| EngineSpec { window: Duration::from_secs(1), ..spec }, "--window-ms"),
            (|spec| EngineSpec { warmup: Duration::from_secs(1), ..spec }, "--warmup-ms"),
            (|spec| EngineSpec { load: Load::Comb, rounds: 1, ..spec }, "--vcpus"),
            (
                |spec| EngineSpec {
                    carrier: Carrier::Batch,
                    doorbell: Doorbell::Port,
                    offer_poison: true,
                    ..spec
                },
                "--offer-poison",
            ),
        ];
        for (change, name) in unused {
            let error = refused(change);
            assert!(
                matches!(error, EngineSpecError::Unused { parameter, .. } if parameter == name),
                "{name}: {error}"
            );
        }
    }

    fn array(spec: EngineSpec) -> EngineSpec {
        EngineSpec { walk: Walk::PerCpuArray, ..spec }.neutral()
    }
}
