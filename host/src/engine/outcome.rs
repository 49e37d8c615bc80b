//! What comes out of a trial of the engine.

use abi::engine::Inhibited;
use abi::engine::books::PassRecord;

use super::contents::Looked;
use crate::serve::Spent;
use crate::trial::Common;

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

/// What came of it that the host asked for everything at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flushed {
    /// Ticks from when the host asked to the last acknowledgement.
    pub ticks: u64,
    /// Reports.
    pub reports: u64,
    /// Pages in them.
    pub pages: u64,
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
    /// Of these, resident all the same; counted where all of them are to be freed.
    pub reported_resident: u64,
    /// Pages written to and not reported that are gone: must be 0.
    pub lost: u64,
    /// Of a round whose memory the host asked for at once: [`abi::engine::Load::Flush`].
    pub flushed: Option<Flushed>,
}

/// What a trial of the engine showed. Counts cover the measured part, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineOutcome {
    /// What every kind of trial shows.
    pub common: Common,
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
    /// Exits by which a processor gave itself away ([`abi::control::IDLE_PORT`]); in no other count.
    pub idles: u64,
    /// What the host did for reports.
    pub spent: Spent,
    /// What the host saw itself when the guest had come to rest; nothing of a guest that never says so.
    pub looked: Looked,
    /// Frame of the first page found wrong.
    pub first_wrong: Option<u64>,
}
