//! Why there is no machine, and why a processor stopped.

use abi::addr::Gpa;

use super::boot::BootError;
use super::image::ImageError;
use super::open::KvmError;
use crate::memory::RamError;

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No usable KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// No memory.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// No payload.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No processor state.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// This KVM does not do what it is to do for a machine.
    #[error("KVM_ENABLE_CAP of {capability}: {source}; use {instead}")]
    Capability {
        /// By KVM's name.
        capability: &'static str,
        /// What it said.
        source: kvm_ioctls::Error,
        /// What does without.
        instead: &'static str,
    },
    /// This KVM exits at every write.
    #[error("this KVM has no {capability} and queues no such writes of a guest: use --doorbell port or mmio")]
    NoCoalescing {
        /// By KVM's name.
        capability: &'static str,
    },
    /// This KVM leaves no calls of Xen's to us.
    #[error(
        "this KVM leaves no Xen hypercalls to user space (KVM_XEN_HVM_CONFIG: {source}; it needs CONFIG_KVM_XEN, Linux 5.12)"
    )]
    NoXen {
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// This KVM knows nothing of Hyper-V.
    #[error("this KVM has no Hyper-V (KVM_CAP_HYPERV; it needs CONFIG_KVM_HYPERV)")]
    NoHyperv,
    /// This KVM does not take a processor of Hyper-V's.
    #[error("the guest cannot be one of Hyper-V's: KVM_SET_CPUID2: {source}")]
    HypervCpuid {
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// This KVM polls for machines as it likes.
    #[error(
        "this KVM has no KVM_CAP_HALT_POLL (Linux 5.5), and spins for halted processors as its module says: use --halt-poll host"
    )]
    NoHaltPoll,
    /// This KVM knows no ioeventfd by its address alone.
    #[error("this KVM has no KVM_CAP_IOEVENTFD_ANY_LENGTH (Linux 4.4): use --doorbell ioeventfd-mmio")]
    NoAnyLength,
}

/// Why the vCPU stopped running.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The guest faulted with no handler, or asked for a shutdown.
    #[error("the guest shut down (triple fault) at rip {rip:#x}")]
    TripleFault {
        /// Where.
        rip: u64,
    },
    /// KVM gave up on the guest.
    #[error("KVM gave up on the guest at rip {rip:#x}: internal error {suberror}{hint}")]
    Internal {
        /// Where.
        rip: u64,
        /// KVM's reason (`KVM_INTERNAL_ERROR_*`).
        suberror: u32,
        /// What to try.
        hint: &'static str,
    },
    /// The guest wrote to a port nobody listens on.
    #[error("the guest wrote {bytes} bytes to port {port:#x}, where there is nothing, at rip {rip:#x}")]
    Port {
        /// The port.
        port: u16,
        /// How much.
        bytes: usize,
        /// Where.
        rip: u64,
    },
    /// The guest accessed an address with neither memory nor a device.
    #[error("the guest accessed {gpa}, where there is nothing, at rip {rip:#x}")]
    Address {
        /// The address.
        gpa: Gpa,
        /// Where.
        rip: u64,
    },
    /// The guest said something on the control port that is no word of it.
    #[error("the guest said {value:#x} on the control port, which means nothing, at rip {rip:#x}")]
    Control {
        /// The value.
        value: u32,
        /// Where.
        rip: u64,
    },
    /// Any other exit.
    #[error("unexpected exit {reason} at rip {rip:#x}")]
    Unexpected {
        /// KVM's reason, by name.
        reason: String,
        /// Where.
        rip: u64,
    },
    /// No exit and no progress for as long as the guest was given.
    #[error("the guest made no progress within its deadline; it was at rip {rip:#x}")]
    Deadline {
        /// Where.
        rip: u64,
    },
    /// The same of a processor that had given itself away and was not what was waited for, unless all were.
    #[error("the guest made no progress within its deadline; its processors wait for one another")]
    Waiting,
    /// Another virtual processor gave up; it has the reason.
    #[error("another virtual processor gave up")]
    Sibling,
    /// Somebody wanted to stop.
    #[error("stopped before the end")]
    Stopped,
    /// The guest waits to take a queue away, and a chain of it is in hand for as long as the guest was given.
    #[error(
        "the guest takes its queue away and waits for a chain that the device has in hand, which it has not given back within the deadline"
    )]
    InHand,
    /// The device thread gave up; it has the reason.
    #[error("the device thread gave up")]
    Device,
    /// KVM starts threads of its own in a machine's first `KVM_RUN` (Linux 6.14, for huge pages of the guest's).
    #[error(
        "KVM_RUN failed: {source}: KVM starts a thread for every machine and may not have one more; raise the limit that is reached: pids.max of the cgroup, `ulimit -u`, or /proc/sys/kernel/threads-max"
    )]
    NoThread {
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// `KVM_RUN` itself failed.
    #[error("KVM_RUN failed at rip {rip:#x}: {source}")]
    Run {
        /// Where.
        rip: u64,
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// Guest memory that must be there is not.
    #[error(transparent)]
    Ram(#[from] RamError),
}
