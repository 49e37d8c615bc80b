//! The terms of a report's cost.

use abi::axes::Axis;

/// One of them. Each is a cost in the profile's unit for each time it occurs in a report: see [`super::cost`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Term {
    /// A call that KVM answers itself, and back.
    InKernel,
    /// A call to user space and back: hypercall or port write.
    Exit,
    /// The same by virtio-mmio's notify register.
    Notify,
    /// The doorbell of an ioeventfd, until the guest runs on.
    Kick,
    /// From there until the device's thread runs, and what it takes longer than the vCPU's own until the guest sees the answer
    /// by looking.
    WakeUp,
    /// An interrupt to a vCPU that halts, beyond looking.
    Interrupt,
    /// What it takes longer if the vCPU really sleeps.
    Sleep,
    /// A report in a page, without its ranges.
    Page,
    /// A report in a ring, without its ranges.
    Ring,
    /// A range in registers.
    RangeInRegisters,
    /// A range in a page.
    RangeInPage,
    /// A descriptor in a ring.
    Descriptor,
    /// A discard: one `madvise`.
    Madvise,
    /// Each small page of it.
    DiscardPage,
    /// Each huge page of it.
    DiscardHuge,
    /// What it takes longer while the vCPU runs, whose translations have to be flushed.
    Flush,
    /// Bringing a small page back.
    RefaultPage,
    /// Bringing a huge page back.
    RefaultHuge,
}

impl Axis for Term {
    const AXIS: &'static str = "term";
    const ALL: &'static [Self] = &[
        Self::InKernel,
        Self::Exit,
        Self::Notify,
        Self::Kick,
        Self::WakeUp,
        Self::Interrupt,
        Self::Sleep,
        Self::Page,
        Self::Ring,
        Self::RangeInRegisters,
        Self::RangeInPage,
        Self::Descriptor,
        Self::Madvise,
        Self::DiscardPage,
        Self::DiscardHuge,
        Self::Flush,
        Self::RefaultPage,
        Self::RefaultHuge,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::InKernel => "in-kernel",
            Self::Exit => "exit",
            Self::Notify => "notify",
            Self::Kick => "kick",
            Self::WakeUp => "wake-up",
            Self::Interrupt => "interrupt",
            Self::Sleep => "sleep",
            Self::Page => "page",
            Self::Ring => "ring",
            Self::RangeInRegisters => "range-in-registers",
            Self::RangeInPage => "range-in-page",
            Self::Descriptor => "descriptor",
            Self::Madvise => "madvise",
            Self::DiscardPage => "discard-page",
            Self::DiscardHuge => "discard-huge",
            Self::Flush => "flush",
            Self::RefaultPage => "refault-page",
            Self::RefaultHuge => "refault-huge",
        }
    }
}

impl Term {
    /// What it is, in a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InKernel => "a call that KVM answers itself, and back",
            Self::Exit => "a call to user space and back (hypercall or port)",
            Self::Notify => "a write to virtio-mmio's notify register that exits to user space, and back",
            Self::Kick => "the doorbell of an ioeventfd, until the guest runs on",
            Self::WakeUp => "until the device's thread runs, and the guest sees its answer by looking",
            Self::Interrupt => "an interrupt to a halted vCPU, beyond looking",
            Self::Sleep => "what that takes longer where the vCPU really sleeps",
            Self::Page => "a report in a page, without its ranges",
            Self::Ring => "a report in a ring, without its ranges",
            Self::RangeInRegisters => "a range in registers",
            Self::RangeInPage => "a range in a page",
            Self::Descriptor => "a range in a ring: one descriptor",
            Self::Madvise => "a discard call",
            Self::DiscardPage => "each small page of a discard",
            Self::DiscardHuge => "each huge page of a discard",
            Self::Flush => "what a discard takes longer while the vCPU runs",
            Self::RefaultPage => "bringing a small page back",
            Self::RefaultHuge => "bringing a huge page back",
        }
    }

    /// Whether it is part of a report, and not of what follows it.
    #[must_use]
    pub const fn is_of_report(self) -> bool {
        !matches!(self, Self::RefaultPage | Self::RefaultHuge)
    }

    /// Whether it is the discard's, and not the transport's.
    #[must_use]
    pub const fn is_of_discard(self) -> bool {
        matches!(self, Self::Madvise | Self::DiscardPage | Self::DiscardHuge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_terms_each() {
        for term in Term::ALL.iter().copied() {
            assert_eq!(Term::from_name(term.name()), Some(term));
        }
        assert!(Term::ALL.is_sorted(), "as fits prefer them");
    }
}
