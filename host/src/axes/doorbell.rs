//! How the host is told that ranges are waiting, and who acts then.

use abi::axes::{Axis, Bell, Carrier};

/// The module in KVM.
pub const KVMHINT: &str = "kvmhint";
/// The module that serves a ring by a vhost worker.
pub const VHOST_PAGEHINT: &str = "vhost_pagehint";

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
    /// The same by its address alone, whatever is written and however wide (`KVM_CAP_IOEVENTFD_ANY_LENGTH`, Linux 4.4): on
    /// VMX the exit needs no look at the instruction then (`KVM_FAST_MMIO_BUS`).
    IoeventfdMmioAny,
    /// `vmcall` or `vmmcall` with a number that KVM answers itself: an exit to KVM, none to user space.
    HypercallKernel,
    /// A port write that KVM queues in the kernel: an exit when its queue is full.
    CoalescedPort,
    /// An MMIO write that KVM queues in the kernel.
    CoalescedMmio,
    /// Nothing: the device says that it wants to be told of nothing (`VIRTQ_USED_F_NO_NOTIFY`, virtio 1.2, 2.7.10; event
    /// suppression, 2.8.10), and looks by itself.
    None,
    /// `vmcall` or `vmmcall` with Xen's registers, in a machine that KVM takes for Xen's: an exit to the vCPU thread.
    XenHypercall,
    /// A call of Hyper-V's page of code, in a machine that KVM takes for Hyper-V's: an exit to the vCPU thread.
    HypervHypercall,
    /// `vmcall` or `vmmcall` with a number that the module kvmhint serves inside KVM (`host/kernel/kvmhint.c`): an exit to
    /// KVM, none to user space.
    HypercallModule,
}

impl Axis for Doorbell {
    const AXIS: &'static str = "doorbell";
    const ALL: &'static [Self] = &[
        Self::Hypercall,
        Self::Port,
        Self::Mmio,
        Self::IoeventfdPort,
        Self::IoeventfdMmio,
        Self::IoeventfdMmioAny,
        Self::HypercallKernel,
        Self::CoalescedPort,
        Self::CoalescedMmio,
        Self::None,
        Self::XenHypercall,
        Self::HypervHypercall,
        Self::HypercallModule,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Hypercall => "hypercall",
            Self::Port => "port",
            Self::Mmio => "mmio",
            Self::IoeventfdPort => "ioeventfd-port",
            Self::IoeventfdMmio => "ioeventfd-mmio",
            Self::IoeventfdMmioAny => "ioeventfd-mmio-any",
            Self::HypercallKernel => "hypercall-kernel",
            Self::CoalescedPort => "coalesced-port",
            Self::CoalescedMmio => "coalesced-mmio",
            Self::None => "none",
            Self::XenHypercall => "xen-hypercall",
            Self::HypervHypercall => "hyperv-hypercall",
            Self::HypercallModule => "hypercall-module",
        }
    }
}

impl Doorbell {
    /// Whether KVM answers it itself and signals an eventfd, instead of leaving `KVM_RUN`.
    #[must_use]
    pub const fn is_ioeventfd(self) -> bool {
        self.matches().is_some()
    }

    /// By what KVM knows it, if it answers it itself and signals an eventfd.
    #[must_use]
    pub const fn matches(self) -> Option<Match> {
        match self {
            Self::IoeventfdPort | Self::IoeventfdMmio => Some(Match::Number),
            Self::IoeventfdMmioAny => Some(Match::Address),
            Self::Hypercall | Self::Port | Self::Mmio | Self::HypercallKernel => None,
            Self::CoalescedPort | Self::CoalescedMmio | Self::None => None,
            Self::XenHypercall | Self::HypervHypercall | Self::HypercallModule => None,
        }
    }

    /// Whether KVM queues what is written, instead of leaving `KVM_RUN`.
    #[must_use]
    pub const fn is_coalesced(self) -> bool {
        matches!(self, Self::CoalescedPort | Self::CoalescedMmio)
    }

    /// Whether there is one.
    #[must_use]
    pub const fn rings(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether it is a hypercall that KVM takes from ring 0 only.
    #[must_use]
    pub const fn is_hypercall(self) -> bool {
        matches!(
            self,
            Self::Hypercall | Self::HypercallKernel | Self::HypervHypercall | Self::HypercallModule
        )
    }

    /// Whether it is a call by another hypervisor's convention, in a machine that is to be that one's.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::XenHypercall | Self::HypervHypercall)
    }

    /// The module of ours that serves it inside KVM, which its host's owner has to load.
    #[must_use]
    pub const fn module(self) -> Option<&'static str> {
        if matches!(self, Self::HypercallModule) { Some(KVMHINT) } else { None }
    }

    /// Whether there is one.
    #[must_use]
    pub const fn needs_module(self) -> bool {
        self.module().is_some()
    }

    /// The servicer it has if nothing else is said, which is the only one but for eventfds.
    #[must_use]
    pub const fn servicer(self) -> Servicer {
        match self {
            Self::Hypercall | Self::Port | Self::Mmio => Servicer::Vcpu,
            Self::IoeventfdPort | Self::IoeventfdMmio | Self::IoeventfdMmioAny => Servicer::Device,
            Self::HypercallKernel | Self::HypercallModule => Servicer::Kernel,
            Self::CoalescedPort | Self::CoalescedMmio => Servicer::Vcpu,
            Self::None => Servicer::Polling,
            Self::XenHypercall | Self::HypervHypercall => Servicer::Vcpu,
        }
    }

    /// The instruction that rings it, where the hypercall's is `hypercall`: a ring is kicked where its device listens, a
    /// call is made where calls are taken.
    #[must_use]
    pub const fn bell(self, carrier: Carrier, hypercall: Bell) -> Bell {
        match (self, carrier) {
            (Self::Hypercall, _) => hypercall,
            (Self::HypercallKernel, _) if matches!(hypercall, Bell::Vmmcall) => Bell::VmmcallToKernel,
            (Self::HypercallKernel, _) => Bell::VmcallToKernel,
            (Self::HypercallModule, _) if matches!(hypercall, Bell::Vmmcall) => Bell::VmmcallToModule,
            (Self::HypercallModule, _) => Bell::VmcallToModule,
            (Self::CoalescedPort, _) | (Self::Port, Carrier::Store) => Bell::StorePort,
            (Self::CoalescedMmio, _) | (Self::Mmio, Carrier::Store) => Bell::StoreMmio,
            (Self::XenHypercall, _) if matches!(hypercall, Bell::Vmmcall) => Bell::XenVmmcall,
            (Self::XenHypercall, _) => Bell::XenVmcall,
            (Self::HypervHypercall, _) => Bell::HypervCall,
            (Self::Port, _) => Bell::CallPort,
            (Self::Mmio | Self::IoeventfdMmio | Self::IoeventfdMmioAny, Carrier::Inflate) => {
                Bell::NotifyQueue
            }
            (Self::IoeventfdMmio | Self::IoeventfdMmioAny, _) => Bell::NotifyRegister,
            // One instruction has to do for the announcements and the kick.
            (Self::Mmio, Carrier::CallAndRing) => Bell::CallStore,
            (Self::Mmio, _) if carrier.is_ring() => Bell::NotifyRegister,
            (Self::Mmio, _) => Bell::CallStore,
            (Self::IoeventfdPort, _) => Bell::KickPort,
            // That of a driver which rings all the same: the exit is counted.
            (Self::None, _) => Bell::NotifyRegister,
        }
    }
}

/// By what KVM knows a doorbell that it turns into the signal of an eventfd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// The address, the width, and the number of the queue that is written.
    Number,
    /// The address alone.
    Address,
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
    /// A thread of the device that looks into the ring again and again: nobody has to wake it, and it has a processor for
    /// itself all the time.
    Polling,
    /// A worker of the host's kernel, woken by the same eventfd: the module vhost-pagehint (`host/kernel/vhost_pagehint.c`).
    Vhost,
}

impl Axis for Servicer {
    const AXIS: &'static str = "servicer";
    const ALL: &'static [Self] = &[Self::Vcpu, Self::Device, Self::Kernel, Self::Polling, Self::Vhost];

    fn name(self) -> &'static str {
        match self {
            Self::Vcpu => "vcpu",
            Self::Device => "device",
            Self::Kernel => "kernel",
            Self::Polling => "polling",
            Self::Vhost => "vhost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_kicked_where_its_device_listens_and_a_call_made_where_calls_are_taken() {
        let over = |doorbell: Doorbell, carrier| doorbell.bell(carrier, Bell::Vmmcall);
        for carrier in Carrier::ALL.iter().copied() {
            assert_eq!(over(Doorbell::Hypercall, carrier), Bell::Vmmcall);
            assert_eq!(over(Doorbell::HypercallKernel, carrier), Bell::VmmcallToKernel);
            assert_eq!(Doorbell::HypercallKernel.bell(carrier, Bell::Vmcall), Bell::VmcallToKernel);
            assert_eq!(over(Doorbell::HypercallModule, carrier), Bell::VmmcallToModule);
            assert_eq!(Doorbell::HypercallModule.bell(carrier, Bell::Vmcall), Bell::VmcallToModule);
            assert_eq!(over(Doorbell::XenHypercall, carrier), Bell::XenVmmcall);
            assert_eq!(Doorbell::XenHypercall.bell(carrier, Bell::Vmcall), Bell::XenVmcall);
            assert_eq!(over(Doorbell::HypervHypercall, carrier), Bell::HypervCall);
            let port = if carrier == Carrier::Store { Bell::StorePort } else { Bell::CallPort };
            assert_eq!(over(Doorbell::Port, carrier), port);
            assert_eq!(over(Doorbell::CoalescedPort, carrier), Bell::StorePort);
            assert_eq!(over(Doorbell::CoalescedMmio, carrier), Bell::StoreMmio);
            assert_eq!(over(Doorbell::IoeventfdPort, carrier), Bell::KickPort);
            let notify = if carrier == Carrier::Inflate { Bell::NotifyQueue } else { Bell::NotifyRegister };
            assert_eq!(over(Doorbell::IoeventfdMmio, carrier), notify);
            assert_eq!(over(Doorbell::IoeventfdMmioAny, carrier), notify);
        }
        assert_eq!(over(Doorbell::Mmio, Carrier::Inflate), Bell::NotifyQueue);
        assert_eq!(over(Doorbell::Mmio, Carrier::CallAndRing), Bell::CallStore);
        assert_eq!(over(Doorbell::Mmio, Carrier::Ring), Bell::NotifyRegister);
        assert_eq!(over(Doorbell::Mmio, Carrier::PackedRing), Bell::NotifyRegister);
        assert_eq!(over(Doorbell::Mmio, Carrier::Batch), Bell::CallStore);
        assert_eq!(over(Doorbell::Mmio, Carrier::Store), Bell::StoreMmio);
    }
}
