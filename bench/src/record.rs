//! What a trial leaves in the run directory: one line of JSON.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi::addr::Order;
use host::axes::{
    Backing, Bell, Carrier, Coalesce, Completion, Discard, Doorbell, GuestRing, RingChoice, Servicer, Way,
    Workload,
};
use host::kvm::Exits;
use host::reclaim::Refused;
use host::timed::{Outcome, Proof, TimedSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SCHEMA_VERSION;
use crate::axis::Named;
use crate::histogram::{Phase, PhaseHistograms};
use crate::journal::Trial;
use crate::ladder::Rung;
use crate::quantiles::Quantiles;
use crate::unit::Clock;

/// One trial, as a line of `trials.jsonl`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrialRecord {
    /// Version of this format.
    pub schema_version: u32,
    /// Number of the trial in the run, from 0.
    pub trial: u32,
    /// Its block, from 0.
    pub block: u32,
    /// The rung of the ladder this is; absent if its transport is none of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// Start, in seconds since 1970; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_s: Option<f64>,
    /// Duration, booting and tearing down included, in seconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_s: Option<f64>,
    /// Every choice of the trial.
    pub spec: Spec,
    /// What came of it.
    #[serde(flatten)]
    pub ending: Ending,
}

/// What came of a trial.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// It ran to its end.
    Measured(Box<Measured>),
    /// It did not.
    Failed {
        /// Why not, in a sentence.
        error: String,
    },
}

/// When a trial ran.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Wall clock time at its start.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
}

impl Stretch {
    /// Start in seconds since 1970.
    #[must_use]
    pub fn started_s(&self) -> f64 {
        self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

impl TrialRecord {
    /// The record of a trial that has just ended; without a stretch where nothing tells the time.
    #[must_use]
    pub fn new(
        trial: u32,
        block: u32,
        rung: Option<Rung>,
        spec: Spec,
        stretch: Option<Stretch>,
        ending: Ending,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            trial,
            block,
            rung: rung.map(Named),
            started_s: stretch.map(|stretch| stretch.started_s()),
            took_s: stretch.map(|stretch| stretch.took.as_secs_f64()),
            spec,
            ending,
        }
    }

    /// What was measured, if anything was.
    #[must_use]
    pub fn measured(&self) -> Option<&Measured> {
        match &self.ending {
            Ending::Measured(measured) => Some(measured),
            Ending::Failed { .. } => None,
        }
    }
}

impl Trial for TrialRecord {
    fn trial(&self) -> u32 {
        self.trial
    }

    fn block(&self) -> u32 {
        self.block
    }

    fn stretch_s(&self) -> [Option<f64>; 2] {
        [self.started_s, self.took_s]
    }

    fn error(&self) -> Option<&str> {
        match &self.ending {
            Ending::Measured(_) => None,
            Ending::Failed { error } => Some(error),
        }
    }
}

/// [`TimedSpec`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct Spec {
    /// Where ranges travel.
    pub carrier: Named<Carrier>,
    /// How the host is told.
    pub doorbell: Named<Doorbell>,
    /// Which thread acts.
    pub servicer: Named<Servicer>,
    /// How the guest learns.
    pub completion: Named<Completion>,
    /// What is done with a range.
    pub discard: Named<Discard>,
    /// What one discard covers.
    pub coalesce: Named<Coalesce>,
    /// What guest memory is made of.
    pub backing: Named<Backing>,
    /// The mode the payload was asked to run in.
    pub guest_ring: Named<RingChoice>,
    /// Which pages are freed.
    pub workload: Named<Workload>,
    /// log2 of the pages in a range.
    pub order: u8,
    /// Ranges in a report.
    pub batch: u16,
    /// Pages of the arena.
    pub arena_pages: u64,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured.
    pub reports: u64,
    /// Seed of the workload.
    pub seed: u64,
}

impl From<TimedSpec> for Spec {
    fn from(spec: TimedSpec) -> Self {
        let arena_pages = spec.arena_pages();
        let TimedSpec { way, workload, order, batch, arena: _, warmup, reports, seed } = spec;
        let Way { carrier, doorbell, servicer, completion, guest_ring, discard, coalesce, backing } = way;
        Self {
            carrier: Named(carrier),
            doorbell: Named(doorbell),
            servicer: Named(servicer),
            completion: Named(completion),
            discard: Named(discard),
            coalesce: Named(coalesce),
            backing: Named(backing),
            guest_ring: Named(guest_ring),
            workload: Named(workload),
            order: order.get(),
            batch,
            arena_pages,
            warmup,
            reports,
            seed,
        }
    }
}

impl Spec {
    /// Pages in a range.
    #[must_use]
    pub fn pages_a_range(&self) -> u64 {
        Order::new(u64::from(self.order)).unwrap_or_default().pages()
    }
}

/// What a trial showed. Counts cover its measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// The instruction the guest used.
    pub bell: Named<Bell>,
    /// The mode the guest ran in.
    pub guest_ring: Named<GuestRing>,
    /// What the figures of `phases` are in and, for time, the frequency of the time stamp counter.
    #[serde(flatten)]
    pub clock: Clock,
    /// Guest minus host time stamp counter, as KVM states it.
    pub tsc_offset: i64,
    /// Reports measured.
    pub reports: u64,
    /// Ranges in them.
    pub ranges: u64,
    /// Calls they took.
    pub calls: u64,
    /// Reports whose stamps were not in order.
    pub disordered: u64,
    /// Exits to user space by our count.
    pub exits: ExitCounts,
    /// Change of KVM's own statistics, by KVM's names; without its durations where nothing tells the time.
    pub kvm_stats: BTreeMap<String, u64>,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// Ranges refused, by reason, in the whole trial.
    pub refused: BTreeMap<String, u64>,
    /// Fingerprint of the pages the guest reported, in the whole trial, in hexadecimal.
    pub reported_digest: String,
    /// Fingerprint of the pages the host took, in the whole trial, in hexadecimal.
    pub taken_digest: String,
    /// What the kernel said about residency.
    pub proof: ProofCounts,
    /// Pages whose contents the guest checked, in the whole trial.
    pub checked_pages: u64,
    /// What the guest found wrong, by name, in the whole trial.
    pub violations: BTreeMap<String, u64>,
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
    /// The whole trial as the runner saw it, in nanoseconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub elapsed_ns: Option<u64>,
    /// Every phase of a report.
    pub phases: BTreeMap<Named<Phase>, Quantiles>,
}

impl Measured {
    /// The record of an outcome and its samples.
    #[must_use]
    pub fn new(outcome: &Outcome, histograms: &PhaseHistograms) -> Self {
        use abi::axes::Axis;
        let clock = Clock::of(outcome.counter, outcome.tsc_khz);
        let phases = Phase::ALL
            .iter()
            .map(|phase| {
                let histogram = histograms.histogram(*phase);
                (Named(*phase), Quantiles::of(histogram, histograms.mean(*phase), clock))
            })
            .collect();
        Self {
            bell: Named(outcome.bell),
            guest_ring: Named(outcome.guest_ring),
            clock,
            tsc_offset: outcome.tsc_offset,
            reports: outcome.reports,
            ranges: outcome.ranges,
            calls: outcome.calls,
            disordered: outcome.disordered,
            exits: outcome.exits.into(),
            kvm_stats: statistics(&outcome.kvm_stats, clock),
            madvise_calls: outcome.madvise_calls,
            discarded_pages: outcome.discarded_pages,
            madvise_failures: outcome.madvise_failures,
            refused: refusals(&outcome.refused),
            reported_digest: format!("{:016x}", outcome.reported_digest),
            taken_digest: format!("{:016x}", outcome.taken_digest),
            proof: outcome.proof.into(),
            checked_pages: outcome.checked_pages,
            violations: outcome
                .violations
                .iter()
                .map(|(kind, count)| (kind.name().to_owned(), *count))
                .collect(),
            interrupts: outcome.interrupts,
            memory_beside_ram: outcome.memory_beside_ram,
            idle_ticks: outcome.idle_ticks,
            boot_ns: outcome.boot_ns,
            elapsed_ns: outcome.elapsed_ns,
            phases,
        }
    }

    /// A phase's figures; all 0 if the record has none.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Quantiles {
        self.phases.get(&Named(phase)).copied().unwrap_or_default()
    }
}

/// KVM's statistics. It keeps durations too, and marks them by their names.
pub(crate) fn statistics(kvm_stats: &[(String, u64)], clock: Clock) -> BTreeMap<String, u64> {
    let says_something = |name: &str| clock.tells_time() || !name.ends_with("_ns");
    kvm_stats.iter().filter(|(name, _)| says_something(name)).cloned().collect()
}

/// Ranges refused, by reason; only reasons there were.
pub(crate) fn refusals(refused: &Refused) -> BTreeMap<String, u64> {
    let Refused { empty, wraps, outside, read_only, indirect, broken_chain, bad_call } = *refused;
    [
        ("empty", empty),
        ("wraps", wraps),
        ("outside", outside),
        ("read-only", read_only),
        ("indirect", indirect),
        ("broken-chain", broken_chain),
        ("bad-call", bad_call),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(reason, count)| (reason.to_owned(), count))
    .collect()
}

/// [`Exits`] as they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ExitCounts {
    /// Hypercalls.
    pub hypercall: u64,
    /// Port writes that are calls or kicks.
    pub port: u64,
    /// MMIO accesses.
    pub mmio: u64,
    /// Port writes on the control port: the harness's own.
    pub control: u64,
    /// `KVM_RUN` interrupted by a signal.
    pub interrupted: u64,
}

impl ExitCounts {
    /// Exits the transport caused.
    #[must_use]
    pub const fn transport(&self) -> u64 {
        self.hypercall + self.port + self.mmio
    }
}

impl From<Exits> for ExitCounts {
    fn from(exits: Exits) -> Self {
        let Exits { hypercall, port, mmio, control, interrupted } = exits;
        Self { hypercall, port, mmio, control, interrupted }
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
    /// Of these, gone afterwards.
    pub freed: u64,
    /// Pages not reported that were gone.
    pub lost: u64,
}

impl From<Proof> for ProofCounts {
    fn from(proof: Proof) -> Self {
        let Proof { proofs, reported, resident_before, freed, lost } = proof;
        Self { proofs, reported, resident_before, freed, lost }
    }
}

impl ProofCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            proofs: self.proofs + other.proofs,
            reported: self.reported + other.reported,
            resident_before: self.resident_before + other.resident_before,
            freed: self.freed + other.freed,
            lost: self.lost + other.lost,
        }
    }
}
