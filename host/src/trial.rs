//! One trial: what to run ([`TrialSpec`]), what comes out sample by sample ([`Sample`]) and in the end
//! ([`Outcome`]).

use abi::addr::{Order, PAGE_SIZE};
use abi::layout::ARENA_MAX_PAGES;
use abi::violation::Violation;
use abi::wire::page::BATCH_CAPACITY;

use crate::axes::{
    Axis, Backing, Bell, Carrier, Coalesce, Completion, Discard, Doorbell, GuestRing, RingChoice, Servicer,
    Workload,
};
use crate::facts::Counter;

/// Every choice of one trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrialSpec {
    /// Where ranges travel.
    pub carrier: Carrier,
    /// How the host is told.
    pub doorbell: Doorbell,
    /// Who acts.
    pub servicer: Servicer,
    /// How the guest learns.
    pub completion: Completion,
    /// What is done with a range.
    pub discard: Discard,
    /// What one discard covers.
    pub coalesce: Coalesce,
    /// What guest memory is made of.
    pub backing: Backing,
    /// The mode the payload runs in.
    pub guest_ring: RingChoice,
    /// Which pages are freed.
    pub workload: Workload,
    /// Size of every range.
    pub order: Order,
    /// Ranges in a report, 1 to [`BATCH_CAPACITY`].
    pub batch: u16,
    /// Size of the arena in bytes; `None` for the smallest that serves: see [`TrialSpec::arena_pages`].
    pub arena: Option<u64>,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured, at least 1.
    pub reports: u64,
    /// Seed of the workload.
    pub seed: u64,
}

/// A [`TrialSpec`] that means nothing, or cannot be had. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Carrier and doorbell or completion do not go together.
    #[error("{carrier} cannot be used with {other}: {why}", carrier = .carrier.name())]
    Mismatch {
        /// The carrier.
        carrier: Carrier,
        /// The value of another axis.
        other: &'static str,
        /// Why not, and what would.
        why: &'static str,
    },
    /// Doorbell and servicer do not go together.
    #[error("doorbell {doorbell} is served by {who}: use --servicer {needs}", doorbell = .doorbell.name(), who = who(*.needs), needs = .needs.name())]
    WrongServicer {
        /// The doorbell.
        doorbell: Doorbell,
        /// The one servicer it has.
        needs: Servicer,
    },
    /// The hypercall needs the guest kernel's mode.
    #[error("the hypercall doorbells need --guest-ring 0: KVM refuses hypercalls from ring 3")]
    HypercallInRing3,
    /// No batch, or one larger than a batch page.
    #[error("a batch has 1 to {BATCH_CAPACITY} ranges, not {batch}")]
    Batch {
        /// The batch size.
        batch: u16,
    },
    /// Nothing would be measured.
    #[error("at least one report must be measured: use --reports 1 or more")]
    NoReports,
    /// The arena cannot hold two batches, is no power of two, or is too large.
    #[error(
        "an arena of {bytes} bytes does not do: it must be a power of two from {min} bytes (a batch of blocks of this order) to {max}"
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

/// For sentences.
const fn who(servicer: Servicer) -> &'static str {
    match servicer {
        Servicer::Vcpu => "the vCPU's thread",
        Servicer::Device => "the device thread",
        Servicer::Kernel => "KVM itself",
    }
}

// The largest batch of the largest blocks fits in the largest arena: there is nothing to refuse.
const _: () = assert!(BATCH_CAPACITY.next_power_of_two() * Order::MAX.pages() <= ARENA_MAX_PAGES);

impl TrialSpec {
    /// Pages of the arena: as asked, else four batches' worth of blocks, at least 16 MiB, less if that would
    /// be more than 1 GiB.
    #[must_use]
    pub fn arena_pages(&self) -> u64 {
        let batch = self.least_pages();
        self.arena
            .map_or_else(|| (4 * batch).clamp(4096, (1 << 18_u64).max(batch)), |bytes| bytes / PAGE_SIZE)
    }

    /// Pages of one batch, with the batch rounded up to a power of two.
    fn least_pages(&self) -> u64 {
        u64::from(self.batch).next_power_of_two() * self.order.pages()
    }

    /// Entries of the split ring: as many as the batch has ranges, at least the 32 a Linux driver asks for.
    #[must_use]
    pub fn queue_size(&self) -> u16 {
        self.batch.next_power_of_two().max(abi::wire::virtio::balloon::REPORTING_QUEUE_MIN)
    }

    /// Ranges one call can carry.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        match self.carrier {
            Carrier::Empty | Carrier::Registers => 1,
            Carrier::Batch | Carrier::Ring => self.batch,
        }
    }

    /// Whether every call leaves stamps of the host: not if nobody in user space serves it.
    #[must_use]
    pub const fn is_stamped(&self) -> bool {
        match self.servicer {
            Servicer::Vcpu => true,
            Servicer::Device => !matches!(self.carrier, Carrier::Empty),
            Servicer::Kernel => false,
        }
    }

    /// Whether the choices go together, before anything is started.
    ///
    /// # Errors
    /// [`SpecError`], with what to change.
    pub fn validate(&self) -> Result<(), SpecError> {
        Route::from(self).validate()?;
        if self.batch == 0 || u64::from(self.batch) > BATCH_CAPACITY {
            return Err(SpecError::Batch { batch: self.batch });
        }
        if self.reports == 0 {
            return Err(SpecError::NoReports);
        }
        let (least, max) = (self.least_pages(), ARENA_MAX_PAGES * PAGE_SIZE);
        if let Some(bytes) = self.arena {
            let min = (least * PAGE_SIZE).max(4 << 20);
            if !bytes.is_power_of_two() || bytes < min || bytes > max {
                return Err(SpecError::Arena { bytes, min, max });
            }
        }
        Ok(())
    }
}

/// How reports travel, whatever is reported: the choices that have to go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub(crate) carrier: Carrier,
    pub(crate) doorbell: Doorbell,
    pub(crate) servicer: Servicer,
    pub(crate) completion: Completion,
    pub(crate) guest_ring: RingChoice,
}

impl From<&TrialSpec> for Route {
    fn from(spec: &TrialSpec) -> Self {
        let TrialSpec { carrier, doorbell, servicer, completion, guest_ring, .. } = *spec;
        Self { carrier, doorbell, servicer, completion, guest_ring }
    }
}

impl Route {
    /// Whether they do.
    pub(crate) fn validate(&self) -> Result<(), SpecError> {
        let mismatch = |other, why| Err(SpecError::Mismatch { carrier: self.carrier, other, why });
        let needs = self.doorbell.servicer();
        if self.servicer != needs {
            return Err(SpecError::WrongServicer { doorbell: self.doorbell, needs });
        }
        if self.doorbell.is_hypercall() && self.guest_ring == RingChoice::Three {
            return Err(SpecError::HypercallInRing3);
        }
        match self.carrier {
            Carrier::Registers | Carrier::Batch | Carrier::Ring if self.servicer == Servicer::Kernel => {
                return mismatch(
                    self.doorbell.name(),
                    "KVM answers such a call itself and looks at no ranges; use --carrier empty",
                );
            }
            Carrier::Registers | Carrier::Batch if self.doorbell.is_ioeventfd() => {
                return mismatch(
                    self.doorbell.name(),
                    "an eventfd carries no registers; use doorbell hypercall, port or mmio, or carrier ring",
                );
            }
            Carrier::Empty | Carrier::Registers | Carrier::Batch if self.completion != Completion::Return => {
                return mismatch(
                    self.completion.name(),
                    "only a ring is acknowledged later; use --completion return",
                );
            }
            Carrier::Ring if self.servicer == Servicer::Device && self.completion == Completion::Return => {
                return mismatch(
                    self.completion.name(),
                    "the device thread acts after the doorbell has returned; use --completion poll or interrupt",
                );
            }
            _ => {}
        }
        Ok(())
    }
}

/// One timed report, in ticks of the time stamp counter. The phases are in the order they happen and do not
/// overlap; [`Sample::remainder`] is what they leave unexplained. Where a report takes several calls, each
/// phase is the sum over the calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// Guest: from the report's beginning to its last acknowledgement.
    pub total: u64,
    /// Guest: ranges into the carrier, up to the doorbell instruction.
    pub prepare: u64,
    /// From the doorbell instruction to the host thread that acts; for the device thread, only until the
    /// doorbell instruction is over, and the rest is `wake`.
    pub transit: u64,
    /// Device thread only: from the end of the doorbell instruction until the thread runs.
    pub wake: u64,
    /// Host: ranges out of the carrier, checked.
    pub fetch: u64,
    /// Host: coalescing and `madvise`.
    pub discard: u64,
    /// Host: the acknowledgement is written and the interrupt raised.
    pub complete: u64,
    /// From the host's acknowledgement until the guest has seen it.
    pub resume: u64,
    /// Guest's view, overlaps the above: the doorbell instruction.
    pub notify: u64,
    /// Guest's view, overlaps the above: from the doorbell instruction's end to the acknowledgement.
    pub wait: u64,
    /// Guest, later: touching every reported page once.
    pub touch: u64,
    /// Guest, later: touching them again, resident. `touch - retouch` is the refault.
    pub retouch: u64,
    /// Ranges reported.
    pub ranges: u64,
    /// Calls it took.
    pub calls: u64,
}

impl Sample {
    /// What the phases add up to.
    #[must_use]
    pub const fn explained(&self) -> u64 {
        self.prepare + self.transit + self.wake + self.fetch + self.discard + self.complete + self.resume
    }

    /// What the phases leave unexplained: the host between its stamps.
    #[must_use]
    pub const fn remainder(&self) -> u64 {
        self.total.saturating_sub(self.explained())
    }

    /// What touching the pages again cost over touching resident ones.
    #[must_use]
    pub const fn refault(&self) -> u64 {
        self.touch.saturating_sub(self.retouch)
    }
}

/// Receives the samples of a trial, in order, between timed reports. Must not allocate, format or block.
pub trait Observer {
    /// One measured report.
    fn sample(&mut self, sample: &Sample);
}

/// Exits to user space in the measured part, by our own count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exits {
    /// Hypercalls.
    pub hypercall: u64,
    /// Port writes that are calls or kicks.
    pub port: u64,
    /// MMIO accesses.
    pub mmio: u64,
    /// Port writes on the control port: the harness's own, in no timed report.
    pub control: u64,
    /// `KVM_RUN` interrupted by a signal.
    pub interrupted: u64,
}

impl Exits {
    /// Exits the transport caused.
    #[must_use]
    pub const fn transport(&self) -> u64 {
        self.hypercall + self.port + self.mmio
    }

    /// What was added since `before`. The control exit that ended the measured part is counted in `self` only.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            hypercall: self.hypercall - before.hypercall,
            port: self.port - before.port,
            mmio: self.mmio - before.mmio,
            control: self.control - before.control,
            interrupted: self.interrupted - before.interrupted,
        }
    }

    /// Adds another count, kind by kind.
    pub const fn add(&mut self, other: &Self) {
        self.hypercall += other.hypercall;
        self.port += other.port;
        self.mmio += other.mmio;
        self.control += other.control;
        self.interrupted += other.interrupted;
    }
}

/// Ranges the host refused, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// Zero length, or no whole page inside.
    pub empty: u64,
    /// The end is beyond the address space.
    pub wraps: u64,
    /// Not, or not wholly, in guest memory.
    pub outside: u64,
    /// A descriptor the device may not write.
    pub read_only: u64,
    /// An indirect descriptor, which was not negotiated.
    pub indirect: u64,
    /// A chain that loops, leaves the table or is longer than the ring.
    pub broken_chain: u64,
    /// A call with no such operation, more ranges than a page holds, or its page outside memory.
    pub bad_call: u64,
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.empty
            + self.wraps
            + self.outside
            + self.read_only
            + self.indirect
            + self.broken_chain
            + self.bad_call
    }

    /// Adds another count, reason by reason.
    pub const fn add(&mut self, other: &Self) {
        self.empty += other.empty;
        self.wraps += other.wraps;
        self.outside += other.outside;
        self.read_only += other.read_only;
        self.indirect += other.indirect;
        self.broken_chain += other.broken_chain;
        self.bad_call += other.bad_call;
    }
}

/// What the kernel said about residency, around reports made for this purpose. Pages, summed over the proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Proof {
    /// How often it was looked at.
    pub proofs: u64,
    /// Pages reported in those reports.
    pub reported: u64,
    /// Of these, resident (or swapped) before.
    pub resident_before: u64,
    /// Of these, gone afterwards.
    pub freed: u64,
    /// Pages not reported that were gone: must be 0.
    pub lost: u64,
}

/// What a trial showed in the end. Counts cover the measured part only, unless they say otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The instruction the guest used.
    pub bell: Bell,
    /// The mode the guest ran in.
    pub guest_ring: GuestRing,
    /// What the time stamp counter counts.
    pub counter: Counter,
    /// Frequency of the time stamp counter in kHz, as KVM states it. It says nothing where the counter counts
    /// instructions.
    pub tsc_khz: u32,
    /// Guest minus host time stamp counter, as KVM states it.
    pub tsc_offset: i64,
    /// Reports measured.
    pub reports: u64,
    /// Ranges in them.
    pub ranges: u64,
    /// Calls they took.
    pub calls: u64,
    /// Reports whose stamps were not in order: must be 0, or the clocks do not agree.
    pub disordered: u64,
    /// Exits by our count.
    pub exits: Exits,
    /// Change of KVM's own statistics over the measured part, by KVM's names; empty where it has none.
    pub kvm_stats: Vec<(String, u64)>,
    /// `madvise` calls made for reports.
    pub madvise_calls: u64,
    /// Pages in them.
    pub discarded_pages: u64,
    /// `madvise` calls that failed.
    pub madvise_failures: u64,
    /// Ranges refused, in the whole trial.
    pub refused: Refused,
    /// Fingerprint of the pages the guest reported, in the whole trial ([`abi::digest`]).
    pub reported_digest: u64,
    /// Fingerprint of the pages the host took, in the whole trial; equal to the guest's or something is wrong.
    pub taken_digest: u64,
    /// What the kernel said.
    pub proof: Proof,
    /// Pages whose contents the guest checked, in the whole trial.
    pub checked_pages: u64,
    /// What the guest found wrong, in the whole trial; empty is right.
    pub violations: Vec<(Violation, u64)>,
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
    /// The whole trial, in nanoseconds; `None` as above.
    pub elapsed_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that KVM answers itself.
    const IN_KERNEL: TrialSpec = TrialSpec {
        carrier: Carrier::Empty,
        doorbell: Doorbell::HypercallKernel,
        servicer: Servicer::Kernel,
        completion: Completion::Return,
        discard: Discard::None,
        coalesce: Coalesce::Each,
        backing: Backing::Anon,
        guest_ring: RingChoice::Auto,
        workload: Workload::Random,
        order: Order::HUGE,
        batch: 32,
        arena: None,
        warmup: 0,
        reports: 1,
        seed: 1,
    };

    fn refusal(spec: &TrialSpec) -> String {
        spec.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_call_that_kvm_answers_goes_with_one_transport_from_ring_0() {
        for guest_ring in [RingChoice::Auto, RingChoice::Zero] {
            TrialSpec { guest_ring, ..IN_KERNEL }.validate().unwrap();
        }
        for servicer in [Servicer::Vcpu, Servicer::Device] {
            assert!(refusal(&TrialSpec { servicer, ..IN_KERNEL }).contains("--servicer kernel"));
        }
        for carrier in [Carrier::Registers, Carrier::Batch, Carrier::Ring] {
            assert!(refusal(&TrialSpec { carrier, ..IN_KERNEL }).contains("--carrier empty"));
        }
        for completion in [Completion::Poll, Completion::Interrupt] {
            assert!(refusal(&TrialSpec { completion, ..IN_KERNEL }).contains("--completion return"));
        }
        let guest_ring = RingChoice::Three;
        assert!(refusal(&TrialSpec { guest_ring, ..IN_KERNEL }).contains("--guest-ring 0"));
    }

    #[test]
    fn kvm_serves_no_other_doorbell() {
        for doorbell in Doorbell::ALL.iter().copied().filter(|bell| *bell != Doorbell::HypercallKernel) {
            let needs = doorbell.servicer();
            let spec = TrialSpec { doorbell, ..IN_KERNEL };
            assert_eq!(spec.validate(), Err(SpecError::WrongServicer { doorbell, needs }));
        }
    }

    #[test]
    fn only_what_user_space_serves_is_stamped() {
        assert!(!IN_KERNEL.is_stamped());
        let port = TrialSpec { doorbell: Doorbell::Port, servicer: Servicer::Vcpu, ..IN_KERNEL };
        assert!(port.is_stamped());
        let ring = Carrier::Ring;
        let kick = TrialSpec { doorbell: Doorbell::IoeventfdMmio, servicer: Servicer::Device, ..IN_KERNEL };
        assert!(!kick.is_stamped());
        assert!(TrialSpec { carrier: ring, ..kick }.is_stamped());
    }
}
