//! The same with several lists in flight, all of the same length; each has its own table, if they are in one.

use abi::addr::PageRange;
use abi::axes::Completion;
use abi::wire::indirect;
use abi::wire::packed_ring::{DESC_SIZE, EVENT_FLAGS, Position, event};

use super::PackedRing;
use crate::metal::Metal;
use crate::transport::{Options, Plain, Several, Transport, Verdict};

/// The driver's end of a ring with several lists in flight.
#[derive(Clone, Copy, Debug)]
pub struct PackedFlight<O = Plain> {
    ring: PackedRing<O>,
    /// Ranges of a list.
    length: u16,
    /// Lists in flight at the most, and which of so many tables is the next one's.
    most: u16,
    next: u16,
    /// Where the oldest list in flight begins.
    oldest: Position,
    /// Lists in flight.
    sent: u16,
}

impl<O: Options> PackedFlight<O> {
    /// A driver of lists of `length` ranges, of which there is room for `most`.
    #[must_use]
    pub const fn new(ring: PackedRing<O>, length: u16, most: u16) -> Self {
        Self { ring, length, most, next: 0, oldest: Position::START, sent: 0 }
    }

    /// The driver as it would be if the list that begins here were the only one.
    const fn alone(&self, begun: Position) -> PackedRing<O> {
        PackedRing { begun, ..self.ring }
    }

    /// Descriptors of the ring that a list has.
    fn descriptors(&self) -> u16 {
        if self.ring.options.get().indirect { 1 } else { self.length }
    }

    /// Asks to be told of the oldest list, before it is waited for.
    fn name_oldest<M: Metal>(&self, metal: &mut M) {
        if self.ring.options.get().event_idx && self.ring.completion == Completion::Interrupt {
            let (driver, named) = (self.ring.at.driver, event(self.oldest));
            metal.store32(driver, named);
            // Publish, by storing the flags again: either the device sees the event, or what it has used before is seen by
            // the wait.
            metal.store16_publish(driver.offset(EVENT_FLAGS), (named >> 16) as u16);
        }
    }
}

impl<M: Metal, O: Options> Transport<M> for PackedFlight<O> {
    fn capacity(&self) -> usize {
        usize::from(self.length)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        // As many places in all as one table may have.
        let table = indirect::AT.offset(u64::from(self.next * self.length) * DESC_SIZE);
        self.ring.offer(metal, ranges, table, self.oldest);
        self.next = if self.next + 1 == self.most { 0 } else { self.next + 1 };
        self.sent += 1;
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        self.ring.notify(metal);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        self.name_oldest(metal);
        let list = self.alone(self.oldest);
        // What is after a list of one is the next one, which may be used.
        let ahead = |metal: &M| if self.descriptors() == 1 { None } else { list.judge_ahead(metal) };
        let violation = list.wait_until_used(metal);
        let violation = violation.or_else(|| ahead(metal)).or_else(|| list.judge_used(metal));
        self.oldest = self.oldest.after(self.descriptors(), self.ring.at.size);
        self.sent -= 1;
        Verdict { refused: 0, violation }
    }
}

impl<M: Metal, O: Options> Several<M> for PackedFlight<O> {
    fn under_way(&self, metal: &M) -> u64 {
        let mut begun = self.oldest;
        let mut unused = 0;
        for _ in 0..self.sent {
            unused += u64::from(!self.alone(begun).is_used(metal));
            begun = begun.after(self.descriptors(), self.ring.at.size);
        }
        unused
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::{Order, Pfn};
    use abi::axes::{Axis, RingFeatures};
    use abi::violation::Violation;
    use abi::wire::packed_ring::Placement;

    use super::*;
    use crate::metal::fake::Fake;
    use crate::transport::Plain;

    const AT: Placement = Placement::of(32);
    const AVAILABLE: u16 = 1 << 7;
    const USED: u16 = 1 << 15;

    fn blocks(n: u16) -> Vec<PageRange> {
        (0..n).map(|i| PageRange::block(Pfn(0x400 + u64::from(i)), Order::PAGE)).collect()
    }

    /// Uses the list that begins so many descriptors from the start, as a device does.
    fn use_one(metal: &mut Fake, begun: u64, id: u16) {
        let at = AT.desc.offset(begun % 32 * 16);
        metal.store32(at.offset(8), 0);
        metal.store16(at.offset(12), id);
        metal.store16(at.offset(14), if (begun / 32).is_multiple_of(2) { AVAILABLE | USED } else { 0 });
    }

    #[test]
    fn lists_in_flight_are_used_in_their_order_lap_after_lap() {
        for (length, most) in [(1_u16, 8_u16), (3, 8), (4, 8), (5, 6), (16, 2)] {
            let mut metal = Fake::new(|_, _| {});
            let mut ring =
                PackedFlight::new(PackedRing::new(&mut metal, AT, Completion::Poll, Plain), length, most);
            let mut used = 0;
            for round in 0..100 {
                for _ in 0..most {
                    ring.prepare(&mut metal, &blocks(length));
                }
                for left in (0..u64::from(most)).rev() {
                    assert_eq!(ring.under_way(&metal), left + 1);
                    use_one(&mut metal, used, u16::try_from(used % 32).unwrap());
                    assert_eq!(ring.under_way(&metal), left);
                    used += u64::from(length);
                    assert_eq!(ring.wait(&mut metal).violation, None, "round {round}, {length} by {most}");
                }
            }
        }
    }

    #[test]
    fn every_option_goes_along_and_the_oldest_is_waited_for() {
        for options in RingFeatures::ALL.iter().copied().filter(|options| !options.in_order) {
            let (length, most) = (3_u16, 8_u16);
            let mut metal = Fake::new(|_, _| {});
            let ring = PackedRing::new(&mut metal, AT, Completion::Interrupt, options);
            let mut ring = PackedFlight::new(ring, length, most);
            let each = if options.indirect { 1 } else { u64::from(length) };
            let mut used = 0;
            for round in 0..100 {
                (0..most).for_each(|_| ring.prepare(&mut metal, &blocks(length)));
                let tables: Vec<u64> = (0..u64::from(most))
                    .map(|i| metal.load(AT.desc.offset((used + i * each) % 32 * 16)))
                    .collect();
                let distinct = tables.iter().collect::<std::collections::HashSet<_>>().len();
                assert_eq!(distinct, if options.indirect { 8 } else { 1 }, "a table a list");
                for _ in 0..most {
                    let oldest = ring.oldest;
                    use_one(&mut metal, used, u16::try_from(used % 32).unwrap());
                    used += each;
                    assert_eq!(ring.wait(&mut metal).violation, None, "round {round}, {options:?}");
                    if options.event_idx {
                        assert_eq!(metal.load32(AT.driver), event(oldest), "round {round}, {options:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_list_used_out_of_turn_is_named() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = PackedFlight::new(PackedRing::new(&mut metal, AT, Completion::Poll, Plain), 4, 2);
        ring.prepare(&mut metal, &blocks(4));
        ring.prepare(&mut metal, &blocks(4));
        use_one(&mut metal, 0, 4);
        assert_eq!(ring.wait(&mut metal).violation, Some(Violation::UsedWrong));
    }
}
