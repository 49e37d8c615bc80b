//! The packed ring (2.8 of the virtio specification): offsets, flags, whose turn a descriptor is, and where a ring lies.
//!
//! There is one ring of descriptors, which both sides write, and each side goes round it. Two bits of a descriptor say
//! whose turn it is. What they mean changes with every lap, and each side counts its laps by a bit of its own: its wrap
//! counter ([`Position`]).

use super::virtio::balloon::QUEUE_MAX;
use super::virtio::{Areas, feature};
use crate::addr::Gpa;
use crate::layout;

/// What a descriptor has in common with one of the split ring: its size, where its length is, and these flags.
pub use super::split_ring::{DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_SIZE, DESC_WRITE};

/// Offset of `id` in a descriptor: `addr` le64, `len` le32, `id` le16, `flags` le16.
pub const DESC_ID: u64 = 12;
/// Offset of `flags` in a descriptor.
pub const DESC_FLAGS: u64 = 14;
/// Descriptor: the driver's wrap counter when it was made available, or the device's when it was used.
pub const DESC_AVAIL: u16 = 1 << 7;
/// Descriptor: the opposite of that if it is available, the same if it is used.
pub const DESC_USED: u16 = 1 << 15;

/// Offset of `flags` in either event suppression structure (`desc`, which only `EVENT_IDX` knows, is at 0: see [`event`]).
pub const EVENT_FLAGS: u64 = 2;
/// The bits of these flags that are not reserved.
pub const EVENT_FLAGS_MASK: u16 = 3;
/// The side that wrote this wants to be told.
pub const EVENT_ENABLE: u16 = 0;
/// The side that wrote this does not want to be told.
pub const EVENT_DISABLE: u16 = 1;
/// The side that wrote this wants to be told of one descriptor: only with `EVENT_IDX`.
pub const EVENT_DESC: u16 = 2;
/// Size of an event suppression structure.
pub const EVENT_SIZE: u64 = 4;

/// An event suppression structure that asks to be told of the descriptor here, as one word (2.8.14).
#[must_use]
pub const fn event(at: Position) -> u32 {
    (EVENT_DESC as u32) << 16 | at.word() as u32
}

/// Whether the side that wrote this structure is to be told, now that the other has gone on from one position to another in a
/// ring of `size`, with `EVENT_IDX` (2.8.10). A descriptor that the ring has not is never gone past.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "two fields of a word")]
pub const fn is_due(structure: u32, from: Position, to: Position, size: u16) -> bool {
    match (structure >> 16) as u16 & EVENT_FLAGS_MASK {
        EVENT_DISABLE => false,
        EVENT_DESC => {
            let event = Position::from_word(structure as u16);
            event.index < size && event.beyond(from, size) < to.beyond(from, size)
        }
        _ => true,
    }
}

/// Where one side is in the ring: at which descriptor, and on a lap with which wrap counter (2.8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    index: u16,
    wrap: bool,
}

impl Position {
    /// Where both sides begin.
    pub const START: Self = Self { index: 0, wrap: true };

    const WRAP: u16 = 1 << 15;

    /// Index of the descriptor.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// So many descriptors further on, at most a lap, in a ring of `size`.
    #[must_use]
    pub const fn after(self, descriptors: u16, size: u16) -> Self {
        // A ring has at most 2^15 entries: two laps fit in 16 bits.
        let index = self.index + descriptors;
        if index < size {
            Self { index, wrap: self.wrap }
        } else {
            Self { index: index - size, wrap: !self.wrap }
        }
    }

    /// How many descriptors on it is from another, in a ring of `size`: positions repeat after two laps.
    const fn beyond(self, other: Self, size: u16) -> u16 {
        let [here, there] = [self.of_two_laps(size), other.of_two_laps(size)];
        // Modulo 2^16: two laps of the largest ring are just that many.
        if here >= there { here - there } else { size.wrapping_mul(2).wrapping_sub(there - here) }
    }

    const fn of_two_laps(self, size: u16) -> u16 {
        if self.wrap { self.index } else { self.index + size }
    }

    /// Whether it is on the same lap as another, of those since the one before.
    #[must_use]
    pub const fn is_on_lap_of(self, other: Self) -> bool {
        self.wrap == other.wrap
    }

    /// The flags that make the descriptor here available.
    #[must_use]
    pub const fn available(self) -> u16 {
        if self.wrap { DESC_AVAIL } else { DESC_USED }
    }

    /// The flags that mark the descriptor here as used.
    #[must_use]
    pub const fn used(self) -> u16 {
        if self.wrap { DESC_AVAIL | DESC_USED } else { 0 }
    }

    /// Whether a descriptor here with these flags was made available on this lap.
    #[must_use]
    pub const fn is_available(self, flags: u16) -> bool {
        flags & (DESC_AVAIL | DESC_USED) == self.available()
    }

    /// Whether a descriptor here with these flags was used on this lap.
    #[must_use]
    pub const fn is_used(self, flags: u16) -> bool {
        flags & (DESC_AVAIL | DESC_USED) == self.used()
    }

    /// In 16 bits, as the event suppression structures have a position.
    #[must_use]
    pub const fn word(self) -> u16 {
        if self.wrap { self.index | Self::WRAP } else { self.index }
    }

    /// From such a word.
    #[must_use]
    pub const fn from_word(word: u16) -> Self {
        Self { index: word & !Self::WRAP, wrap: word & Self::WRAP != 0 }
    }
}

/// Where a ring of some size lies in guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Number of entries.
    pub size: u16,
    /// Descriptor ring, aligned to 16.
    pub desc: Gpa,
    /// Driver event suppression, written by the driver; on a page of its own.
    pub driver: Gpa,
    /// Device event suppression, written by the device; on a page of its own.
    pub device: Gpa,
    /// A word ([`Position::word`]) for the driver alone: where its next list begins, for the virtual processors that
    /// share the ring. The format has no index in memory from which they could tell.
    pub next: Gpa,
}

/// Nobody but the driver has to do with its cache line.
const NEXT: u64 = 64;

impl Placement {
    /// The ring of `size` entries at [`layout::RING`]. Each part is placed where the largest ring would have it.
    #[must_use]
    pub const fn of(size: u16) -> Self {
        let desc = layout::RING;
        let driver = desc.offset(QUEUE_MAX as u64 * DESC_SIZE);
        Self { size, desc, driver, device: driver.offset(4096), next: driver.offset(NEXT) }
    }

    /// The same as the device is told.
    #[must_use]
    pub const fn areas(self) -> Areas {
        let Self { size, desc, driver, device, .. } = self;
        Areas { needs: feature::RING_PACKED, size, desc, driver, device }
    }
}

const LAST: Placement = Placement::of(QUEUE_MAX);
// 2.8.10.1 asks for alignments of 16, 4 and 4; pages of their own are more than that.
const _: () = assert!(LAST.desc.0.is_multiple_of(16));
const _: () = assert!(LAST.driver.is_page_aligned() && LAST.device.is_page_aligned());
const _: () = assert!(LAST.device.0 + EVENT_SIZE <= layout::INDIRECT.0);
// Two laps fit in 16 bits.
const _: () = assert!(QUEUE_MAX <= 1 << 15);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_as_it_was_found_is_neither_available_nor_used() {
        assert!(!Position::START.is_available(0));
        assert!(!Position::START.is_used(0));
    }

    #[test]
    fn both_sides_begin_with_a_counter_of_one() {
        assert_eq!(Position::START.available(), 1 << 7);
        assert_eq!(Position::START.used(), 1 << 7 | 1 << 15);
        let next_lap = Position::START.after(4, 4);
        assert_eq!((next_lap.index(), next_lap.available(), next_lap.used()), (0, 1 << 15, 0));
    }

    #[test]
    fn a_side_is_told_of_the_descriptor_it_named_and_of_no_other() {
        let at = |index, wrap| Position { index, wrap };
        let (from, to) = (at(30, true), at(2, false));
        for (due, named) in [
            (true, at(30, true)),
            (true, at(31, true)),
            (true, at(1, false)),
            (false, at(2, false)),
            (false, at(29, true)),
            (false, at(30, false)),
            (false, at(1, true)),
            (false, at(32, true)),
            (false, at(0x7fff, true)),
        ] {
            assert_eq!(is_due(event(named), from, to, 32), due, "{named:?}");
        }
        assert!(is_due(u32::from(EVENT_ENABLE) << 16, from, to, 32));
        assert!(!is_due(u32::from(EVENT_DISABLE) << 16, from, to, 32));
        let a_lap = at(5, true).after(32, 32);
        assert!(is_due(event(at(4, false)), at(5, true), a_lap, 32), "a list of all descriptors");
    }

    proptest! {
        #[test]
        fn what_a_lap_left_behind_is_neither_available_nor_used_on_the_next(index in 0_u16..32, lap: bool, rest: u16) {
            let here = Position { index, wrap: lap };
            let rest = rest & !(DESC_AVAIL | DESC_USED);
            for flags in [here.available() | rest, here.used() | rest] {
                let later = here.after(32, 32);
                prop_assert_eq!(later.index(), index);
                prop_assert!(!later.is_available(flags) && !later.is_used(flags));
                prop_assert!(here.is_available(flags) != here.is_used(flags));
            }
        }

        #[test]
        fn many_steps_are_one(size in 1_u16..=1 << 15, steps in proptest::collection::vec(0_u16..1 << 15, 1..20)) {
            let (mut here, mut descriptors) = (Position::START, 0_u64);
            for step in steps {
                let step = step % (size + 1);
                here = here.after(step, size);
                descriptors += u64::from(step);
            }
            prop_assert_eq!(u64::from(here.index()), descriptors % u64::from(size));
            prop_assert_eq!(here.wrap, (descriptors / u64::from(size)).is_multiple_of(2));
            prop_assert_eq!(Position::from_word(here.word()), here);
        }
    }
}
