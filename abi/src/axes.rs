//! The choices of an experiment that the guest has to know.
//!
//! Each axis is an enum whose values have a name (for people, plans and result files) and a number (for the
//! wire: see [`crate::boot`]). The numbers arrive in shared memory as integers and become values by checked
//! conversion only.

mod ring_features;

pub use ring_features::RingFeatures;

/// A closed set of named, numbered choices.
pub trait Axis: Copy + PartialEq + Sized + 'static {
    /// What the axis is called.
    const AXIS: &'static str;
    /// Every value. The index is the number on the wire.
    const ALL: &'static [Self];

    /// What this value is called in plans, tables and result files.
    fn name(self) -> &'static str;

    /// The value called `name`.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }

    /// The number of this value on the wire.
    fn number(self) -> u64 {
        Self::ALL.iter().position(|value| *value == self).unwrap_or(usize::MAX) as u64
    }

    /// The value with this number.
    fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index)).copied()
    }
}

/// Where the ranges travel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Carrier {
    /// Nowhere: the doorbell alone. What an exit costs.
    Empty,
    /// In the registers of the call, one range at a time.
    Registers,
    /// In a page of up to [`crate::wire::page::BATCH_CAPACITY`] entries that the call points to.
    Batch,
    /// In a virtio split ring: one chain of device-writable descriptors.
    Ring,
    /// In a virtio packed ring: the same as one list.
    PackedRing,
    /// In a page of states that many reports fill before one call is made about it: see [`crate::wire::log`].
    Log,
    /// In the value that is written to a port or address, one range at a time: see [`crate::wire::store`].
    Store,
    /// In a request page of the processor's own, one range at a time, answered in place: [`crate::wire::request`].
    Request,
    /// In a page of up to [`crate::wire::status::CAPACITY`] entries, each answered in place: [`crate::wire::status`].
    Status,
    /// In the balloon's inflate queue, as lists of frames of 4 KiB, which its deflate queue takes back:
    /// [`crate::wire::frames`].
    Inflate,
    /// In a virtio split ring, each range announced by a call of its own before.
    CallAndRing,
    /// In the input page of Hyper-V's memory heat hint: see [`crate::wire::heat_hint`].
    HeatHint,
}

impl Axis for Carrier {
    const AXIS: &'static str = "carrier";
    const ALL: &'static [Self] = &[
        Self::Empty,
        Self::Registers,
        Self::Batch,
        Self::Ring,
        Self::PackedRing,
        Self::Log,
        Self::Store,
        Self::Request,
        Self::Status,
        Self::Inflate,
        Self::CallAndRing,
        Self::HeatHint,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Registers => "registers",
            Self::Batch => "batch",
            Self::Ring => "ring",
            Self::PackedRing => "packed",
            Self::Log => "log",
            Self::Store => "store",
            Self::Request => "request",
            Self::Status => "status",
            Self::Inflate => "inflate",
            Self::CallAndRing => "call-and-ring",
            Self::HeatHint => "heat-hint",
        }
    }
}

impl Carrier {
    /// Whether a call names something in its registers and reads an answer: see [`crate::calls`].
    #[must_use]
    pub const fn uses_registers(self) -> bool {
        matches!(self, Self::Registers | Self::Batch | Self::Log | Self::Status | Self::CallAndRing)
    }

    /// Whether a call brings one range, where calls bring any.
    #[must_use]
    pub const fn is_one_range(self) -> bool {
        matches!(self, Self::Registers | Self::Store | Self::Request)
    }

    /// Whether it is the balloon's reporting queue, in whichever format.
    #[must_use]
    pub const fn is_ring(self) -> bool {
        matches!(self, Self::Ring | Self::PackedRing | Self::CallAndRing)
    }
}

/// The instruction with which the guest tells its host, and where that instruction points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bell {
    /// `vmcall`, the hypercall of Intel processors.
    Vmcall,
    /// `vmmcall`, the hypercall of AMD processors.
    Vmmcall,
    /// A 32-bit `out` to [`crate::calls::CALL_PORT`]: a call.
    CallPort,
    /// A 32-bit store to [`crate::layout::CALL_MMIO`]: a call.
    CallStore,
    /// A 32-bit `out` of the queue's number to [`crate::calls::KICK_PORT`].
    KickPort,
    /// A 32-bit store of the queue's number to [`crate::wire::virtio::mmio::QUEUE_NOTIFY`].
    NotifyRegister,
    /// The same of whichever queue the word says ([`crate::calls::Operation::Queue`]).
    NotifyQueue,
    /// `vmcall` with a number that KVM answers itself ([`crate::calls::HYPERCALL_NUMBER_IN_KERNEL`]).
    VmcallToKernel,
    /// `vmmcall` with that number.
    VmmcallToKernel,
    /// A 32-bit `out` of the word to [`crate::calls::STORE_PORT`].
    StorePort,
    /// A 32-bit store of the word to [`crate::layout::STORE_MMIO`].
    StoreMmio,
    /// `vmcall` with Xen's registers ([`crate::calls::xen`]).
    XenVmcall,
    /// `vmmcall` with Xen's registers.
    XenVmmcall,
    /// A call of Hyper-V's page of code ([`crate::calls::hyperv`]).
    HypervCall,
    /// `vmcall` with the number of a module that serves it inside KVM ([`crate::calls::HYPERCALL_NUMBER_MODULE`]).
    VmcallToModule,
    /// `vmmcall` with that number.
    VmmcallToModule,
}

impl Axis for Bell {
    const AXIS: &'static str = "bell";
    const ALL: &'static [Self] = &[
        Self::Vmcall,
        Self::Vmmcall,
        Self::CallPort,
        Self::CallStore,
        Self::KickPort,
        Self::NotifyRegister,
        Self::NotifyQueue,
        Self::VmcallToKernel,
        Self::VmmcallToKernel,
        Self::StorePort,
        Self::StoreMmio,
        Self::XenVmcall,
        Self::XenVmmcall,
        Self::HypervCall,
        Self::VmcallToModule,
        Self::VmmcallToModule,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Vmcall => "vmcall",
            Self::Vmmcall => "vmmcall",
            Self::CallPort => "call-port",
            Self::CallStore => "call-store",
            Self::KickPort => "kick-port",
            Self::NotifyRegister => "notify-register",
            Self::NotifyQueue => "notify-queue",
            Self::VmcallToKernel => "vmcall-to-kernel",
            Self::VmmcallToKernel => "vmmcall-to-kernel",
            Self::StorePort => "store-port",
            Self::StoreMmio => "store-mmio",
            Self::XenVmcall => "xen-vmcall",
            Self::XenVmmcall => "xen-vmmcall",
            Self::HypervCall => "hyperv-call",
            Self::VmcallToModule => "vmcall-to-module",
            Self::VmmcallToModule => "vmmcall-to-module",
        }
    }
}

impl Bell {
    /// Whether every ring is answered in a register, whatever it asks for: see [`crate::calls`].
    #[must_use]
    pub const fn answers_in_a_register(self) -> bool {
        !matches!(self, Self::CallPort | Self::CallStore | Self::KickPort | Self::NotifyRegister)
    }
}

/// How the guest learns that its report was acted on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Completion {
    /// The doorbell instruction returns: the host acted while the vCPU was out.
    Return,
    /// The guest spins on the used ring.
    Poll,
    /// The guest halts until the device's interrupt.
    Interrupt,
}

impl Axis for Completion {
    const AXIS: &'static str = "completion";
    const ALL: &'static [Self] = &[Self::Return, Self::Poll, Self::Interrupt];

    fn name(self) -> &'static str {
        match self {
            Self::Return => "return",
            Self::Poll => "poll",
            Self::Interrupt => "interrupt",
        }
    }
}

/// Which pages are freed, in which order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Workload {
    /// Neighbour after neighbour: every range of a batch touches the next.
    Sequential,
    /// Every seventh block: no two ranges of a batch touch.
    Strided,
    /// A seeded shuffle of all blocks.
    Random,
}

impl Axis for Workload {
    const AXIS: &'static str = "workload";
    const ALL: &'static [Self] = &[Self::Sequential, Self::Strided, Self::Random];

    fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Strided => "strided",
            Self::Random => "random",
        }
    }
}

/// The processor mode the payload runs in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GuestRing {
    /// Kernel mode, as a real guest kernel reports.
    Zero,
    /// User mode with I/O rights: native speed where KVM emulates ring 0.
    Three,
}

impl Axis for GuestRing {
    const AXIS: &'static str = "guest-ring";
    const ALL: &'static [Self] = &[Self::Zero, Self::Three];

    fn name(self) -> &'static str {
        match self {
            Self::Zero => "0",
            Self::Three => "3",
        }
    }
}

/// What a reported page must hold when the guest takes it back after the acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Afterwards {
    /// What it held before: nothing was discarded.
    Kept,
    /// Zeroes: the page was discarded and faulted in anew.
    Zeroed,
    /// One or the other: the host may take the page whenever it likes, until the guest writes to it.
    Either,
}

impl Axis for Afterwards {
    const AXIS: &'static str = "afterwards";
    const ALL: &'static [Self] = &[Self::Kept, Self::Zeroed, Self::Either];

    fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Zeroed => "zeroed",
            Self::Either => "either",
        }
    }
}

/// What the payload does once it is up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Program {
    /// Free, report, take back, touch: the measured workload.
    Report,
    /// Ring the doorbell again and again, nothing else: what the bare loop and the harness are compared on.
    Knock,
    /// Do what the host writes into the step page, step by step: probes and hostile guests.
    Obey,
    /// Allocate and free as a guest does, and report as its kernel does: see [`crate::engine`].
    Engine,
    /// Make empty calls with the stopwatch and without it, in turns: see [`crate::timed::burst`].
    Weigh,
    /// As [`Self::Report`], and spin for [`crate::timed::SLOW`] ticks in each *prepare*: a planted delay.
    SlowPrepare,
    /// The same between *prepare* and the doorbell instruction.
    SlowNotify,
    /// The same once the acknowledgement is there, before it is taken for seen.
    SlowWait,
    /// As [`Self::Report`] on several processors, some of which may fault instead: see [`crate::timed::company`].
    Company,
}

impl Axis for Program {
    const AXIS: &'static str = "program";
    const ALL: &'static [Self] = &[
        Self::Report,
        Self::Knock,
        Self::Obey,
        Self::Engine,
        Self::Weigh,
        Self::SlowPrepare,
        Self::SlowNotify,
        Self::SlowWait,
        Self::Company,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Knock => "knock",
            Self::Obey => "obey",
            Self::Engine => "engine",
            Self::Weigh => "weigh",
            Self::SlowPrepare => "slow-prepare",
            Self::SlowNotify => "slow-notify",
            Self::SlowWait => "slow-wait",
            Self::Company => "company",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn round_trips<A: Axis + core::fmt::Debug>() {
        for value in A::ALL {
            assert_eq!(A::from_number(value.number()), Some(*value));
            assert_eq!(A::from_name(value.name()), Some(*value));
        }
        assert_eq!(A::from_number(A::ALL.len() as u64), None);
        assert_eq!(A::from_name("no such value"), None);
    }

    #[test]
    fn every_value_has_its_own_name_and_number() {
        round_trips::<Carrier>();
        round_trips::<Bell>();
        round_trips::<Completion>();
        round_trips::<Workload>();
        round_trips::<GuestRing>();
        round_trips::<Afterwards>();
        round_trips::<Program>();
        round_trips::<RingFeatures>();
    }
}
