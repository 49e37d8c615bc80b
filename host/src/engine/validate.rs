//! Whether a trial of the engine means anything.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::{Map, ZONES};
use abi::engine::{CAPACITY_MAX, Load, Walk};
use abi::layout::ARENA_MAX_PAGES;
use abi::layout::VCPUS_MAX;
use abi::wire::page::BATCH_CAPACITY;
use abi::wire::virtio::balloon::{QUEUE_MAX, REPORTING_QUEUE_MIN};

use super::error::EngineSpecError;
use super::spec::EngineSpec;
use crate::axes::{Axis, Carrier, Coalesce, Discard, Way};

/// Longer than anybody waits; in ticks of any counter it is far below 64 bits.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Memory comes in largest blocks.
const GRAIN: u64 = Order::MAX.pages() * PAGE_SIZE;
const MOST_MEMORY: u64 = ARENA_MAX_PAGES * PAGE_SIZE;

impl EngineSpec {
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
        if self.load == Load::Flush && !self.walk.walks_lists() {
            return Err(EngineSpecError::NoFlush { walk: self.walk });
        }
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
        self.way.validate()?;
        let Self { way: Way { carrier, .. }, capacity, .. } = *self;
        if carrier == Carrier::Empty {
            return Err(EngineSpecError::NoRanges);
        }
        if let Some(why) = why_not(carrier) {
            return Err(EngineSpecError::Carrier { carrier, why });
        }
        if let Some(entries) = self.way.gathers() {
            return Err(EngineSpecError::Gathers { carrier, entries });
        }
        if self.way.module().is_some() {
            return Err(EngineSpecError::InKernel);
        }
        if self.way.coalesce == Coalesce::Across {
            return Err(EngineSpecError::Across);
        }
        if self.way.discard == Discard::Deferred {
            return Err(EngineSpecError::NoLedger);
        }
        let paged = matches!(carrier, Carrier::Batch | Carrier::HeatHint);
        let most = if paged { BATCH_CAPACITY } else { CAPACITY_MAX as u64 };
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
            (
                "--settle-ms",
                self.settle,
                !self.load.is_timed(),
                "reporting never settles at once; use 10 s or more",
            ),
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
            ("--pcp", self.pcp != neutral.pcp, "walk synchronous", "off"),
            ("--rounds", self.rounds != neutral.rounds, load, "1"),
            ("--warmup-ms", self.warmup != neutral.warmup, load, "0"),
            ("--window-ms", self.window != neutral.window, load, "0"),
            ("--settle-ms", self.settle != neutral.settle, load, "0"),
            ("--vcpus", self.vcpus != neutral.vcpus, load, "1"),
            ("--queue-size", self.queue_size != neutral.queue_size, "carriers other than a ring", "none"),
            (
                "--offer-poison",
                self.offer_poison != neutral.offer_poison,
                "carriers other than a ring",
                "false",
            ),
        ];
        match rows.into_iter().find(|(_, differs, ..)| *differs) {
            Some((parameter, _, whom, neutral)) => Err(EngineSpecError::Unused { parameter, whom, neutral }),
            None => Ok(()),
        }
    }
}

/// Why no reporting core reports over a carrier, if none does.
const fn why_not(carrier: Carrier) -> Option<&'static str> {
    match carrier {
        Carrier::Inflate => Some(
            "its pages have to be taken back before they are used, and an allocator takes them as they are",
        ),
        Carrier::Status => {
            Some("all entries of a page are of one size, and a core reports blocks of several")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::{Completion, Doorbell, RingChoice, Servicer};
    use crate::testing::specs::{ENGINE as SPEC, churning};
    use abi::engine::{PerCpuLists, Shuffle};

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_means_something_is_accepted() {
        assert_eq!(SPEC.validate(), Ok(()));
        assert_eq!(churning(SPEC).validate(), Ok(()));
        for walk in Walk::ALL {
            for load in Load::ALL {
                let base = EngineSpec { window: Duration::from_secs(1), walk: *walk, load: *load, ..SPEC };
                let no_flush = Err(EngineSpecError::NoFlush { walk: *walk });
                let expected = if *load == Load::Flush && !walk.walks_lists() { no_flush } else { Ok(()) };
                assert_eq!(base.neutral().validate(), expected, "{walk:?} {load:?}");
            }
        }
    }

    type Change = fn(EngineSpec) -> EngineSpec;

    fn refused(change: Change) -> EngineSpecError {
        change(SPEC).validate().expect_err("it means nothing")
    }

    #[test]
    fn the_way_is_judged_as_in_every_trial() {
        let mismatched: [fn(Way) -> Way; 4] = [
            |way| Way { servicer: Servicer::Device, ..way },
            |way| Way { carrier: Carrier::Batch, completion: Completion::Interrupt, ..way },
            |way| Way { doorbell: Doorbell::Hypercall, guest_ring: RingChoice::Three, ..way },
            |way| Way { doorbell: Doorbell::HypercallKernel, servicer: Servicer::Kernel, ..way },
        ];
        for change in mismatched {
            let way = change(SPEC.way);
            let error = way.validate().unwrap_err();
            assert_eq!(EngineSpec { way, ..SPEC }.validate(), Err(EngineSpecError::Way(error)));
        }
        let way = Way { carrier: Carrier::Empty, ..SPEC.way };
        assert_eq!(EngineSpec { way, ..SPEC }.validate(), Err(EngineSpecError::NoRanges));
    }

    #[test]
    fn a_carrier_that_is_none_for_a_core_is_refused() {
        for none in [Carrier::Status, Carrier::Inflate] {
            let way = Way { carrier: none, ..page() };
            let refused = EngineSpec { way, ..SPEC }.neutral().validate();
            assert!(
                matches!(refused, Err(EngineSpecError::Carrier { carrier, .. }) if carrier == none),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_report_fits_in_its_carrier() {
        let page = EngineSpec { way: page(), ..SPEC };
        for (spec, most) in [(SPEC, 512), (page, 511)] {
            let capacity = |capacity| EngineSpec { capacity, ..spec }.validate();
            let refused = |capacity| {
                Err(EngineSpecError::Capacity { capacity, carrier: spec.way.carrier, most: most.into() })
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
            (|spec| EngineSpec { window: Duration::ZERO, ..churning(spec) }, "--window-ms"),
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
        let unused: [(Change, &str); 13] = [
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
            (
                |spec| {
                    let spec = EngineSpec { walk: Walk::Synchronous, ..spec };
                    EngineSpec { pcp: PerCpuLists::Linux, ..spec.neutral() }
                },
                "--pcp",
            ),
            (|spec| EngineSpec { rounds: 2, ..churning(spec) }, "--rounds"),
            (|spec| EngineSpec { window: Duration::from_secs(1), ..spec }, "--window-ms"),
            (|spec| EngineSpec { warmup: Duration::from_secs(1), ..spec }, "--warmup-ms"),
            (|spec| EngineSpec { settle: Duration::from_secs(1), ..churning(spec) }, "--settle-ms"),
            (|spec| EngineSpec { load: Load::Comb, rounds: 1, ..spec }, "--vcpus"),
            (|spec| EngineSpec { way: page(), offer_poison: true, ..spec }, "--offer-poison"),
        ];
        for (change, name) in unused {
            let error = refused(change);
            assert!(
                matches!(error, EngineSpecError::Unused { parameter, .. } if parameter == name),
                "{name}: {error}"
            );
        }
    }

    fn page() -> Way {
        Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return)
    }

    fn array(spec: EngineSpec) -> EngineSpec {
        EngineSpec { walk: Walk::PerCpuArray, ..spec }.neutral()
    }
}
