//! What a trial of the engine showed.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::engine::{EngineOutcome, Flushed, GuestCounter, Inhibited, Looked, PassRecord, Point, Settled};
use host::serve::Spent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::figure::unit::{float, ratio, total};
use crate::trial::counts::{Counts, Memory};

/// The least share of operations that must have touched nothing reported, for the others to be compared with them.
const LEAST_RESIDENT: f64 = 0.1;

/// What a trial showed. Counts cover its measured part, unless they say otherwise; ticks are those of the time stamp
/// counter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EngineMeasured {
    /// What every kind of trial counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why the guest did not report although it was told to.
    pub inhibited: Named<Inhibited>,
    /// Pages the engine manages.
    pub managed: u64,
    /// The guest's counters by name, for each virtual processor; those that are 0 are left out.
    pub counters: Vec<BTreeMap<Named<GuestCounter>, u64>>,
    /// Began, ended, reports, pages of the first passes of the reporting core, of the whole trial.
    pub passes: Vec<[u64; 4]>,
    /// Guest ticks when the measured part began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// When the memory of the last round had been freed; 0 for a timed load.
    pub freed: u64,
    /// Nanoseconds since the measured part began, bytes resident on the host, bytes free in the guest.
    pub curve: Vec<[u64; 3]>,
    /// Every settled round.
    pub settled: Vec<Round>,
    /// What memory was made of, and who said what is back.
    #[serde(flatten)]
    pub memory: Memory,
    /// Exits by which a processor gave itself away; in no other count.
    pub idles: u64,
    /// Ticks of the host for reports.
    pub spent: HostTicks,
    /// Pages that the host looked at itself when the guest had come to rest; how many of these were there and read from
    /// end to end; how many were wrong.
    pub looked: HostLook,
    /// Frame of the first page found wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_wrong: Option<u64>,
}

/// [`Settled`] as it is written, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// The round, from 1.
    pub round: u64,
    /// Nanoseconds since the measured part began.
    pub at_ns: u64,
    /// Managed pages that the guest has free.
    pub free: u64,
    /// Of these, resident on the host: not returned.
    pub resident: u64,
    /// The others of these: in no page table of the host.
    pub unmapped: u64,
    /// Of those unmapped, such as the host has back.
    pub back: u64,
    /// Of those unmapped, such as the witness cannot tell.
    pub unknown: u64,
    /// By how many pages `back` may be off, at the most.
    pub within: u64,
    /// Pages reported and acknowledged, and not allocated since.
    pub reported: u64,
    /// Of these, resident all the same.
    pub reported_resident: u64,
    /// Pages written to and not reported that are gone.
    pub lost: u64,
    /// What came of it that the host asked for everything at once; absent of a load in which it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flushed: Option<Flush>,
}

/// [`Flushed`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Flush {
    /// Ticks from when the host asked to the last acknowledgement.
    pub ticks: u64,
    /// Reports.
    pub reports: u64,
    /// Pages in them.
    pub pages: u64,
}

impl From<Flushed> for Flush {
    fn from(Flushed { ticks, reports, pages }: Flushed) -> Self {
        Self { ticks, reports, pages }
    }
}

impl From<Settled> for Round {
    fn from(settled: Settled) -> Self {
        let Settled {
            round,
            at_ns,
            free,
            resident,
            unmapped,
            back,
            unknown,
            within,
            reported,
            reported_resident,
            lost,
            flushed,
        } = settled;
        Self {
            round,
            at_ns,
            free,
            resident,
            unmapped,
            back,
            unknown,
            within,
            reported,
            reported_resident,
            lost,
            flushed: flushed.map(Flush::from),
        }
    }
}

impl Round {
    /// The share of the free pages that no page table of the host has.
    #[must_use]
    pub fn unmapped(&self) -> f64 {
        ratio(float(self.unmapped), float(self.free))
    }

    /// The share of the free pages that the host has back; `None` where the witness cannot tell.
    #[must_use]
    pub fn back(&self) -> Option<f64> {
        (self.unknown == 0).then(|| ratio(float(self.back), float(self.free)))
    }
}

/// [`Looked`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostLook {
    /// Pages whose residency was compared with the guest's account.
    pub pages: u64,
    /// Of these, such as were there and were read from end to end.
    pub read: u64,
    /// Of these, wrong.
    pub wrong: u64,
}

impl From<Looked> for HostLook {
    fn from(Looked { pages, read, wrong }: Looked) -> Self {
        Self { pages, read, wrong }
    }
}

/// [`Spent`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostTicks {
    /// Ranges out of the carrier, checked.
    pub fetch: u64,
    /// Coalescing and `madvise`.
    pub discard: u64,
    /// The acknowledgement written and the interrupt raised.
    pub complete: u64,
}

impl From<Spent> for HostTicks {
    fn from(Spent { fetch, discard, complete }: Spent) -> Self {
        Self { fetch, discard, complete }
    }
}

impl EngineMeasured {
    /// The record of an outcome.
    #[must_use]
    pub fn new(outcome: &EngineOutcome) -> Self {
        let checked = outcome.counters.iter().map(|counters| counters[GuestCounter::Checked as usize]);
        let counts = Counts::new(&outcome.common, total(checked));
        let by_name = |counters: &Vec<u64>| {
            let named = GuestCounter::ALL.iter().copied().map(Named).zip(counters.iter().copied());
            named.filter(|(_, count)| *count > 0).collect()
        };
        let point = |Point { at_ns, resident, free }: &Point| [*at_ns, *resident, *free];
        Self {
            counts,
            inhibited: Named(outcome.inhibited),
            managed: outcome.managed,
            counters: outcome.counters.iter().map(by_name).collect(),
            passes: outcome.passes.iter().map(|pass| pass.to_words()).collect(),
            began: outcome.began,
            ended: outcome.ended,
            freed: outcome.freed,
            curve: outcome.curve.iter().map(point).collect(),
            settled: outcome.settled.iter().copied().map(Round::from).collect(),
            memory: Memory::new(&outcome.common),
            idles: outcome.idles,
            spent: outcome.spent.into(),
            looked: outcome.looked.into(),
            first_wrong: outcome.first_wrong,
        }
    }

    /// A counter, all virtual processors together.
    #[must_use]
    pub fn sum(&self, counter: GuestCounter) -> u64 {
        total(self.counters.iter().map(|counters| one(counters, counter)))
    }

    /// Ticks of the window, all virtual processors together, less the oracle's: no real guest has one, and it has more to
    /// look at where something is reported.
    #[must_use]
    pub fn work_ticks(&self) -> f64 {
        self.counters.iter().map(work_ticks).sum()
    }

    /// The share of its work that the guest spent in the reporting core.
    #[must_use]
    pub fn core_share(&self) -> f64 {
        ratio(float(self.sum(GuestCounter::ReportTicks)), self.work_ticks())
    }

    /// The share of its work by which touching took longer where something had been reported. As [`Self::core_share`]
    /// it needs no other trial to compare with, and so has nothing in it that two trials differ in by chance. `None`
    /// where hardly anything was touched that had not been reported: there is nothing to compare with then.
    #[must_use]
    pub fn refault_share(&self) -> Option<f64> {
        Some(ratio(self.refault_ticks()?, self.work_ticks()))
    }

    /// Ticks by which touching took longer where something had been reported; `None` as above.
    #[must_use]
    pub fn refault_ticks(&self) -> Option<f64> {
        let sum = |counter| float(self.sum(counter));
        let (all, units) = (sum(GuestCounter::Operations), sum(GuestCounter::RefaultOperations));
        let slow = sum(GuestCounter::RefaultTicks);
        let resident = ratio(sum(GuestCounter::TouchTicks) - slow, all - units);
        (all - units >= LEAST_RESIDENT * all).then_some(slow - units * resident)
    }

    /// Operations a second of work: what every virtual processor did, added up.
    #[must_use]
    pub fn operations_a_second(&self) -> f64 {
        let rate = |counters: &BTreeMap<Named<GuestCounter>, u64>| {
            let work_ns = self.counts.clock.figure(work_ticks(counters));
            ratio(float(one(counters, GuestCounter::Operations)) * 1e9, work_ns)
        };
        self.counters.iter().map(rate).sum()
    }

    /// The passes of the reporting core.
    pub fn passes(&self) -> impl Iterator<Item = PassRecord> {
        self.passes.iter().copied().map(PassRecord::from_words)
    }
}

fn one(counters: &BTreeMap<Named<GuestCounter>, u64>, counter: GuestCounter) -> u64 {
    counters.get(&Named(counter)).copied().unwrap_or_default()
}

fn work_ticks(counters: &BTreeMap<Named<GuestCounter>, u64>) -> f64 {
    let [window, oracle] =
        [GuestCounter::WindowTicks, GuestCounter::OracleTicks].map(|counter| one(counters, counter));
    float(window.saturating_sub(oracle))
}
