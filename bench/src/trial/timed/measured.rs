//! What a timed trial showed.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::serve::HeldCounts;
use host::timed::{Collateral, ModuleCounts, Outcome, Proof, Threads, Weight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::Choices;
use super::phases::{Phase, PhaseHistograms};
use crate::axes::named::Named;
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::{Clock, float};
use crate::trial::counts::{Counts, Memory};

/// What a trial showed. Counts cover its measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TimedMeasured {
    /// What every kind of trial counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Guest minus host time stamp counter, as KVM states it.
    pub tsc_offset: i64,
    /// What the stopwatch weighs; only of a trial that weighs it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopwatch: Option<StopwatchWeight>,
    /// Exits by which the guest gave its processor away; in no other count.
    #[serde(default)]
    pub idles: u64,
    /// Reports measured.
    pub reports: u64,
    /// Ranges in them.
    pub ranges: u64,
    /// Calls they took.
    pub calls: u64,
    /// Reports whose stamps were not in order.
    pub disordered: u64,
    /// Fingerprint of the pages the guest reported, in the whole trial, in hexadecimal.
    pub reported_digest: String,
    /// Fingerprint of the pages the host took, in the whole trial, in hexadecimal.
    pub taken_digest: String,
    /// Processor time of its threads; absent where nothing tells the time, and in files of before it was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threads: Option<ThreadTimes>,
    /// Looks into the ring that found nothing, of a thread that polls it; left out where none does.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub looks: u64,
    /// From stamp to stamp of processors that fault: ticks, at the most, and how often it was so many; left out where none
    /// does.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gaps: Vec<(u64, u64)>,
    /// What the kernel said about reported pages.
    pub proof: ProofCounts,
    /// What reports did to memory that they did not name; absent where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub collateral: Option<CollateralCounts>,
    /// What memory was made of, and who said what is back.
    #[serde(flatten)]
    pub memory: Memory,
    /// The most reports that were in flight at once, as the guest saw it. Left out where only one ever is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub most_in_flight: u64,
    /// Pages that the guest reported and took back before it rang, by its own count, in the whole trial. Left out where
    /// there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_back: u64,
    /// The same by what the host read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spared: u64,
    /// Writes that found KVM's queue full and exited before the guest rang for them. Left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overflows: u64,
    /// What was held for others, to be merged with them; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What a module did inside the kernel, by its own account; absent where none serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_kernel: Option<InKernel>,
    /// Interrupts the guest took, in the whole trial.
    pub interrupts: u64,
    /// Resident memory of the process beside guest memory at the trial's end, in bytes.
    pub memory_beside_ram: u64,
    /// Where instructions are counted: ticks during which the kernel was idle by its own account, and which
    /// nobody executed. Absent for time, and where the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idle_ticks: Option<u64>,
    /// From nothing to the guest's first sign of life, in nanoseconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boot_ns: Option<u64>,
    /// Every phase of a report.
    pub phases: BTreeMap<Named<Phase>, Quantiles>,
}

/// What a module did inside the kernel, by its own account, for all guests of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InKernel {
    /// Calls that were served.
    pub calls: u64,
    /// Ranges that were zapped.
    pub ranges: u64,
    /// Pages of those ranges, whether they were there or not.
    pub pages: u64,
    /// Ranges and calls that were refused.
    pub refused: u64,
}

impl From<ModuleCounts> for InKernel {
    fn from(counts: ModuleCounts) -> Self {
        let ModuleCounts { calls, ranges, pages, refused, .. } = counts;
        Self { calls, ranges, pages, refused }
    }
}

/// Reports that were held for others, to be merged with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Reports.
    pub reports: u64,
    /// Rounds in which they were discarded, all of a round together.
    pub rounds: u64,
    /// The longest from the first report of a round to its discard, in nanoseconds, in the whole trial; absent where nothing
    /// tells the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ns: Option<u64>,
}

impl Held {
    fn of(outcome: &Outcome) -> Option<Self> {
        let HeldCounts { reports, rounds, longest } = outcome.held;
        let longest_ns = outcome.common.counter.nanoseconds(longest);
        (reports > 0).then_some(Self { reports, rounds, longest_ns })
    }
}

impl TimedMeasured {
    /// The record of an outcome and its samples.
    #[must_use]
    pub fn new(outcome: &Outcome, histograms: &PhaseHistograms) -> Self {
        let counts = Counts::new(&outcome.common, outcome.checked_pages);
        let clock = counts.clock;
        let phases = Phase::ALL
            .iter()
            .map(|phase| {
                let histogram = histograms.histogram(*phase);
                (Named(*phase), Quantiles::of(histogram, histograms.mean(*phase), clock))
            })
            .collect();
        Self {
            counts,
            tsc_offset: outcome.tsc_offset,
            stopwatch: outcome.stopwatch.map(|weight| StopwatchWeight::new(&weight, clock)),
            idles: outcome.idles,
            reports: outcome.reports,
            ranges: outcome.ranges,
            calls: outcome.calls,
            disordered: outcome.disordered,
            reported_digest: format!("{:016x}", outcome.reported_digest),
            taken_digest: format!("{:016x}", outcome.taken_digest),
            threads: outcome.threads.map(Into::into),
            looks: outcome.looks,
            gaps: outcome.gaps.clone(),
            proof: outcome.proof.into(),
            collateral: outcome.collateral.map(CollateralCounts::from),
            memory: Memory::new(&outcome.common),
            most_in_flight: outcome.in_flight,
            taken_back: outcome.taken_back,
            spared: outcome.spared,
            overflows: outcome.overflows,
            held: Held::of(outcome),
            in_kernel: outcome.in_kernel.map(Into::into),
            interrupts: outcome.interrupts,
            memory_beside_ram: outcome.memory_beside_ram,
            idle_ticks: outcome.idle_ticks,
            boot_ns: outcome.boot_ns,
            phases,
        }
    }

    /// A phase's figures; all 0 if the record has none.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Quantiles {
        self.phases.get(&Named(phase)).copied().unwrap_or_default()
    }
}

/// [`Threads`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ThreadTimes {
    /// Of the threads of all its processors, in nanoseconds.
    pub vcpus_ns: u64,
    /// Of that, in the guest, in whole ticks of the kernel's timer; absent where the kernel keeps no account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guest_ns: Option<u64>,
    /// Of the device's thread; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_ns: Option<u64>,
}

impl From<Threads> for ThreadTimes {
    fn from(threads: Threads) -> Self {
        let Threads { vcpus_ns, guest_ns, device_ns } = threads;
        Self { vcpus_ns, guest_ns, device_ns }
    }
}

/// [`Collateral`] as it is written, summed over the reports that were looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CollateralCounts {
    /// These reports.
    pub reports: u64,
    /// Pages that were not reported and that the guest looked at after one.
    pub neighbours: u64,
    /// Faults that KVM served meanwhile; absent where it does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub faults: Option<u64>,
    /// Bytes of guest memory in huge pages before and after.
    pub huge: [u64; 2],
    /// Mappings of the process before and after.
    pub mappings: [u64; 2],
    /// Huge pages of the whole machine whose split was put off; absent where nobody counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_deferred: Option<u64>,
    /// Huge pages of the whole machine that were split; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_done: Option<u64>,
    /// Times KVM had all processors flush; absent where it does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote_flushes: Option<u64>,
    /// Flushes of the guest's processor; likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flushes: Option<u64>,
}

impl From<Collateral> for CollateralCounts {
    fn from(seen: Collateral) -> Self {
        let Collateral { reports, neighbours, faults, huge, mappings, splits, remote_flushes, flushes } =
            seen;
        let (splits_deferred, splits_done) =
            (splits.map(|splits| splits.deferred), splits.map(|splits| splits.done));
        Self {
            reports,
            neighbours,
            faults,
            huge,
            mappings,
            splits_deferred,
            splits_done,
            remote_flushes,
            flushes,
        }
    }
}

/// [`Weight`] as it is written, a call.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StopwatchWeight {
    /// Rounds of bursts it rests on.
    pub rounds: u64,
    /// An empty call without the stopwatch.
    pub bare: f64,
    /// What the stopwatch adds to a report of one call.
    pub once: f64,
    /// What it adds to each call of a report of many.
    pub each: f64,
    /// What fetching registers and leaving an answer adds; absent where the doorbell brings both.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub registers: Option<f64>,
}

impl StopwatchWeight {
    fn new(weight: &Weight, clock: Clock) -> Self {
        let Weight { rounds, bare, once, each, registers } = *weight;
        let [bare, once, each] = [bare, once, each].map(|ticks| clock.figure(ticks));
        Self { rounds, bare, once, each, registers: registers.map(|ticks| clock.figure(ticks)) }
    }

    /// What the stopwatch costs a report with these choices; `None` if its registers were fetched and that was not
    /// weighed, and of one that makes no call, which has two of its stamps.
    #[must_use]
    pub fn of_a_report(&self, choices: &Choices) -> Option<f64> {
        if choices.gathers() {
            return None;
        }
        let calls = float(choices.calls_a_report());
        let stamps = if choices.calls_a_report() == 1 { self.once } else { self.each * calls };
        let registers = if choices.fetches_registers() { self.registers? * calls } else { 0.0 };
        Some(stamps + registers)
    }
}

/// [`Proof`] as it is written, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProofCounts {
    /// How often the kernel was asked.
    pub proofs: u64,
    /// Pages reported in those reports.
    pub reported: u64,
    /// Of these, resident before.
    pub resident_before: u64,
    /// Of these, gone from the page table afterwards, and from the file where memory is a shared one.
    pub unmapped: u64,
    /// Pages freed lazily: resident, and the kernel's to take until they are written to. Left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lazy: u64,
    /// Of these, back with the host.
    pub back: u64,
    /// Of those unmapped, such as the witness cannot tell.
    pub unknown: u64,
    /// By how many pages `back` may be off, at the most.
    pub within: u64,
    /// Pages not reported that were gone.
    pub lost: u64,
}

const fn is_zero(pages: &u64) -> bool {
    *pages == 0
}

impl From<Proof> for ProofCounts {
    fn from(proof: Proof) -> Self {
        let Proof { proofs, reported, resident_before, unmapped, lazy, back, unknown, within, lost } = proof;
        Self { proofs, reported, resident_before, unmapped, lazy, back, unknown, within, lost }
    }
}

impl ProofCounts {
    /// Both together; a file may claim any numbers.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            proofs: self.proofs.saturating_add(other.proofs),
            reported: self.reported.saturating_add(other.reported),
            resident_before: self.resident_before.saturating_add(other.resident_before),
            unmapped: self.unmapped.saturating_add(other.unmapped),
            lazy: self.lazy.saturating_add(other.lazy),
            back: self.back.saturating_add(other.back),
            unknown: self.unknown.saturating_add(other.unknown),
            within: self.within.saturating_add(other.within),
            lost: self.lost.saturating_add(other.lost),
        }
    }
}
