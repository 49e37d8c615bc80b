//! Parts of a report that are measured by themselves, and what they came to.

use abi::axes::{Axis, GuestRing};

/// A part of a report that is measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Floor {
    /// Until a thread that sleeps in `read` of the ioeventfd has answered in guest memory, and the guest sees it by looking.
    WakeUp,
    /// An interrupt by an irqfd to a guest that halts, beyond looking.
    Interrupt,
    /// What that takes longer where KVM puts the vCPU to sleep at once.
    Sleep,
    /// `madvise(MADV_DONTNEED)` of memory that a guest has used, without its pages.
    Madvise,
    /// Each page of 4 KiB of it.
    DiscardPage,
    /// Each huge page of it.
    DiscardHuge,
    /// The guest's store that brings a page of 4 KiB back.
    RefaultPage,
    /// The same of a huge page.
    RefaultHuge,
}

impl Axis for Floor {
    const AXIS: &'static str = "floor";
    const ALL: &'static [Self] = &[
        Self::WakeUp,
        Self::Interrupt,
        Self::Sleep,
        Self::Madvise,
        Self::DiscardPage,
        Self::DiscardHuge,
        Self::RefaultPage,
        Self::RefaultHuge,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::WakeUp => "wake-up",
            Self::Interrupt => "interrupt",
            Self::Sleep => "sleep",
            Self::Madvise => "madvise",
            Self::DiscardPage => "discard-page",
            Self::DiscardHuge => "discard-huge",
            Self::RefaultPage => "refault-page",
            Self::RefaultHuge => "refault-huge",
        }
    }
}

/// What one of them came to, with a guest in one mode.
#[derive(Clone, PartialEq, Debug)]
pub struct FloorFact {
    /// Which.
    pub floor: Floor,
    /// The mode of the guest.
    pub guest_ring: GuestRing,
    /// What it came to; or why it came to nothing, in a sentence.
    pub ticks: Result<Spread, String>,
}

/// Ticks of the time stamp counter, as they scattered.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Spread {
    /// A quarter of all were below.
    pub low: f64,
    /// The middle one.
    pub middle: f64,
    /// A quarter of all were above.
    pub high: f64,
}

impl Spread {
    /// One that is known as a mean alone.
    pub(super) const fn exactly(ticks: f64) -> Self {
        Self { low: ticks, middle: ticks, high: ticks }
    }

    /// Of figures; nothing of none.
    pub(super) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |quarter: usize| figures.get(quarter * figures.len().saturating_sub(1) / 4);
        let [low, middle, high] = [1, 2, 3].map(|quarter| at(quarter).copied().unwrap_or_default());
        Self { low, middle, high }
    }

    /// How much more that is. Of two that differ by less than they scatter the dearer may seem the cheaper: that is 0.
    pub(super) fn less(self, other: Self) -> Self {
        let more = |of: f64, from: f64| (of - from).max(0.0);
        Self {
            low: more(self.low, other.high),
            middle: more(self.middle, other.middle),
            high: more(self.high, other.low),
        }
    }

    pub(super) fn over(self, parts: f64) -> Self {
        Self { low: self.low / parts, middle: self.middle / parts, high: self.high / parts }
    }
}

/// Ticks as a number that can be divided.
#[expect(clippy::cast_precision_loss, reason = "ticks of a deadline stay far below 2^52")]
pub(super) const fn ticks(ticks: u64) -> f64 {
    ticks as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_reaches_as_far_as_both_scatter() {
        let of = |figures: [f64; 5]| Spread::of(figures.to_vec());
        let (less, more) = (of([9.0, 10.0, 11.0, 12.0, 99.0]), of([30.0, 20.0, 25.0, 10.0, 40.0]));
        assert_eq!(more, Spread { low: 20.0, middle: 25.0, high: 30.0 });
        assert_eq!(more.less(less), Spread { low: 8.0, middle: 14.0, high: 20.0 });
        assert_eq!(less.less(more), Spread::default(), "a part costs no less than nothing");
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
