//! What comes out of a trial of the engine.

use abi::engine::Inhibited;
use abi::engine::books::PassRecord;
use abi::violation::Violation;

use super::contents::Looked;
use crate::axes::{Bell, GuestRing};
use crate::kvm::{Counter, Exits, Placed};
use crate::memory::{Splits, WitnessKind};
use crate::reclaim::Refused;
use crate::serve::Spent;

/// A bucket of a tally that is not empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Its smallest value.
    pub lowest: u64,
    /// Its largest value.
    pub highest: u64,
    /// How many there were.
    pub count: u64,
}

/// What was resident at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// Nanoseconds since the measured part began.
    pub at_ns: u64,
    /// Bytes of managed memory resident on the host.
    pub resident: u64,
    /// Bytes of managed memory free in the guest, by its own count.
    pub free: u64,
}

/// What the kernel said when a round had settled. Pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settled {
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
    /// Of those unmapped, such as the host has back: it can give their frames to others.
    pub back: u64,
    /// Of those unmapped, such as the witness cannot tell. What is neither back nor unknown is held.
    pub unknown: u64,
    /// By how many pages `back` may be off, at the most.
    pub within: u64,
    /// Pages reported and acknowledged, and not allocated since.
    pub reported: u64,
    /// Of these, resident all the same.
    pub reported_resident: u64,
    /// Pages written to and not reported that are gone: must be 0.
    pub lost: u64,
}

/// What a trial of the engine showed. Counts cover the measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineOutcome {
    /// The instruction the guest used.
    pub bell: Bell,
    /// The mode the guest ran in.
    pub guest_ring: GuestRing,
    /// What the time stamp counter counts.
    pub counter: Counter,
    /// Frequency of the time stamp counter in kHz.
    pub tsc_khz: u32,
    /// Where the threads ran.
    pub placed: Placed,
    /// Wake-ups of the device's thread that found nothing to do: their calls had been found by looking once more.
    pub stale_kicks: u64,
    /// Why the guest did not report although it was told to.
    pub inhibited: Inhibited,
    /// Pages the engine manages.
    pub managed: u64,
    /// The guest's counters, for each virtual processor, in the order of [`super::GuestCounter`].
    pub counters: Vec<Vec<u64>>,
    /// The guest's tallies, added up over the virtual processors, in the order of [`super::Tally`].
    pub tallies: Vec<Vec<Bucket>>,
    /// The first passes of the reporting core, of the whole trial.
    pub passes: Vec<PassRecord>,
    /// Guest ticks when the measured part began and ended, and when the memory of the last round had been freed (0 for a
    /// timed load).
    pub began: u64,
    /// See `began`.
    pub ended: u64,
    /// See `began`.
    pub freed: u64,
    /// Resident memory over time; empty if it was not watched.
    pub curve: Vec<Point>,
    /// Every settled round.
    pub settled: Vec<Settled>,
    /// Who said what is back.
    pub witness: WitnessKind,
    /// Huge pages whose split was put off, and huge pages split, on the whole machine, from when the guest's memory was
    /// all there to the end of the measured part; `None` where the kernel does not count.
    pub splits: Option<Splits>,
    /// Share of resident guest memory in huge pages when all of it was there.
    pub huge_share: f64,
    /// Exits by our count, all processors.
    pub exits: Exits,
    /// Exits by which a processor gave itself away ([`abi::control::IDLE_PORT`]); in no other count.
    pub idles: u64,
    /// Change of KVM's own statistics, all processors, by KVM's names.
    pub kvm_stats: Vec<(String, u64)>,
    /// Processor time that this process took, all its threads: the guest's processors and the device's thread, in
    /// nanoseconds. What others ran on the machine meanwhile is not in it. `None` where the counter counts instructions.
    pub cpu_ns: Option<u64>,
    /// What the host did for reports.
    pub spent: Spent,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// Ranges refused, in the whole trial.
    pub refused: Refused,
    /// What the host saw itself when the guest had come to rest; nothing of a guest that never says so.
    pub looked: Looked,
    /// What the guest found wrong, in the whole trial; empty is right.
    pub violations: Vec<(Violation, u64)>,
    /// Frame of the first page found wrong.
    pub first_wrong: Option<u64>,
    /// The whole trial in nanoseconds; `None` where the counter counts instructions.
    pub elapsed_ns: Option<u64>,
}
