//! What every value of every axis means, in a line: for `pagehint list`.

use host::axes::{
    Axis, Backing, Carrier, Coalesce, Completion, Discard, Doorbell, HaltPoll, RingChoice, RingFeatures,
    Servicer, Workload,
};

/// An axis that can explain itself.
pub trait Meaning: Axis {
    /// The value in a line.
    fn meaning(self) -> &'static str;
}

impl Meaning for Carrier {
    fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "nothing travels: the doorbell alone",
            Self::Registers => "one range in the registers of the call",
            Self::Batch => "up to 511 ranges in a page the call points to",
            Self::Ring => "a virtio split ring, one chain a report",
            Self::PackedRing => "a virtio packed ring (1.1 and later), one list a report",
            Self::Log => "a page of 511 states, unused or stable, and a call when it is full (s390's ESSA)",
            Self::Store => "one range in the word that is written: frame and order",
            Self::Request => {
                "one range in a request page of the vCPU's own, an error in return (pvmemcontrol, 2024)"
            }
            Self::Inflate => {
                "frames of 4 KiB in the balloon's inflate queue, 256 a kick, deflated before they are used"
            }
            Self::CallAndRing => "a virtio split ring, each range announced by a call before",
            Self::Status => "up to 511 blocks of 4 KiB or 2 MiB in a page, a status an entry (vmw_balloon)",
            Self::HeatHint => "up to 511 ranges in the input page of Hyper-V's memory heat hint",
        }
    }
}

impl Meaning for RingFeatures {
    fn meaning(self) -> &'static str {
        match (self.indirect, self.event_idx, self.in_order) {
            (false, false, false) => "a plain ring",
            (true, false, false) => "a report is one descriptor, which points to a table (virtio 2.7.5.3)",
            (false, true, false) => "each side names the entry at which it is told (virtio 2.7.7, 2.7.10)",
            (false, false, true) => "descriptors in the order of the table (virtio 2.7.9), split rings only",
            (true, true, false) => "the first two",
            (true, false, true) => "tables, in order",
            (false, true, true) => "events, in order",
            (true, true, true) => "all three",
        }
    }
}

impl Meaning for Doorbell {
    fn meaning(self) -> &'static str {
        match self {
            Self::Hypercall => "vmcall or vmmcall: an exit to the vCPU thread",
            Self::Port => "a port write: an exit to the vCPU thread",
            Self::Mmio => "an MMIO write: an exit to the vCPU thread",
            Self::IoeventfdPort => "a port write that KVM turns into an eventfd",
            Self::IoeventfdMmio => "an MMIO write that KVM turns into an eventfd",
            Self::IoeventfdMmioAny => {
                "the same whatever is written (KVM_CAP_IOEVENTFD_ANY_LENGTH, Linux 4.4)"
            }
            Self::HypercallKernel => "vmcall or vmmcall answered by KVM itself, no exit",
            Self::CoalescedPort => "a port write that KVM queues: an exit a hundred or more (Linux 4.20)",
            Self::CoalescedMmio => "an MMIO write that KVM queues: an exit a hundred or more",
            Self::None => "nothing: the device has said that it looks by itself",
            Self::XenHypercall => "vmcall or vmmcall by Xen's convention: an exit to the vCPU thread",
            Self::HypercallModule => "vmcall or vmmcall served inside KVM by the module kvmhint, no exit",
            Self::HypervHypercall => "a call of Hyper-V's page of code: an exit to the vCPU thread",
        }
    }
}

impl Meaning for Servicer {
    fn meaning(self) -> &'static str {
        match self {
            Self::Vcpu => "the vCPU's own thread, between two KVM_RUNs",
            Self::Device => "a thread of the device, woken by an eventfd",
            Self::Kernel => "KVM itself, or a module in it: user space never hears of it",
            Self::Polling => "a thread of the device that never sleeps and looks into the ring",
            Self::Vhost => {
                "a vhost worker in the host's kernel, by the module vhost-pagehint, woken by an eventfd"
            }
        }
    }
}

impl Meaning for Completion {
    fn meaning(self) -> &'static str {
        match self {
            Self::Return => "the doorbell returns: it is done",
            Self::Poll => "the guest spins on the used ring",
            Self::Interrupt => "the guest halts until the device's interrupt",
        }
    }
}

impl Meaning for Discard {
    fn meaning(self) -> &'static str {
        match self {
            Self::None => "nothing: the transport alone",
            Self::DontNeed => "madvise(MADV_DONTNEED)",
            Self::Free => "madvise(MADV_FREE): taken when memory is short, unless written to before",
            Self::Remove => "madvise(MADV_REMOVE): a hole in the file that is mapped",
            Self::PunchHole => "fallocate(FALLOC_FL_PUNCH_HOLE): the same by the file's descriptor",
            Self::PageOut => "madvise(MADV_PAGEOUT): written to swap; nothing where there is none",
            Self::Remap => "mmap(MAP_FIXED): fresh memory over the range, advised as all of it",
            Self::Vectored => "process_madvise(MADV_DONTNEED): one for a whole report (Linux 6.13)",
            Self::Deferred => {
                "put off until the host wants memory, then MADV_DONTNEED of what was not taken back (as s390's ESSA)"
            }
        }
    }
}

impl Meaning for Coalesce {
    fn meaning(self) -> &'static str {
        match self {
            Self::Each => "one discard a range",
            Self::Sorted => "one discard a range, by address",
            Self::Merged => "adjacent ranges of a report merged first",
            Self::Across => {
                "adjacent ranges of several reports merged, the first of them held for 100 µs at the most"
            }
        }
    }
}

impl Meaning for Backing {
    fn meaning(self) -> &'static str {
        match self {
            Self::Anon => "private anonymous memory, 4 KiB pages",
            Self::AnonThp => "private anonymous memory, transparent huge pages",
            Self::Memfd => "a shared file in memory (memfd_create), 4 KiB pages",
            Self::MemfdThp => "the same, transparent huge pages",
            Self::Hugetlb => "a shared file of huge pages reserved beforehand (hugetlb, 2 MiB)",
            Self::File => "a private mapping of an empty file, as after a snapshot is restored",
            Self::Locked => "private anonymous memory, 4 KiB pages, locked (mlock2)",
            Self::Userfault => {
                "private anonymous memory, 4 KiB pages, registered with userfaultfd (missing pages, removals)"
            }
        }
    }
}

impl Meaning for HaltPoll {
    fn meaning(self) -> &'static str {
        match self {
            Self::Never => "a halted vCPU sleeps at once, and has to be woken",
            Self::Host => "KVM spins first, as long as the host has it",
        }
    }
}

impl Meaning for RingChoice {
    fn meaning(self) -> &'static str {
        match self {
            Self::Auto => "ring 3 where KVM emulates ring 0 and the doorbell allows it, else ring 0",
            Self::Zero => "kernel mode",
            Self::Three => "user mode with I/O rights",
        }
    }
}

impl Meaning for Workload {
    fn meaning(self) -> &'static str {
        match self {
            Self::Sequential => "neighbour after neighbour",
            Self::Strided => "every seventh block: no two ranges of a report touch",
            Self::Random => "a seeded shuffle of all blocks",
        }
    }
}
