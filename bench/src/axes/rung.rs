//! The ladder: named transports, each made of the one before by changing one axis; and beside it, others that are like
//! one of its rungs but for one axis.
//!
//! The table of steps in this file is the experiment's design; the table of those beside it is in `beside`. Everything
//! else - presets, plans, the waterfall - follows from them.

use abi::addr::Order;
use abi::axes::Axis;
use abi::wire::frames;
use host::axes::{Carrier, Completion, Doorbell, HaltPoll, RingFeatures, Servicer};
use host::probe::Facts;

use super::named::Named;

mod beside;
mod name;
mod transport;

pub use name::Rung;
pub use transport::Transport;

use beside::{BESIDE, Beside};
use transport::Change;

/// What a transport is called that is a rung, or none.
#[must_use]
pub fn label(rung: Option<Named<Rung>>) -> String {
    rung.map_or_else(|| "custom".to_owned(), |rung| rung.to_string())
}

/// From one rung to the next.
struct Step {
    to: Rung,
    changes: &'static [Change],
    /// What the step adds or saves, as the subject of a sentence.
    cause: &'static str,
    /// The rung in a line.
    meaning: &'static str,
}

const IN_KERNEL: Transport = Transport {
    carrier: Carrier::Empty,
    ring_features: RingFeatures::NONE,
    doorbell: Doorbell::HypercallKernel,
    servicer: Servicer::Kernel,
    completion: Completion::Return,
    halt_poll: HaltPoll::Host,
};

const IN_KERNEL_MEANING: &str =
    "an empty call that KVM answers itself: no exit to user space (only where KVM answers it)";

const STEPS: &[Step] = &[
    Step {
        // Which number a call has is who serves it: KVM answers one itself and leaves the other to user space.
        // Two axes, one choice.
        to: Rung::Floor,
        changes: &[Change::Doorbell(Doorbell::Hypercall), Change::Servicer(Servicer::Vcpu)],
        cause: "leaving the kernel",
        meaning: "an empty doorbell: what an exit costs here",
    },
    Step {
        to: Rung::HypercallEach,
        changes: &[Change::Carrier(Carrier::Registers)],
        cause: "naming a range in registers",
        meaning: "one call a range, the range in registers",
    },
    Step {
        to: Rung::HypercallBatch,
        changes: &[Change::Carrier(Carrier::Batch)],
        cause: "coalescing exits (one call a batch)",
        meaning: "one call a batch, the ranges in a page",
    },
    Step {
        to: Rung::RingHypercall,
        changes: &[Change::Carrier(Carrier::Ring)],
        cause: "the ring format",
        meaning: "one call a batch, the ranges in a split ring",
    },
    Step {
        to: Rung::RingSync,
        changes: &[Change::Doorbell(Doorbell::Mmio)],
        cause: "virtio's notify register instead of the call",
        meaning: "the ring, told by virtio-mmio's notify register, served by the vCPU's thread",
    },
    Step {
        // KVM swallows the exit of an ioeventfd, so the vCPU's thread never hears of it: another thread has
        // to serve the ring, and the doorbell no longer returns with the answer. Three axes, one choice.
        to: Rung::RingAsync,
        changes: &[
            Change::Doorbell(Doorbell::IoeventfdMmio),
            Change::Servicer(Servicer::Device),
            Change::Completion(Completion::Poll),
        ],
        cause: "a device thread instead of the vCPU's",
        meaning: "the ring, told by ioeventfd, served by a device thread, the used ring polled",
    },
    Step {
        // Before the one that sleeps: the guest spins no more, and KVM does it in its place. Only the next step takes the
        // spinning away, so that each changes one axis, and the ladder ends where nobody spins.
        to: Rung::VirtioPolled,
        changes: &[Change::Completion(Completion::Interrupt)],
        cause: "the interrupt, which KVM spins for, instead of polling",
        meaning: "the same with an interrupt: virtio as Linux and its monitors wire it, KVM spinning as the host has it",
    },
    Step {
        to: Rung::Virtio,
        changes: &[Change::HaltPoll(HaltPoll::Never)],
        cause: "a vCPU that really sleeps",
        meaning: "the same to a vCPU that sleeps as soon as it halts",
    },
];

/// With what the hypercall presets, from the floor on, call their host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallBy {
    /// The hypercall instruction.
    Hypercall,
    /// A port write, because the hypercall does not reach this host's user space.
    Port,
}

impl CallBy {
    /// The hypercall if it answers on this host, else the port.
    #[must_use]
    pub fn on(facts: &Facts) -> Self {
        if facts.answers(Doorbell::Hypercall) { Self::Hypercall } else { Self::Port }
    }

    /// What every table of such a run says, if anything.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Hypercall => None,
            Self::Port => Some(
                "hypercalls do not reach user space on this host: floor and the hypercall rungs call by a port write instead",
            ),
        }
    }
}

impl Rung {
    /// The ladder, in order: what is run unasked, where the host can.
    pub const LADDER: &'static [Self] = Self::ALL.split_at(Self::Virtio as usize + 1).0;
    /// Those beside it, which are run if they are asked for.
    pub const BESIDE: &'static [Self] = Self::ALL.split_at(Self::Virtio as usize + 1).1;

    /// The transport this rung names, where calls are made by `call`.
    #[must_use]
    pub fn transport(self, call: CallBy) -> Transport {
        if let Some(beside) = self.beside() {
            let like = beside.like.transport(call);
            return beside.changes.iter().fold(like, |transport, change| transport.with(*change));
        }
        let here = STEPS
            .iter()
            .take_while(|step| step.to <= self)
            .flat_map(|step| step.changes)
            .fold(IN_KERNEL, |transport, change| transport.with(*change));
        match (here.doorbell, call) {
            (Doorbell::Hypercall, CallBy::Port) => here.with(Change::Doorbell(Doorbell::Port)),
            _ => here,
        }
    }

    /// The rung in a line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self.beside() {
            Some(beside) => beside.meaning,
            None => self.step().map_or(IN_KERNEL_MEANING, |step| step.meaning),
        }
    }

    /// What the step from the rung before to this one adds or saves, as the subject of a sentence.
    #[must_use]
    pub fn cause(self) -> Option<&'static str> {
        self.beside().map(|beside| beside.cause).or_else(|| self.step().map(|step| step.cause))
    }

    /// The rung before; beside the ladder the one it is like.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        if let Some(beside) = self.beside() {
            return Some(beside.like);
        }
        Self::LADDER.iter().copied().rev().find(|rung| *rung < self)
    }

    /// Exits to user space the design says a report of `batch` ranges of this order takes, with those by which its pages
    /// are taken back; `None` where there is one when the carrier
    /// is full, whoever's report that is.
    #[must_use]
    pub fn exits_a_report(self, batch: u16, order: Order) -> Option<u64> {
        Some(match self {
            Self::HypercallEach | Self::XenEach | Self::Request => u64::from(batch),
            Self::Floor | Self::HypercallBatch | Self::RingHypercall | Self::RingSync => 1,
            Self::HypercallInKernel | Self::VirtioVhost => 0,
            Self::InKernel | Self::RingAsync | Self::VirtioPolled | Self::Virtio => 0,
            Self::PackedHypercall | Self::PackedSync | Self::Status => 1,
            Self::XenBatch | Self::HeatHint => 1,
            Self::PackedAsync | Self::PackedVirtioPolled | Self::PackedVirtio => 0,
            Self::Inflate => 2 * frames::lists(batch.into(), order),
            Self::CallAndRing => u64::from(batch) + 1,
            Self::InflateVirtio | Self::VirtioAnyLength => 0,
            Self::Log | Self::CoalescedPort | Self::CoalescedMmio => return None,
            Self::VirtioIndirect | Self::VirtioEventIdx => 0,
            Self::PollingAsync | Self::PollingVirtio => 0,
        })
    }

    /// Whether reports of this rung name pages at all.
    #[must_use]
    pub fn names_pages(self) -> bool {
        !matches!(self, Self::InKernel | Self::Floor)
    }

    /// Ranges that a report of `batch` ranges stands for: the one doorbell of a rung that names no pages stands
    /// for one range, as each of `hypercall-each`'s does.
    #[must_use]
    pub fn ranges_a_report(self, batch: u16) -> u16 {
        if self.names_pages() { batch } else { 1 }
    }

    /// The rung whose transport this is, however it calls.
    #[must_use]
    pub fn of(transport: Transport) -> Option<Self> {
        Self::ALL.iter().copied().find(|rung| {
            [CallBy::Hypercall, CallBy::Port].into_iter().any(|call| rung.transport(call) == transport)
        })
    }

    fn step(self) -> Option<&'static Step> {
        STEPS.iter().find(|step| step.to == self)
    }

    fn beside(self) -> Option<&'static Beside> {
        BESIDE.iter().find(|beside| beside.rung == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::axes::Way;

    /// How many axes differ.
    fn distance(a: Transport, b: Transport) -> usize {
        [
            a.carrier != b.carrier,
            a.ring_features != b.ring_features,
            a.doorbell != b.doorbell,
            a.servicer != b.servicer,
            a.completion != b.completion,
            a.halt_poll != b.halt_poll,
        ]
        .into_iter()
        .filter(|differs| *differs)
        .count()
    }

    #[test]
    fn each_rung_changes_one_axis_of_the_one_before() {
        for call in [CallBy::Hypercall, CallBy::Port] {
            for pair in Rung::LADDER.windows(2) {
                let [before, after] = [pair[0].transport(call), pair[1].transport(call)];
                // The steps that cannot be cut smaller: a call's number implies who serves it; an eventfd
                // implies the device thread, and the device thread implies that the guest looks for the answer.
                let expected = match pair[1] {
                    Rung::Floor => 2,
                    Rung::RingAsync => 3,
                    _ => 1,
                };
                assert_eq!(distance(before, after), expected, "{} -> {}", pair[0].name(), pair[1].name());
            }
        }
    }

    #[test]
    fn every_change_of_a_step_changes_something() {
        let mut here = IN_KERNEL;
        for step in STEPS {
            for change in step.changes {
                assert_ne!(here.with(*change), here, "{:?} of {}", change, step.to.name());
            }
            here = step.changes.iter().fold(here, |transport, change| transport.with(*change));
        }
        assert_eq!(STEPS.iter().map(|step| step.to).collect::<Vec<_>>(), Rung::LADDER[1..]);
    }

    #[test]
    fn a_rung_beside_the_ladder_is_like_its_own_but_for_what_it_says() {
        assert_eq!(BESIDE.iter().map(|beside| beside.rung).collect::<Vec<_>>(), Rung::BESIDE);
        for rung in Rung::BESIDE.iter().copied() {
            let like = rung.before().unwrap();
            assert!(Rung::LADDER.contains(&like));
            let exits = |rung: Rung| rung.exits_a_report(32, Order::PAGE);
            let more = match rung {
                Rung::Inflate => 1,
                Rung::CallAndRing => 32,
                // The one there is.
                Rung::HypercallInKernel => -1,
                _ => 0,
            };
            let expected = exits(like).and_then(|exits| exits.checked_add_signed(more));
            assert!(exits(rung).is_none_or(|exits| Some(exits) == expected), "{}", rung.name());
            let changes = rung.beside().unwrap().changes.len();
            for call in [CallBy::Hypercall, CallBy::Port] {
                assert_eq!(distance(rung.transport(call), like.transport(call)), changes, "{}", rung.name());
                assert!(is_allowed(rung.transport(call)));
            }
        }
    }

    fn is_allowed(transport: Transport) -> bool {
        let Transport { carrier, ring_features, doorbell, servicer, completion, halt_poll } = transport;
        Way { ring_features, servicer, halt_poll, ..Way::plain(carrier, doorbell, completion) }
            .validate()
            .is_ok()
    }

    // If one of the halves below ever becomes valid, the ladder should get a rung for it.

    #[test]
    fn the_kernel_cannot_be_left_by_halves() {
        let in_kernel = Rung::InKernel.transport(CallBy::Hypercall);
        assert!(is_allowed(in_kernel));
        assert!(!is_allowed(in_kernel.with(Change::Servicer(Servicer::Vcpu))));
        assert!(!is_allowed(in_kernel.with(Change::Doorbell(Doorbell::Hypercall))));
    }

    #[test]
    fn how_the_host_is_called_changes_nothing_inside_the_kernel() {
        assert_eq!(Rung::InKernel.transport(CallBy::Port), Rung::InKernel.transport(CallBy::Hypercall));
    }

    #[test]
    fn the_device_thread_cannot_be_split_off() {
        let sync = Rung::RingSync.transport(CallBy::Hypercall);
        assert!(!is_allowed(sync.with(Change::Servicer(Servicer::Device))));
        assert!(!is_allowed(sync.with(Change::Doorbell(Doorbell::IoeventfdMmio))));
        let half =
            sync.with(Change::Doorbell(Doorbell::IoeventfdMmio)).with(Change::Servicer(Servicer::Device));
        assert!(!is_allowed(half));
    }

    #[test]
    fn a_transport_knows_its_rung() {
        for rung in Rung::ALL {
            assert_eq!(Rung::of(rung.transport(CallBy::Port)), Some(*rung));
            assert_eq!(Rung::of(rung.transport(CallBy::Hypercall)), Some(*rung));
        }
        let odd = Transport { doorbell: Doorbell::Mmio, ..Rung::HypercallEach.transport(CallBy::Hypercall) };
        assert_eq!(Rung::of(odd), None);
    }
}
