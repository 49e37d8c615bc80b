//! The choices of an experiment that only the host has to know. The others are in [`abi::axes`].

pub use abi::axes::{Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, Workload};

/// How the host is told that ranges are waiting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Doorbell {
    /// `vmcall` or `vmmcall`, whichever the processor has: an exit to the vCPU thread.
    Hypercall,
    /// A port write: an exit to the vCPU thread.
    Port,
    /// An MMIO write: an exit to the vCPU thread.
    Mmio,
    /// A port write that KVM turns into an eventfd signal.
    IoeventfdPort,
    /// An MMIO write that KVM turns into an eventfd signal.
    IoeventfdMmio,
    /// `vmcall` or `vmmcall` with a number that KVM answers itself: an exit to KVM, none to user space.
    HypercallKernel,
}

impl Axis for Doorbell {
    const AXIS: &'static str = "doorbell";
    const ALL: &'static [Self] = &[
        Self::Hypercall,
        Self::Port,
        Self::Mmio,
        Self::IoeventfdPort,
        Self::IoeventfdMmio,
        Self::HypercallKernel,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Hypercall => "hypercall",
            Self::Port => "port",
            Self::Mmio => "mmio",
            Self::IoeventfdPort => "ioeventfd-port",
            Self::IoeventfdMmio => "ioeventfd-mmio",
            Self::HypercallKernel => "hypercall-kernel",
        }
    }
}

impl Doorbell {
    /// Whether KVM answers it itself and signals an eventfd, instead of leaving `KVM_RUN`.
    #[must_use]
    pub const fn is_ioeventfd(self) -> bool {
        matches!(self, Self::IoeventfdPort | Self::IoeventfdMmio)
    }

    /// Whether it is the hypercall instruction, which KVM takes from ring 0 only.
    #[must_use]
    pub const fn is_hypercall(self) -> bool {
        matches!(self, Self::Hypercall | Self::HypercallKernel)
    }

    /// The one servicer it has.
    #[must_use]
    pub const fn servicer(self) -> Servicer {
        match self {
            Self::Hypercall | Self::Port | Self::Mmio => Servicer::Vcpu,
            Self::IoeventfdPort | Self::IoeventfdMmio => Servicer::Device,
            Self::HypercallKernel => Servicer::Kernel,
        }
    }
}

/// Who acts on a report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Servicer {
    /// The vCPU's own thread, between two `KVM_RUN`s.
    Vcpu,
    /// A thread of the device, woken by an eventfd.
    Device,
    /// KVM itself, inside the kernel: user space never hears of it.
    Kernel,
}

impl Axis for Servicer {
    const AXIS: &'static str = "servicer";
    const ALL: &'static [Self] = &[Self::Vcpu, Self::Device, Self::Kernel];

    fn name(self) -> &'static str {
        match self {
            Self::Vcpu => "vcpu",
            Self::Device => "device",
            Self::Kernel => "kernel",
        }
    }
}

/// What the host does with a reported range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Discard {
    /// Nothing: the transport alone.
    None,
    /// `madvise(MADV_DONTNEED)`.
    DontNeed,
}

impl Axis for Discard {
    const AXIS: &'static str = "discard";
    const ALL: &'static [Self] = &[Self::None, Self::DontNeed];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DontNeed => "dontneed",
        }
    }
}

/// What one discard covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Coalesce {
    /// Each range by itself, as most monitors do.
    Each,
    /// Ranges sorted, adjacent and overlapping ones merged.
    Merged,
}

impl Axis for Coalesce {
    const AXIS: &'static str = "coalesce";
    const ALL: &'static [Self] = &[Self::Each, Self::Merged];

    fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Merged => "merged",
        }
    }
}

/// What guest memory is made of on the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Backing {
    /// Private anonymous memory in 4 KiB pages (`MADV_NOHUGEPAGE`).
    Anon,
    /// Private anonymous memory with transparent huge pages (`MADV_HUGEPAGE`).
    AnonThp,
}

impl Axis for Backing {
    const AXIS: &'static str = "backing";
    const ALL: &'static [Self] = &[Self::Anon, Self::AnonThp];

    fn name(self) -> &'static str {
        match self {
            Self::Anon => "anon",
            Self::AnonThp => "anon-thp",
        }
    }
}

/// Which mode the payload is asked to run in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum RingChoice {
    /// Ring 3 where KVM emulates ring 0 and the doorbell allows it, else ring 0.
    #[default]
    Auto,
    /// Ring 0.
    Zero,
    /// Ring 3.
    Three,
}

impl Axis for RingChoice {
    const AXIS: &'static str = "guest-ring";
    const ALL: &'static [Self] = &[Self::Auto, Self::Zero, Self::Three];

    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Zero => "0",
            Self::Three => "3",
        }
    }
}
