//! What a ring may have beside its format.

use super::Axis;

/// Options of a ring: feature bits of virtio (1.2, 6) that both sides agree on, any of them together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RingFeatures {
    /// `VIRTIO_F_INDIRECT_DESC`: a report is one descriptor, which points to a table of its ranges (2.7.5.3, 2.8.7).
    pub indirect: bool,
    /// `VIRTIO_F_EVENT_IDX`: each side says at which entry it wants to be told (2.7.7, 2.7.10, 2.8.10).
    pub event_idx: bool,
    /// `VIRTIO_F_IN_ORDER`: a chain begins where the one before ended, and chains are used in their order (2.7.9).
    pub in_order: bool,
}

impl RingFeatures {
    /// None of them.
    pub const NONE: Self = Self::of(false, false, false);

    const fn of(indirect: bool, event_idx: bool, in_order: bool) -> Self {
        Self { indirect, event_idx, in_order }
    }
}

impl Axis for RingFeatures {
    const AXIS: &'static str = "ring-features";
    const ALL: &'static [Self] = &[
        Self::NONE,
        Self::of(true, false, false),
        Self::of(false, true, false),
        Self::of(true, true, false),
        Self::of(false, false, true),
        Self::of(true, false, true),
        Self::of(false, true, true),
        Self::of(true, true, true),
    ];

    fn name(self) -> &'static str {
        match (self.indirect, self.event_idx, self.in_order) {
            (false, false, false) => "none",
            (true, false, false) => "indirect",
            (false, true, false) => "event-idx",
            (true, true, false) => "indirect+event-idx",
            (false, false, true) => "in-order",
            (true, false, true) => "indirect+in-order",
            (false, true, true) => "event-idx+in-order",
            (true, true, true) => "indirect+event-idx+in-order",
        }
    }
}
