//! Where every value of every axis comes from: a specification's section, a proposal, a kernel's version.

use host::axes::{
    Backing, Carrier, Coalesce, Completion, Discard, Doorbell, HaltPoll, RingChoice, RingFeatures, Servicer,
    Workload,
};

use super::meaning::Meaning;

/// An axis that says where its values come from.
pub trait Source: Meaning {
    /// Where the value comes from, in a line.
    fn source(self) -> &'static str;
}

impl Source for Carrier {
    fn source(self) -> &'static str {
        match self {
            Self::Empty => "this project: what every other carrier is measured against",
            Self::Registers => {
                "KVM_HC_UNUSED_PAGE_HINT (Duyck, February 2019): address and length in registers"
            }
            Self::Batch => {
                "this project; pages of 511 entries are what s390's ESSA and Hyper-V's heat hint have"
            }
            Self::Ring => "virtio 1.2, 2.7 (split virtqueues) and 5.5 (balloon)",
            Self::PackedRing => "virtio 1.2, 2.8 (packed virtqueues); 1.1 and later",
            Self::Log => {
                "s390's ESSA: Linux's CMMA (45e576b1c3d0, 2008), whose states the processor logs for the host"
            }
            Self::Store => "this project: all that KVM_CAP_COALESCED_PIO and _MMIO keep of a write",
            Self::Request => "pvmemcontrol (Xie, LKML 2024): a request page for each vCPU",
            Self::Status => "VMware's balloon: Linux's vmw_balloon, batched since 4.4",
            Self::Inflate => "virtio 1.2, 5.5.2 and 5.5.6 (inflateq and deflateq)",
            Self::CallAndRing => "pKVM's guests on Android, which relinquish by a call what they report",
            Self::HeatHint => {
                "HV_EXT_CALL_MEMORY_HEAT_HINT: Linux's hv_balloon since 5.13, asm-generic/hyperv-tlfs.h"
            }
        }
    }
}

impl Source for RingFeatures {
    fn source(self) -> &'static str {
        match (self.indirect, self.event_idx, self.in_order) {
            (false, false, false) => "virtio 1.2, 2.7 and 2.8, with nothing of part 6 negotiated",
            (true, false, false) => "virtio 1.2, 2.7.5.3 and 2.8.7 (VIRTIO_F_INDIRECT_DESC)",
            (false, true, false) => "virtio 1.2, 2.7.7, 2.7.10 and 2.8.10 (VIRTIO_F_EVENT_IDX)",
            (false, false, true) => "virtio 1.2, 2.7.9 (VIRTIO_F_IN_ORDER)",
            (true, true, false) => {
                "VIRTIO_F_INDIRECT_DESC and VIRTIO_F_EVENT_IDX: what Linux and QEMU negotiate"
            }
            (true, false, true) => "VIRTIO_F_INDIRECT_DESC and VIRTIO_F_IN_ORDER",
            (false, true, true) => "VIRTIO_F_EVENT_IDX and VIRTIO_F_IN_ORDER",
            (true, true, true) => "VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX and VIRTIO_F_IN_ORDER",
        }
    }
}

impl Source for Doorbell {
    fn source(self) -> &'static str {
        match self {
            Self::Hypercall => "KVM_HC_MAP_GPA_RANGE (12) and KVM_CAP_EXIT_HYPERCALL, Linux 5.14",
            Self::Port => "KVM_EXIT_IO, Linux 2.6.20",
            Self::Mmio => "KVM_EXIT_MMIO, Linux 2.6.20; virtio 1.2, 4.2.2 (QueueNotify)",
            Self::IoeventfdPort => "KVM_IOEVENTFD, Linux 2.6.32",
            Self::IoeventfdMmio => "KVM_IOEVENTFD, Linux 2.6.32; virtio 1.2, 4.2.2 (QueueNotify)",
            Self::HypercallKernel => {
                "KVM_HC_VAPIC_POLL_IRQ (1), Linux Documentation/virt/kvm/x86/hypercalls.rst"
            }
            Self::IoeventfdMmioAny => "KVM_CAP_IOEVENTFD_ANY_LENGTH, Linux 4.4",
            Self::CoalescedPort => "KVM_CAP_COALESCED_PIO, Linux 4.20",
            Self::CoalescedMmio => "KVM_CAP_COALESCED_MMIO, Linux 2.6.27",
            Self::None => "virtio 1.2, 2.7.10 (VIRTQ_USED_F_NO_NOTIFY) and 2.8.10 (event suppression)",
            Self::XenHypercall => "KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and KVM_EXIT_XEN, Linux 5.12",
            Self::HypercallModule => "host/kernel/kvmhint.c; the patches of 2019 discarded inside KVM too",
            Self::HypervHypercall => "Hyper-V TLFS 6.0b, 3; KVM_EXIT_HYPERV of extended calls, Linux 6.3",
        }
    }
}

impl Source for Servicer {
    fn source(self) -> &'static str {
        match self {
            Self::Vcpu => "KVM_RUN, which returns on the thread that called it",
            Self::Device => "KVM_IOEVENTFD, Linux 2.6.32: QEMU's iothreads and vhost are told so",
            Self::Kernel => "where the patches of 2019 discarded: inside KVM",
            Self::Polling => "vhost-user's back ends (SPDK, DPDK), which poll and suppress notifications",
            Self::Vhost => "host/kernel/vhost_pagehint.c, upon drivers/vhost; as vhost-net serves its rings",
        }
    }
}

impl Source for Completion {
    fn source(self) -> &'static str {
        match self {
            Self::Return => "every hypercall: the instruction ends when the host has acted",
            Self::Poll => {
                "virtio 1.2, 2.7.8 and 2.8: the used ring, or the list's flags, without a notification"
            }
            Self::Interrupt => "virtio 1.2, 2.3 (notifications); KVM_IRQFD, Linux 2.6.32",
        }
    }
}

impl Source for HaltPoll {
    fn source(self) -> &'static str {
        match self {
            Self::Never => "KVM_CAP_HALT_POLL, Linux Documentation/virt/kvm/api.rst",
            Self::Host => "halt_poll_ns, Linux Documentation/virt/kvm/halt-polling.rst",
        }
    }
}

impl Source for RingChoice {
    fn source(self) -> &'static str {
        match self {
            Self::Auto => "this project: what the host can run at its own speed",
            Self::Zero => "where a kernel reports from",
            Self::Three => "this project: native speed where KVM emulates ring 0 (kvm_pvm)",
        }
    }
}

impl Source for Discard {
    fn source(self) -> &'static str {
        match self {
            Self::None => "this project: what every discard is measured against",
            Self::DontNeed => "madvise(2): what most monitors call",
            Self::Free => "madvise(2), Linux 4.5",
            Self::Remove => "madvise(2), Linux 2.6.16: what crosvm calls",
            Self::PunchHole => {
                "fallocate(2), Linux 2.6.38: what QEMU and Cloud Hypervisor call of shared files"
            }
            Self::PageOut => "madvise(2), Linux 5.4",
            Self::Remap => "mmap(2): what Firecracker does with a restored snapshot",
            Self::Deferred => "s390's ESSA: the host takes unused pages when it wants memory",
            Self::Vectored => "process_madvise(2), Linux 5.10, and MADV_DONTNEED by it since 6.13",
        }
    }
}

impl Source for Coalesce {
    fn source(self) -> &'static str {
        match self {
            Self::Each => "QEMU and most monitors: a discard a range, as it comes",
            Self::Sorted => "this project: what merging is without the merging",
            Self::Merged => "Firecracker, for what its balloon inflates",
            Self::Across => "this project: what a ring allows whose device may acknowledge when it likes",
        }
    }
}

impl Source for Backing {
    fn source(self) -> &'static str {
        match self {
            Self::Anon => "mmap(2), and MADV_NOHUGEPAGE, Linux 2.6.38",
            Self::AnonThp => "mmap(2), and MADV_HUGEPAGE, Linux 2.6.38",
            Self::Memfd => "memfd_create(2), Linux 3.17",
            Self::MemfdThp => "memfd_create(2), and shmem_enabled, Linux 4.8",
            Self::Hugetlb => "MFD_HUGETLB of memfd_create(2), Linux 4.14",
            Self::File => "mmap(2), MAP_PRIVATE: Firecracker's restored snapshots",
            Self::Userfault => {
                "userfaultfd(2), Linux 4.3, and UFFD_FEATURE_EVENT_REMOVE, Linux 4.11: postcopy in QEMU"
            }
            Self::Locked => "mlock2(2), MLOCK_ONFAULT, Linux 4.4",
        }
    }
}

impl Source for Workload {
    fn source(self) -> &'static str {
        match self {
            Self::Sequential => "this project: what merges best",
            Self::Strided => "this project: what never merges",
            Self::Random => "this project: what an allocator that has run for long frees",
        }
    }
}
