//! What every kind of trial counts.

use std::collections::BTreeMap;
use std::io;

use host::axes::{Bell, GuestRing};
use host::kvm::Exits;
use host::memory::{Userfaults, WitnessKind};
use host::reclaim::{PutOffCounts, Refused};
use host::trial::Common;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ring::RingOptions;
use crate::axes::named::Named;
use crate::figure::unit::Clock;
use crate::site::placement::Placement;

/// What every kind of trial counts, in its measured part unless said otherwise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// The instruction the guest used.
    pub bell: Named<Bell>,
    /// The mode the guest ran in.
    pub guest_ring: Named<GuestRing>,
    /// Where its threads ran; absent in files of before that was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub placement: Option<Placement>,
    /// Times somebody was called to the ring and found nothing in it.
    #[serde(default)]
    pub stale_kicks: u64,
    /// What the options of the ring came to; absent where there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ring: Option<RingOptions>,
    /// What a tick is: the unit of the figures and, for time, the frequency of the time stamp counter.
    #[serde(flatten)]
    pub clock: Clock,
    /// Exits to user space by our count.
    pub exits: ExitCounts,
    /// Change of KVM's own statistics, by KVM's names; without its durations where nothing tells the time.
    pub kvm_stats: BTreeMap<String, u64>,
    /// Processor time of the runner in the measured part, all its threads, in nanoseconds; absent where nothing tells
    /// the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_ns: Option<u64>,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// What the kernel said to the first that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub madvise_error: Option<String>,
    /// What became of pages whose discard was put off, in the whole trial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub put_off: Option<PutOff>,
    /// What whoever answers for userfaultfd did, in the whole trial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub userfault: Option<Answered>,
    /// Ranges announced by a call before they were reported; left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub announced: u64,
    /// Pages the host was told of before they were used again; left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deflated_pages: u64,
    /// Ranges refused, by reason, in the whole trial.
    pub refused: BTreeMap<String, u64>,
    /// Pages whose contents the guest checked, in the whole trial.
    pub checked_pages: u64,
    /// What the guest found wrong, by name, in the whole trial.
    pub violations: BTreeMap<String, u64>,
    /// The whole trial as the runner saw it, in nanoseconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub elapsed_ns: Option<u64>,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// As they are written, with the pages that the guest checked.
    #[must_use]
    pub fn new(found: &Common, checked_pages: u64) -> Self {
        let clock = Clock::of(found.counter, found.tsc_khz);
        let violations = found.violations.iter().map(|(kind, count)| (kind.name().to_owned(), *count));
        Self {
            bell: Named(found.bell),
            guest_ring: Named(found.guest_ring),
            placement: Some((&found.placed).into()),
            stale_kicks: found.stale_kicks,
            ring: RingOptions::new(&found.ring),
            clock,
            exits: found.exits.into(),
            kvm_stats: statistics(&found.kvm_stats, clock),
            cpu_ns: found.cpu_ns,
            madvise_calls: found.madvise_calls,
            discarded_pages: found.discarded_pages,
            madvise_failures: found.madvise_failures,
            madvise_error: found.madvise_error.map(|errno| io::Error::from_raw_os_error(errno).to_string()),
            put_off: found.put_off.map(|put_off| PutOff::new(put_off, clock)),
            userfault: found.userfault.map(Answered::from),
            announced: found.announced,
            deflated_pages: found.deflated_pages,
            refused: refusals(&found.refused),
            checked_pages,
            violations: violations.collect(),
            elapsed_ns: found.elapsed_ns,
        }
    }
}

/// [`PutOffCounts`] as it is written, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PutOff {
    /// Remembered.
    pub remembered: u64,
    /// Of these, discarded when memory was wanted.
    pub discarded: u64,
    /// Of these, such as the guest had taken back by then.
    pub taken_back: u64,
    /// Times memory was wanted.
    pub wanted: u64,
    /// Discards made then.
    pub calls: u64,
    /// Discards that failed.
    pub failures: u64,
    /// How long they took, in nanoseconds; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_ns: Option<u64>,
}

impl PutOff {
    fn new(counts: PutOffCounts, clock: Clock) -> Self {
        let PutOffCounts { remembered, discarded, taken_back, wanted, calls, failures, took } = counts;
        let took_ns = clock.tells_time().then(|| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        Self { remembered, discarded, taken_back, wanted, calls, failures, took_ns }
    }
}

/// [`Userfaults`] as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// Missing pages that were answered for.
    pub zeroed: u64,
    /// Discards that were heard of.
    pub removed: u64,
}

impl From<Userfaults> for Answered {
    fn from(Userfaults { zeroed, removed }: Userfaults) -> Self {
        Self { zeroed, removed }
    }
}

/// What guest memory was made of on the host, and who says what of it is back.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Who says what is back: file (the shared file that memory is), frames (every frame by itself), cgroup (one of the
    /// trial's own) or system (free memory of the machine).
    pub witness: Named<WitnessKind>,
    /// Share of resident guest memory in huge pages, 0 to 1, when all of it was there.
    pub huge_share: f64,
    /// Huge pages of the whole machine whose split was put off meanwhile; absent where the kernel does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_deferred: Option<u64>,
    /// Huge pages of the whole machine that were split meanwhile.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub splits_done: Option<u64>,
}

impl Memory {
    /// As it is written.
    #[must_use]
    pub fn new(found: &Common) -> Self {
        Self {
            witness: Named(found.witness),
            huge_share: found.huge_share,
            splits_deferred: found.splits.map(|splits| splits.deferred),
            splits_done: found.splits.map(|splits| splits.done),
        }
    }
}

/// KVM's statistics. It keeps durations too, and marks them by their names.
fn statistics(kvm_stats: &[(String, u64)], clock: Clock) -> BTreeMap<String, u64> {
    let says_something = |name: &str| clock.tells_time() || !name.ends_with("_ns");
    kvm_stats.iter().filter(|(name, _)| says_something(name)).cloned().collect()
}

/// Ranges refused, by reason; only reasons there were.
pub(super) fn refusals(refused: &Refused) -> BTreeMap<String, u64> {
    let Refused {
        empty,
        wraps,
        outside,
        read_only,
        indirect,
        table,
        broken_chain,
        bad_call,
        bad_list,
        unannounced,
    } = *refused;
    [
        ("empty", empty),
        ("wraps", wraps),
        ("outside", outside),
        ("read-only", read_only),
        ("indirect", indirect),
        ("table", table),
        ("broken-chain", broken_chain),
        ("bad-call", bad_call),
        ("bad-list", bad_list),
        ("unannounced", unannounced),
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
        self.hypercall.saturating_add(self.port).saturating_add(self.mmio)
    }
}

impl From<Exits> for ExitCounts {
    fn from(exits: Exits) -> Self {
        let Exits { hypercall, port, mmio, control, interrupted } = exits;
        Self { hypercall, port, mmio, control, interrupted }
    }
}
