//! What a timed trial showed in the end.

use super::collateral::Collateral;
use super::stopwatch::Weight;
use crate::kvm::module::ModuleCounts;
use crate::serve::HeldCounts;
use crate::trial::Common;

/// What the kernel said about reported pages, around reports made for this purpose. Pages, summed over the proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Proof {
    /// How often it was looked at.
    pub proofs: u64,
    /// Pages reported in those reports.
    pub reported: u64,
    /// Of these, resident (or swapped) before.
    pub resident_before: u64,
    /// Of these, neither in the page table afterwards nor, where memory is a shared file, in the file.
    pub unmapped: u64,
    /// Pages that are freed lazily: still resident, and the kernel's to take until they are written to.
    pub lazy: u64,
    /// Of these, back with the host: it can give their frames to others.
    pub back: u64,
    /// Of those unmapped, such as the witness cannot tell. What is neither back nor unknown is held.
    pub unknown: u64,
    /// By how many pages `back` may be off, at the most.
    pub within: u64,
    /// Pages not reported that were gone: must be 0.
    pub lost: u64,
}

/// Processor time of the threads of a trial, in its measured part: all that its processors did and nothing that others did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threads {
    /// Of the threads of all its processors, in nanoseconds.
    pub vcpus_ns: u64,
    /// Of that, in the guest, as the kernel counts it; `None` where it does not. In whole ticks of a timer, a hundred a
    /// second, which fall to whoever runs when one comes.
    pub guest_ns: Option<u64>,
    /// Of the device's thread, if there is one.
    pub device_ns: Option<u64>,
}

/// What a trial showed in the end. Counts cover the measured part only, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What every kind of trial shows.
    pub common: Common,
    /// Guest minus host time stamp counter, as KVM states it.
    pub tsc_offset: i64,
    /// What the stopwatch weighs; only of a trial that weighs it.
    pub stopwatch: Option<Weight>,
    /// Reports measured.
    pub reports: u64,
    /// Ranges in them.
    pub ranges: u64,
    /// Calls they took.
    pub calls: u64,
    /// Reports whose stamps were not in order: must be 0, or the clocks do not agree.
    pub disordered: u64,
    /// Exits by which the guest gave its processor away ([`abi::control::IDLE_PORT`]); in no other count.
    pub idles: u64,
    /// Fingerprint of the pages the guest reported, in the whole trial ([`abi::digest`]).
    pub reported_digest: u64,
    /// Fingerprint of the pages the host took, in the whole trial; equal to the guest's or something is wrong.
    pub taken_digest: u64,
    /// Processor time of its threads; `None` where the counter counts instructions.
    pub threads: Option<Threads>,
    /// Looks into the ring that found nothing, of a thread that polls it.
    pub looks: u64,
    /// From stamp to stamp of the processors that faulted: ticks, at the most, and how often it was so many.
    pub gaps: Vec<(u64, u64)>,
    /// What the kernel said.
    pub proof: Proof,
    /// The most reports that were in flight at once, by the guest's look when it had told of the last; 0 where only one
    /// ever is.
    pub in_flight: u64,
    /// Pages that the guest reported and took back before it rang, by its own count, in the whole trial.
    pub taken_back: u64,
    /// The same by what the host read: pages that it left alone for that.
    pub spared: u64,
    /// Writes that found KVM's queue full and exited before the guest rang for them: see [`abi::wire::store`].
    pub overflows: u64,
    /// Reports that were held for others, to be merged with them, and the rounds that they went in.
    pub held: HeldCounts,
    /// What a module did inside the kernel, by its own account, for all guests of this host; only where one serves.
    pub in_kernel: Option<ModuleCounts>,
    /// What reports did to memory that they did not name; only of a trial that looks.
    pub collateral: Option<Collateral>,
    /// Pages whose contents the guest checked, in the whole trial.
    pub checked_pages: u64,
    /// Interrupts the guest took, in the whole trial.
    pub interrupts: u64,
    /// Resident memory of this process beside guest memory at the trial's end, in bytes.
    pub memory_beside_ram: u64,
    /// Ticks of the counter during which the kernel was idle in the measured part, by its own account: ticks
    /// that nobody executed. Looked at only where the counter counts instructions, and `None` where the kernel
    /// does not say.
    pub idle_ticks: Option<u64>,
    /// From nothing to the guest's first sign of life, in nanoseconds; `None` where the counter counts
    /// instructions, because no clock of such a machine tells the time.
    pub boot_ns: Option<u64>,
}
