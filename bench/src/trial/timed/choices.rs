//! The choices of a timed trial as they are written; trials with the same choices are a cell.

use abi::addr::Order;
use abi::timed::company::Company;
use abi::wire::frames;
use host::axes::{Backing, Carrier, Doorbell, Workload};
use host::timed::{Stopwatch, TimedSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::axes::way::Way;

/// [`TimedSpec`] as it is written, without its seed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Choices {
    /// How reports travel and what is done with them.
    #[serde(flatten)]
    pub way: Way,
    /// Which pages are freed.
    pub workload: Named<Workload>,
    /// log2 of the pages in a range.
    pub order: u8,
    /// Ranges in a report.
    pub batch: u16,
    /// Reports in flight at once; left out where each is waited for before the next.
    #[serde(default = "one::<u16>", skip_serializing_if = "is_one")]
    pub in_flight: u16,
    /// Pages of the arena.
    pub arena_pages: u64,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured.
    pub reports: u64,
    /// Microseconds for which the guest slept before each.
    #[serde(default)]
    pub idle_us: u32,
    /// Virtual processors; left out where there is one, which reports.
    #[serde(default = "one::<u32>", skip_serializing_if = "is_one")]
    pub vcpus: u32,
    /// How many of them report; the others fault. Left out where it is one.
    #[serde(default = "one::<u32>", skip_serializing_if = "is_one")]
    pub reporters: u32,
    /// Whether the guest looked at all other pages around the reports that prove something; left out where it did not.
    #[serde(default, skip_serializing_if = "is_not")]
    pub looks_around: bool,
    /// What is done with the stopwatch; left out where it times reports.
    #[serde(default = "used", skip_serializing_if = "is_used")]
    pub stopwatch: Named<Stopwatch>,
}

fn one<T: From<u8>>() -> T {
    T::from(1)
}

fn is_one<T: From<u8> + PartialEq>(number: &T) -> bool {
    *number == one()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_not(is: &bool) -> bool {
    !*is
}

const fn used() -> Named<Stopwatch> {
    Named(Stopwatch::Used)
}

fn is_used(stopwatch: &Named<Stopwatch>) -> bool {
    *stopwatch == used()
}

impl From<&TimedSpec> for Choices {
    fn from(spec: &TimedSpec) -> Self {
        let arena_pages = spec.arena_pages();
        let TimedSpec {
            way,
            workload,
            order,
            batch,
            in_flight,
            warmup,
            reports,
            idle,
            looks_around,
            stopwatch,
            company,
            ..
        } = *spec;
        Self {
            way: way.into(),
            workload: Named(workload),
            order: order.get(),
            batch,
            in_flight,
            arena_pages,
            warmup,
            reports,
            idle_us: idle,
            vcpus: company.vcpus,
            reporters: company.reporters,
            looks_around,
            stopwatch: Named(stopwatch),
        }
    }
}

impl Choices {
    /// Whether its reports are a ladder's: it does not weigh the stopwatch itself.
    #[must_use]
    pub fn times_reports(&self) -> bool {
        is_used(&self.stopwatch)
    }

    /// The rung whose transport is used; none where the stopwatch is weighed, or the transport is none of the ladder's.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        if self.times_reports() { self.way.rung() } else { None }
    }

    /// Calls that a report takes, where it takes any: see [`host::axes::Way::gathers`].
    #[must_use]
    pub fn calls_a_report(&self) -> u64 {
        match self.way.carrier.0 {
            carrier if carrier.is_one_range() => self.batch.into(),
            Carrier::CallAndRing => u64::from(self.batch) + 1,
            Carrier::Inflate => frames::lists(self.batch.into(), self.block()),
            _ => 1,
        }
    }

    /// Whether one call is about many reports.
    #[must_use]
    pub fn gathers(&self) -> bool {
        host::axes::Way::from(self.way).gathers().is_some()
    }

    /// Whether its calls have registers fetched, and an answer left in memory, that a hypercall would bring and take.
    #[must_use]
    pub fn fetches_registers(&self) -> bool {
        self.way.carrier.0.uses_registers() && matches!(self.way.doorbell.0, Doorbell::Port | Doorbell::Mmio)
    }

    /// The order of a range.
    #[must_use]
    pub fn block(&self) -> Order {
        Order::new(u64::from(self.order)).unwrap_or_default()
    }

    /// Pages in a range.
    #[must_use]
    pub fn pages_a_range(&self) -> u64 {
        self.block().pages()
    }

    /// Ranges that a report stands for: see [`Rung::ranges_a_report`].
    #[must_use]
    pub fn ranges_a_report(&self) -> u16 {
        self.way.rung().map_or(self.batch, |rung| rung.ranges_a_report(self.batch))
    }

    /// Whether its reports name pages at all.
    #[must_use]
    pub fn names_pages(&self) -> bool {
        self.way.rung().is_none_or(Rung::names_pages)
    }

    /// The rung's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        use abi::axes::Axis;
        self.way.rung().map_or("custom", Rung::name)
    }

    /// For sentences.
    #[must_use]
    pub fn title(&self) -> String {
        let of = match self.way.backing.0 {
            Backing::Anon | Backing::AnonThp => String::new(),
            _ => format!(" of backing {}", self.way.backing),
        };
        let in_flight = match self.in_flight {
            1 => String::new(),
            reports => format!(", {reports} in flight"),
        };
        format!("{} with discard {}{of}{in_flight}", self.label(), self.way.discard)
    }

    /// Its processors.
    #[must_use]
    pub const fn company(&self) -> Company {
        Company { vcpus: self.vcpus, reporters: self.reporters }
    }

    /// The cell in a word of a log.
    #[must_use]
    pub fn tag(&self) -> String {
        let weighed = if self.times_reports() { "" } else { "-weighed" };
        let idle = if self.idle_us == 0 { String::new() } else { format!(".i{}", self.idle_us) };
        let features = self.way.features_tag();
        let backing = match self.way.backing.0 {
            Backing::Anon => String::new(),
            _ => format!(".{}", self.way.backing),
        };
        let order = if self.order == 0 { String::new() } else { format!(".o{}", self.order) };
        let in_flight = if self.in_flight == 1 { String::new() } else { format!(".f{}", self.in_flight) };
        let company = match self.company() {
            Company::ALONE => String::new(),
            Company { vcpus, reporters } => format!(".v{vcpus}r{reporters}"),
        };
        let (label, discard, batch) = (self.label(), self.way.discard, self.batch);
        format!("{label}{weighed}{features}.{discard}{backing}.b{batch}{in_flight}{order}{idle}{company}")
    }
}
