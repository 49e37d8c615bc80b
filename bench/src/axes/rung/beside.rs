//! The rungs beside the ladder: each like one of its own but for an axis, or two that go together.

use host::axes::{Carrier, Doorbell, RingFeatures, Servicer};

use super::name::Rung;
use super::transport::Change;

/// A rung beside the ladder.
pub(super) struct Beside {
    pub(super) rung: Rung,
    /// The rung of the ladder that it is like, but for the changes.
    pub(super) like: Rung,
    pub(super) changes: &'static [Change],
    /// What they add or save, as the subject of a sentence.
    pub(super) cause: &'static str,
    /// It in a line.
    pub(super) meaning: &'static str,
}

/// Every one of them, in the order of their names.
pub(super) const BESIDE: &[Beside] = &[
    packed(Rung::PackedHypercall, Rung::RingHypercall, "ring-hypercall, the ring a packed one"),
    packed(Rung::PackedSync, Rung::RingSync, "ring-sync, the ring a packed one"),
    packed(Rung::PackedAsync, Rung::RingAsync, "ring-async, the ring a packed one"),
    packed(Rung::PackedVirtioPolled, Rung::VirtioPolled, "virtio-polled, the ring a packed one"),
    packed(Rung::PackedVirtio, Rung::Virtio, "virtio, the ring a packed one"),
    Beside {
        rung: Rung::Log,
        like: Rung::HypercallBatch,
        changes: &[Change::Carrier(Carrier::Log)],
        cause: "gathering reports in a log until it is full",
        meaning: "hypercall-batch, the page a log of 511 states that many reports fill",
    },
    Beside {
        rung: Rung::CoalescedPort,
        like: Rung::HypercallEach,
        changes: &[Change::Carrier(Carrier::Store), Change::Doorbell(Doorbell::CoalescedPort)],
        cause: "a port write that KVM queues instead of a call",
        meaning: "hypercall-each, the call a port write that KVM queues in the kernel",
    },
    Beside {
        rung: Rung::CoalescedMmio,
        like: Rung::HypercallEach,
        changes: &[Change::Carrier(Carrier::Store), Change::Doorbell(Doorbell::CoalescedMmio)],
        cause: "an MMIO write that KVM queues instead of a call",
        meaning: "hypercall-each, the call an MMIO write that KVM queues in the kernel",
    },
    Beside {
        rung: Rung::VirtioIndirect,
        like: Rung::Virtio,
        changes: &[Change::RingFeatures(RingFeatures { indirect: true, ..RingFeatures::NONE })],
        cause: "a table that one descriptor points to",
        meaning: "virtio, the ranges in an indirect table",
    },
    Beside {
        rung: Rung::VirtioEventIdx,
        like: Rung::Virtio,
        changes: &[Change::RingFeatures(RingFeatures { event_idx: true, ..RingFeatures::NONE })],
        cause: "event indices instead of flags",
        meaning: "virtio, each side told by the other's event index",
    },
    Beside {
        rung: Rung::PollingAsync,
        like: Rung::RingAsync,
        changes: POLLING,
        cause: POLLING_CAUSE,
        meaning: "ring-async, the device's thread polling the ring and told of nothing",
    },
    Beside {
        rung: Rung::PollingVirtio,
        like: Rung::Virtio,
        changes: POLLING,
        cause: POLLING_CAUSE,
        meaning: "virtio, the device's thread polling the ring and told of nothing",
    },
    Beside {
        rung: Rung::Request,
        like: Rung::HypercallEach,
        changes: &[Change::Carrier(Carrier::Request)],
        cause: "a request page instead of registers",
        meaning: "hypercall-each, the range in a request page that is answered in place",
    },
    Beside {
        rung: Rung::Status,
        like: Rung::HypercallBatch,
        changes: &[Change::Carrier(Carrier::Status)],
        cause: "a status for every entry",
        meaning: "hypercall-batch, every entry of the page answered by itself",
    },
    Beside {
        rung: Rung::Inflate,
        like: Rung::RingSync,
        changes: &[Change::Carrier(Carrier::Inflate)],
        cause: FRAMES,
        meaning: "ring-sync, by the inflate and deflate queues of the balloon",
    },
    Beside {
        rung: Rung::InflateVirtio,
        like: Rung::Virtio,
        changes: &[Change::Carrier(Carrier::Inflate)],
        cause: FRAMES,
        meaning: "virtio, by the inflate and deflate queues: a balloon as it was before there was reporting",
    },
    Beside {
        rung: Rung::CallAndRing,
        like: Rung::RingHypercall,
        changes: &[Change::Carrier(Carrier::CallAndRing)],
        cause: "a call a range before the ring",
        meaning: "ring-hypercall, each range announced by a call of its own before",
    },
    Beside {
        rung: Rung::VirtioAnyLength,
        like: Rung::Virtio,
        changes: &[Change::Doorbell(Doorbell::IoeventfdMmioAny)],
        cause: "a kick that KVM knows by its address alone",
        meaning: "virtio, its kick known by the address alone (on VMX no look at the instruction)",
    },
    xen(Rung::XenEach, Rung::HypercallEach, "hypercall-each, by Xen's convention"),
    xen(Rung::XenBatch, Rung::HypercallBatch, "hypercall-batch, by Xen's convention"),
    Beside {
        rung: Rung::HeatHint,
        like: Rung::HypercallBatch,
        // One call of Hyper-V's has one format. Two axes, one choice.
        changes: &[Change::Doorbell(Doorbell::HypervHypercall), Change::Carrier(Carrier::HeatHint)],
        cause: "Hyper-V's call and format",
        meaning: "hypercall-batch, by Hyper-V's memory heat hint",
    },
    Beside {
        rung: Rung::HypercallInKernel,
        like: Rung::HypercallBatch,
        // A call's number is who serves it. Two axes, one choice.
        changes: &[Change::Doorbell(Doorbell::HypercallModule), Change::Servicer(Servicer::Kernel)],
        cause: "serving inside KVM",
        meaning: "hypercall-batch, served inside KVM by the module kvmhint (only where it is loaded)",
    },
    Beside {
        rung: Rung::VirtioVhost,
        like: Rung::Virtio,
        changes: &[Change::Servicer(Servicer::Vhost)],
        cause: "a vhost worker in the kernel instead of the device's thread",
        meaning: "virtio, served by a vhost worker of the module vhost-pagehint (only where it is loaded)",
    },
];

/// What the classic queues add or save.
const FRAMES: &str = "lists of frames in the inflate queue";

const fn packed(rung: Rung, like: Rung, meaning: &'static str) -> Beside {
    let cause = "the packed format instead of the split one";
    Beside { rung, like, changes: &[Change::Carrier(Carrier::PackedRing)], cause, meaning }
}

const fn xen(rung: Rung, like: Rung, meaning: &'static str) -> Beside {
    let changes = &[Change::Doorbell(Doorbell::XenHypercall)];
    Beside { rung, like, changes, cause: "Xen's convention instead of KVM's", meaning }
}

/// Who polls is told of nothing, and where nothing rings somebody has to poll: two axes, one choice.
const POLLING: &[Change] = &[Change::Doorbell(Doorbell::None), Change::Servicer(Servicer::Polling)];
const POLLING_CAUSE: &str = "a thread that polls the ring instead of one that is woken";
