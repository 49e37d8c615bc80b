//! What a timed trial is to run, and whether it means anything.

use abi::addr::{Order, PAGE_SIZE};
use abi::layout::{ARENA_MAX_PAGES, VCPUS_MAX};
use abi::timed::IN_FLIGHT_MOST;
use abi::timed::company::Company;
use abi::wire::page::BATCH_CAPACITY;
use abi::wire::virtio::balloon::{QUEUE_MAX, REPORTING_QUEUE_MIN};
use abi::wire::{frames, status};

use super::stopwatch::Stopwatch;
use crate::axes::{Axis, Backing, Carrier, Coalesce, Discard, Servicer, Way, WayError, Workload};
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
    /// Reports in flight at once, 1 to [`IN_FLIGHT_MOST`]: more than one only where another thread serves a ring.
    pub in_flight: u16,
    /// Size of the arena in bytes, of which each processor has one; `None` for the smallest that serves: see
    /// [`TimedSpec::arena_pages`].
    pub arena: Option<u64>,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured, at least 1.
    pub reports: u64,
    /// Microseconds for which the guest gives its processor away before each report; 0 to go on at once. Outside the
    /// stopwatch.
    pub idle: u32,
    /// Whether the guest looks at all other pages too, around the reports that prove something: [`super::Collateral`].
    pub looks_around: bool,
    /// Seed of the workload.
    pub seed: u64,
    /// How many processors the guest has, and how many of them report; the others fault.
    pub company: Company,
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
    /// Ranges of a size that the carrier has no entries for.
    #[error("over carrier status a range is 4 KiB or 2 MiB long: use --order 0 or 9, not {order}")]
    Size {
        /// The order.
        order: Order,
    },
    /// A report may not fit in a carrier that gathers, with the entries that take some of it back.
    #[error("carrier {carrier} holds reports of at most {most} ranges, not {batch}: change --batch", carrier = .carrier.name())]
    Gathered {
        /// The batch size.
        batch: u16,
        /// The carrier.
        carrier: Carrier,
        /// The most.
        most: u64,
    },
    /// No report in flight, or more than there may be.
    #[error(
        "there may be 1 to {IN_FLIGHT_MOST} reports in flight, with {BATCH_CAPACITY} ranges in all, not {in_flight} of {batch}: change --in-flight or --batch"
    )]
    InFlight {
        /// Reports in flight.
        in_flight: u16,
        /// The batch size.
        batch: u16,
    },
    /// Every report would be acknowledged before the next.
    #[error(
        "{in_flight} reports are not in flight over carrier {carrier} with servicer {servicer}: {why}; use --in-flight 1, or --carrier ring or packed with --servicer device or polling",
        carrier = .carrier.name(),
        servicer = .servicer.name()
    )]
    OneByOne {
        /// Reports in flight.
        in_flight: u16,
        /// The carrier.
        carrier: Carrier,
        /// Who acts.
        servicer: Servicer,
        /// Why not.
        why: &'static str,
    },
    /// There would never be another report to merge with.
    #[error(
        "coalesce across merges the ranges of reports that are in flight at once, and of 1 there is no other: use --in-flight 2 or more, or --coalesce merged"
    )]
    NothingAcross,
    /// Something of which there is one, for one processor and a report at a time.
    #[error(
        "{what} is of one processor that makes one report at a time: use --vcpus 1, --in-flight 1 and another carrier than one that gathers"
    )]
    Alone {
        /// What.
        what: &'static str,
    },
    /// Nothing would be measured.
    #[error("at least one report must be measured: use --reports 1 or more")]
    NoReports,
    /// More processors than there can be, or none.
    #[error("a guest has 1 to {most} virtual processors here, not {vcpus}: change --vcpus")]
    Vcpus {
        /// Processors asked for.
        vcpus: u32,
        /// The most there are here.
        most: u32,
    },
    /// More of them are to report than there are.
    #[error("of {vcpus} virtual processors {reporters} cannot report: use --reporters 0 to {vcpus}")]
    Reporters {
        /// Processors.
        vcpus: u32,
        /// How many are to report.
        reporters: u32,
    },
    /// Several processors report over a carrier that only one can have.
    #[error(
        "a guest of several virtual processors reports over {}, not over {}: change --carrier or use --vcpus 1",
        names(COMPANY_CARRIERS), .carrier.name()
    )]
    CompanyCarrier {
        /// The carrier.
        carrier: Carrier,
    },
    /// Memory that cannot be taken from a processor that faults page by page.
    #[error(
        "a virtual processor that faults needs memory of small private pages, not {}: use --backing anon or let all of them report with --reporters {vcpus}",
        .backing.name()
    )]
    FaultsOn {
        /// What memory is made of.
        backing: Backing,
        /// Processors.
        vcpus: u32,
    },
    /// The stopwatch is weighed over something else than an empty call.
    #[error(
        "the stopwatch is weighed on empty calls that return when they are served: use carrier empty and servicer vcpu or kernel"
    )]
    Weighing,
    /// The arena cannot hold what is reported at once, is no power of two, or is too large.
    #[error(
        "an arena of {bytes} bytes does not do: it must be a power of two from {min} bytes (all blocks of this order that are reported at once) to {max}; change --arena"
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

/// Carriers that several processors can have, each its own or all by turns.
const COMPANY_CARRIERS: &[Carrier] =
    &[Carrier::Registers, Carrier::Batch, Carrier::Ring, Carrier::PackedRing];

fn names(carriers: &[Carrier]) -> String {
    carriers.iter().map(|carrier| carrier.name()).collect::<Vec<_>>().join(", ")
}

impl From<TimedSpecError> for TrialError {
    fn from(error: TimedSpecError) -> Self {
        Self::Spec(Box::new(error))
    }
}

// The largest batch of the largest blocks fits in the largest arena: there is nothing to refuse.
const _: () = assert!(BATCH_CAPACITY.next_power_of_two() * Order::MAX.pages() <= ARENA_MAX_PAGES);

impl TimedSpec {
    /// Pages of the arena, of which each processor has one: as asked, else four times what is reported at once, at least
    /// 16 MiB, less if that would be more than 1 GiB.
    #[must_use]
    pub fn arena_pages(&self) -> u64 {
        let batch = self.least_pages();
        self.arena
            .map_or_else(|| (4 * batch).clamp(4096, (1 << 18_u64).max(batch)), |bytes| bytes / PAGE_SIZE)
    }

    /// Ranges that may be reported before the first of them is taken back.
    fn together(&self) -> u64 {
        self.way.gathers().unwrap_or(u64::from(self.batch) * u64::from(self.in_flight))
    }

    /// Reports that may go together, without any other sign of the guest's.
    pub(super) fn reports_together(&self) -> u32 {
        // At most 511.
        u32::try_from(self.together() / u64::from(self.batch.max(1))).unwrap_or(1)
    }

    /// Pages of so many ranges, with their number rounded up to a power of two.
    fn least_pages(&self) -> u64 {
        self.together().next_power_of_two() * self.order.pages()
    }

    /// Entries of the ring: as many as ranges are in flight, at least the 32 a Linux driver asks for.
    #[must_use]
    pub fn queue_size(&self) -> u16 {
        let ranges = self.batch.saturating_mul(self.in_flight).min(QUEUE_MAX);
        ranges.next_power_of_two().max(REPORTING_QUEUE_MIN)
    }

    /// Ranges one call can carry.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        match self.way.carrier {
            Carrier::Store if self.way.gathers().is_none() => 1,
            Carrier::Empty | Carrier::Registers | Carrier::Request => 1,
            Carrier::Batch
            | Carrier::Ring
            | Carrier::PackedRing
            | Carrier::Log
            | Carrier::Store
            | Carrier::Status
            | Carrier::CallAndRing
            | Carrier::HeatHint => self.batch,
            // A list has 256 frames; a block of more takes several.
            Carrier::Inflate => frames::blocks(self.order),
        }
    }

    /// Whether what only a processor alone can do is asked of one.
    fn validate_alone(&self) -> Result<(), TimedSpecError> {
        let several = self.in_flight > 1;
        let alone = self.company.is_alone();
        let one_by_one = alone && !several && self.way.gathers().is_none();
        let wrong = [
            (several && !alone, "having several reports in flight"),
            (
                self.way.discard == Discard::Deferred && !alone,
                "discard deferred, which reads the books of the guest,",
            ),
            (self.way.doorbell.needs_module() && !alone, "doorbell hypercall-module"),
            (self.way.servicer == Servicer::Vhost && !alone, "servicer vhost"),
            (self.looks_around && !one_by_one, "looking at what was not reported"),
        ];
        match wrong.into_iter().find(|(is_asked, _)| *is_asked) {
            Some((_, what)) => Err(TimedSpecError::Alone { what }),
            None => Ok(()),
        }
    }

    /// Whether so many reports can be in flight.
    fn validate_in_flight(&self) -> Result<(), TimedSpecError> {
        let Self { in_flight, batch, way, .. } = *self;
        let why = match (way.carrier, way.servicer) {
            _ if in_flight <= 1 => None,
            (Carrier::Ring | Carrier::PackedRing, Servicer::Device | Servicer::Polling) => None,
            (Carrier::Ring, Servicer::Vhost) => {
                Some("of what vhost serves there are no stamps to tell reports apart by")
            }
            (Carrier::Ring | Carrier::PackedRing, _) => {
                Some("the vCPU's thread acts before the doorbell returns")
            }
            _ => Some("only a ring is acknowledged later"),
        };
        if let Some(why) = why {
            return Err(TimedSpecError::OneByOne {
                in_flight,
                carrier: way.carrier,
                servicer: way.servicer,
                why,
            });
        }
        if in_flight == 1 && way.coalesce == Coalesce::Across {
            return Err(TimedSpecError::NothingAcross);
        }
        let is_room = u64::from(in_flight) * u64::from(batch) <= BATCH_CAPACITY;
        if in_flight == 0 || usize::from(in_flight) > IN_FLIGHT_MOST || !is_room {
            return Err(TimedSpecError::InFlight { in_flight, batch });
        }
        Ok(())
    }

    /// Whether every call of a processor leaves stamps of the host that are known to be its. A ring that several share has
    /// those of all in the order of their turns.
    #[must_use]
    pub const fn stamps_each(&self) -> bool {
        self.way.is_stamped() && (self.company.reporters <= 1 || !self.way.carrier.is_ring())
    }

    /// Whether there may be so many processors, of `most`.
    ///
    /// # Errors
    /// [`TimedSpecError::Vcpus`].
    pub const fn validate_processors(&self, most: u32) -> Result<(), TimedSpecError> {
        let vcpus = self.company.vcpus;
        if vcpus == 0 || vcpus > most { Err(TimedSpecError::Vcpus { vcpus, most }) } else { Ok(()) }
    }

    /// Whether the processors can do together what each is to do.
    fn validate_company(&self) -> Result<(), TimedSpecError> {
        self.validate_processors(VCPUS_MAX)?;
        let Company { vcpus, reporters } = self.company;
        let Way { carrier, backing, .. } = self.way;
        if reporters > vcpus {
            return Err(TimedSpecError::Reporters { vcpus, reporters });
        }
        if self.company.is_alone() {
            return Ok(());
        }
        if !COMPANY_CARRIERS.contains(&carrier) {
            return Err(TimedSpecError::CompanyCarrier { carrier });
        }
        if reporters < vcpus && backing != Backing::Anon {
            return Err(TimedSpecError::FaultsOn { backing, vcpus });
        }
        let most = ARENA_MAX_PAGES / u64::from(vcpus);
        if self.arena_pages() > most {
            let [bytes, max] = [self.arena_pages(), most].map(|pages| pages * PAGE_SIZE);
            return Err(TimedSpecError::Arena { bytes, min: self.least_pages() * PAGE_SIZE, max });
        }
        Ok(())
    }

    /// Calls that a report takes.
    #[must_use]
    pub fn calls_a_report(&self) -> u64 {
        u64::from(self.batch.div_ceil(self.capacity()))
    }

    /// Whether the choices go together, before anything is started.
    ///
    /// # Errors
    /// [`TimedSpecError`], with what to change.
    pub fn validate(&self) -> Result<(), TimedSpecError> {
        self.way.validate()?;
        self.validate_company()?;
        if self.batch == 0 || u64::from(self.batch) > BATCH_CAPACITY {
            return Err(TimedSpecError::Batch { batch: self.batch });
        }
        if self.way.carrier == Carrier::Status && status::is_huge(self.order).is_none() {
            return Err(TimedSpecError::Size { order: self.order });
        }
        self.validate_in_flight()?;
        self.validate_alone()?;
        if let Some(entries) = self.way.gathers() {
            let most = entries / self.way.entries_a_range();
            if u64::from(self.batch) > most {
                return Err(TimedSpecError::Gathered { batch: self.batch, carrier: self.way.carrier, most });
            }
        }
        if self.reports == 0 {
            return Err(TimedSpecError::NoReports);
        }
        let way = &self.way;
        if self.stopwatch == Stopwatch::Weighed
            && (way.carrier != Carrier::Empty || way.servicer == Servicer::Device || !self.company.is_alone())
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
    use crate::axes::{Completion, Doorbell, RingFeatures};
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
    fn what_one_processor_does_is_not_asked_of_several() {
        let company = Company { vcpus: 2, reporters: 2 };
        let deferred = Way { discard: Discard::Deferred, ..TIMED.way };
        for (spec, is_refused) in [
            (TimedSpec { company, ..TIMED }, false),
            (TimedSpec { company, in_flight: 2, ..TIMED }, true),
            (TimedSpec { way: deferred, ..TIMED }, false),
            (TimedSpec { way: deferred, company, ..TIMED }, true),
            (TimedSpec { looks_around: true, ..TIMED }, false),
            (TimedSpec { looks_around: true, company, ..TIMED }, true),
            (TimedSpec { looks_around: true, in_flight: 2, ..TIMED }, true),
        ] {
            let refused = matches!(spec.validate_alone(), Err(TimedSpecError::Alone { .. }));
            assert_eq!(refused, is_refused, "{spec:?}");
        }
    }

    #[test]
    fn several_processors_have_carriers_that_each_can_have() {
        for carrier in Carrier::ALL.iter().copied() {
            let way = Way { carrier, ..TIMED.way };
            let spec = TimedSpec { way, company: Company { vcpus: 4, reporters: 3 }, ..TIMED };
            let refused = TimedSpecError::CompanyCarrier { carrier };
            let expected = if COMPANY_CARRIERS.contains(&carrier) { Ok(()) } else { Err(refused) };
            assert_eq!(spec.validate_company(), expected);
        }
    }

    #[test]
    fn several_are_in_flight_with_any_options_of_a_ring_and_are_merged_only_then() {
        for ring_features in RingFeatures::ALL.iter().copied() {
            let way = Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll);
            let way = Way { ring_features, ..way };
            for in_flight in [1, 2] {
                assert_eq!(TimedSpec { way, in_flight, ..TIMED }.validate(), Ok(()));
                let way = Way { coalesce: Coalesce::Across, ..way };
                let across = TimedSpec { way, in_flight, ..TIMED }.validate();
                assert_eq!(across, if in_flight == 1 { Err(TimedSpecError::NothingAcross) } else { Ok(()) });
            }
        }
    }

    #[test]
    fn the_stopwatch_is_weighed_on_empty_calls() {
        let weighed = |carrier| {
            let way = Way::plain(carrier, Doorbell::Port, Completion::Return);
            TimedSpec { way, stopwatch: Stopwatch::Weighed, ..TIMED }.validate()
        };
        assert_eq!(weighed(Carrier::Empty), Ok(()));
        for carrier in [Carrier::Registers, Carrier::Batch, Carrier::Ring, Carrier::PackedRing, Carrier::Log]
        {
            assert_eq!(weighed(carrier), Err(TimedSpecError::Weighing));
        }
    }

    #[test]
    fn entries_with_a_status_are_of_two_sizes() {
        for order in (0..=10).map(|order| Order::new(order).unwrap()) {
            let of = |carrier| {
                let way = Way::plain(carrier, Doorbell::Port, Completion::Return);
                TimedSpec { way, order, batch: 1, arena: None, ..TIMED }.validate()
            };
            let known = [0, 9].contains(&order.get());
            assert_eq!(of(Carrier::Status), if known { Ok(()) } else { Err(TimedSpecError::Size { order }) });
            assert_eq!(of(Carrier::Batch), Ok(()));
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
            [1, 1, 7, 7, 7, 7, 1, 1, 7, 256, 7, 7]
        );
    }
}
