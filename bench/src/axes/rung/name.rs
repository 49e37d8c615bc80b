//! What the rungs are called.

use abi::axes::Axis;

/// A rung of the ladder, in order; then those beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rung {
    /// An empty call that KVM answers itself: what a hypercall served inside the kernel would cost at least.
    InKernel,
    /// An empty doorbell: what an exit costs here.
    Floor,
    /// One hypercall a range.
    HypercallEach,
    /// One hypercall a batch, ranges in a page.
    HypercallBatch,
    /// One hypercall a batch, ranges in a split ring.
    RingHypercall,
    /// The ring, told by virtio-mmio's notify register.
    RingSync,
    /// The ring, told by an eventfd to another thread.
    RingAsync,
    /// The ring as Linux and its monitors wire it today, to a guest that is back before KVM has put it to sleep.
    VirtioPolled,
    /// The same to a guest that really sleeps.
    Virtio,
    /// [`Rung::RingHypercall`] over a packed ring.
    PackedHypercall,
    /// [`Rung::RingSync`] over a packed ring.
    PackedSync,
    /// [`Rung::RingAsync`] over a packed ring.
    PackedAsync,
    /// [`Rung::VirtioPolled`] over a packed ring.
    PackedVirtioPolled,
    /// [`Rung::Virtio`] over a packed ring.
    PackedVirtio,
    /// [`Rung::HypercallBatch`], the page a log that many reports fill.
    Log,
    /// One port write a range, which KVM queues.
    CoalescedPort,
    /// One MMIO write a range, which KVM queues.
    CoalescedMmio,
    /// [`Rung::Virtio`] with indirect tables.
    VirtioIndirect,
    /// [`Rung::Virtio`] with event indices.
    VirtioEventIdx,
    /// [`Rung::RingAsync`] whose thread polls the ring, and is told of nothing.
    PollingAsync,
    /// [`Rung::Virtio`] whose thread does.
    PollingVirtio,
    /// [`Rung::HypercallEach`] with the range in a request page.
    Request,
    /// [`Rung::HypercallBatch`] with a status an entry.
    Status,
    /// [`Rung::RingSync`] with the inflate and deflate queues.
    Inflate,
    /// [`Rung::Virtio`] with the inflate and deflate queues.
    InflateVirtio,
    /// [`Rung::RingHypercall`] with a call a range before.
    CallAndRing,
    /// [`Rung::Virtio`] with kicks that KVM knows by their address alone.
    VirtioAnyLength,
    /// [`Rung::HypercallEach`] by Xen's convention.
    XenEach,
    /// [`Rung::HypercallBatch`] by Xen's convention.
    XenBatch,
    /// [`Rung::HypercallBatch`] by Hyper-V's call for it.
    HeatHint,
    /// [`Rung::HypercallBatch`], served inside KVM by a module.
    HypercallInKernel,
    /// [`Rung::Virtio`], served by a vhost worker.
    VirtioVhost,
}

impl Axis for Rung {
    const AXIS: &'static str = "rung";
    const ALL: &'static [Self] = &[
        Self::InKernel,
        Self::Floor,
        Self::HypercallEach,
        Self::HypercallBatch,
        Self::RingHypercall,
        Self::RingSync,
        Self::RingAsync,
        Self::VirtioPolled,
        Self::Virtio,
        Self::PackedHypercall,
        Self::PackedSync,
        Self::PackedAsync,
        Self::PackedVirtioPolled,
        Self::PackedVirtio,
        Self::Log,
        Self::CoalescedPort,
        Self::CoalescedMmio,
        Self::VirtioIndirect,
        Self::VirtioEventIdx,
        Self::PollingAsync,
        Self::PollingVirtio,
        Self::Request,
        Self::Status,
        Self::Inflate,
        Self::InflateVirtio,
        Self::CallAndRing,
        Self::VirtioAnyLength,
        Self::XenEach,
        Self::XenBatch,
        Self::HeatHint,
        Self::HypercallInKernel,
        Self::VirtioVhost,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::InKernel => "in-kernel",
            Self::Floor => "floor",
            Self::HypercallEach => "hypercall-each",
            Self::HypercallBatch => "hypercall-batch",
            Self::RingHypercall => "ring-hypercall",
            Self::RingSync => "ring-sync",
            Self::RingAsync => "ring-async",
            Self::VirtioPolled => "virtio-polled",
            Self::Virtio => "virtio",
            Self::PackedHypercall => "packed-hypercall",
            Self::PackedSync => "packed-sync",
            Self::PackedAsync => "packed-async",
            Self::PackedVirtioPolled => "packed-virtio-polled",
            Self::PackedVirtio => "packed-virtio",
            Self::Log => "log",
            Self::CoalescedPort => "coalesced-port",
            Self::CoalescedMmio => "coalesced-mmio",
            Self::VirtioIndirect => "virtio-indirect",
            Self::VirtioEventIdx => "virtio-event-idx",
            Self::PollingAsync => "polling-async",
            Self::PollingVirtio => "polling-virtio",
            Self::Request => "request",
            Self::Status => "status",
            Self::Inflate => "inflate",
            Self::InflateVirtio => "inflate-virtio",
            Self::CallAndRing => "call-and-ring",
            Self::VirtioAnyLength => "virtio-any-length",
            Self::XenEach => "xen-each",
            Self::XenBatch => "xen-batch",
            Self::HeatHint => "heat-hint",
            Self::HypercallInKernel => "hypercall-in-kernel",
            Self::VirtioVhost => "virtio-vhost",
        }
    }
}
