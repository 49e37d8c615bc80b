//! The same with several lists in flight, all of the same length.

use abi::addr::PageRange;
use abi::wire::packed_ring::Position;

use super::PackedRing;
use crate::metal::Metal;
use crate::transport::{Several, Transport, Verdict};

/// The driver's end of a ring with several lists in flight.
#[derive(Clone, Copy, Debug)]
pub struct PackedFlight {
    ring: PackedRing,
    /// Descriptors of a list.
    length: u16,
    /// Where the oldest list in flight begins.
    oldest: Position,
    /// Lists in flight.
    sent: u16,
}

impl PackedFlight {
    /// A driver of lists of `length` descriptors.
    #[must_use]
    pub const fn new(ring: PackedRing, length: u16) -> Self {
        Self { ring, length, oldest: Position::START, sent: 0 }
    }

    /// The driver as it would be if the list that begins here were the only one.
    const fn alone(&self, begun: Position) -> PackedRing {
        PackedRing { begun, ..self.ring }
    }
}

impl<M: Metal> Transport<M> for PackedFlight {
    fn capacity(&self) -> usize {
        usize::from(self.length)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.ring.prepare(metal, ranges);
        self.sent += 1;
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        self.ring.notify(metal);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        let list = self.alone(self.oldest);
        // What is after a list of one is the next one, which may be used.
        let ahead = |metal: &M| if self.length == 1 { None } else { list.judge_ahead(metal) };
        let violation = list.wait_until_used(metal);
        let violation = violation.or_else(|| ahead(metal)).or_else(|| list.judge_used(metal));
        self.oldest = self.oldest.after(self.length, self.ring.at.size);
        self.sent -= 1;
        Verdict { refused: 0, violation }
    }
}

impl<M: Metal> Several<M> for PackedFlight {
    fn under_way(&self, metal: &M) -> u64 {
        let mut begun = self.oldest;
        let mut unused = 0;
        for _ in 0..self.sent {
            unused += u64::from(!self.alone(begun).is_used(metal));
            begun = begun.after(self.length, self.ring.at.size);
        }
        unused
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::{Order, Pfn};
    use abi::axes::Completion;
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
                PackedFlight::new(PackedRing::new(&mut metal, AT, Completion::Poll, Plain), length);
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
    fn a_list_used_out_of_turn_is_named() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = PackedFlight::new(PackedRing::new(&mut metal, AT, Completion::Poll, Plain), 4);
        ring.prepare(&mut metal, &blocks(4));
        ring.prepare(&mut metal, &blocks(4));
        use_one(&mut metal, 0, 4);
        assert_eq!(ring.wait(&mut metal).violation, Some(Violation::UsedWrong));
    }
}
