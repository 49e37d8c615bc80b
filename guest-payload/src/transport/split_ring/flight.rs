//! The same with several chains in flight: each has its own descriptors, and its own table if they are in one, and all have
//! as many.

use abi::addr::PageRange;
use abi::axes::Completion;
use abi::timed::IN_FLIGHT_MOST;
use abi::violation::Violation;
use abi::wire::indirect;
use abi::wire::split_ring::{DESC_SIZE, ENTRIES, USED_ENTRY_SIZE};

use super::{SplitRing, chain};
use crate::metal::Metal;
use crate::transport::{Options, Plain, Several, Transport, Verdict};

/// The driver's end of a ring with several chains in flight.
#[derive(Clone, Copy, Debug)]
pub struct SplitFlight<O = Plain> {
    ring: SplitRing<O>,
    /// Descriptors of a chain.
    length: u16,
    /// Chains in flight at the most.
    most: u16,
    /// Places in the table, counted in chains: of the next chain, and of the oldest in flight.
    next: u16,
    oldest: u16,
    /// The first descriptor of the chain at each place.
    heads: [u16; IN_FLIGHT_MOST],
    /// The used index up to which chains were waited for.
    seen: u16,
}

impl<O: Options> SplitFlight<O> {
    /// A driver of chains of `length` descriptors, of which there is room for `most`.
    #[must_use]
    pub const fn new(ring: SplitRing<O>, length: u16, most: u16) -> Self {
        Self { ring, length, most, next: 0, oldest: 0, heads: [0; IN_FLIGHT_MOST], seen: 0 }
    }

    /// Puts the ranges into a chain of its own; its head.
    #[inline(always)]
    fn lay<M: Metal>(&mut self, metal: &mut M, ranges: &[PageRange]) -> u16 {
        let options = self.ring.options.get();
        let own = self.next * self.length;
        if options.indirect {
            // As many places in all as one table may have.
            self.ring.point(metal, indirect::AT.offset(u64::from(own) * DESC_SIZE), self.next, ranges)
        } else if options.in_order {
            self.ring.go_on(metal, ranges)
        } else {
            chain(metal, self.ring.descriptor(own), own, ranges);
            own
        }
    }

    /// Asks to be told of the oldest chain, before it is waited for.
    fn name_oldest<M: Metal>(&self, metal: &mut M) {
        if self.ring.options.get().event_idx && self.ring.completion == Completion::Interrupt {
            // Publish: either the device sees the event, or the used index that it has stored before is seen by the wait.
            metal.store16_publish(self.ring.at.used_event(), self.seen);
        }
    }

    /// The place after this one.
    const fn after(&self, place: u16) -> u16 {
        if place + 1 == self.most { 0 } else { place + 1 }
    }

    /// What is wrong with the acknowledgement of the oldest chain, if anything: chains are used in their order.
    fn judge(&self, metal: &impl Metal) -> Option<Violation> {
        let in_flight = self.ring.available.wrapping_sub(self.seen);
        if self.ring.used_index(metal).wrapping_sub(self.seen) > in_flight {
            return Some(Violation::UsedAhead);
        }
        let entry = self.ring.at.used.offset(ENTRIES + self.ring.slot(self.seen) * USED_ENTRY_SIZE);
        let (id, len) = (metal.load32(entry), metal.load32(entry.offset(4)));
        let head = self.heads[usize::from(self.oldest)];
        (id != u32::from(head) || len != 0).then_some(Violation::UsedWrong)
    }
}

impl<M: Metal, O: Options> Transport<M> for SplitFlight<O> {
    fn capacity(&self) -> usize {
        usize::from(self.length)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        let head = self.lay(metal, ranges);
        self.heads[usize::from(self.next)] = head;
        self.ring.publish(metal, head, self.seen);
        self.next = self.after(self.next);
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        self.ring.notify(metal);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        self.name_oldest(metal);
        let violation = self.ring.wait_past(metal, self.seen);
        let violation = violation.or_else(|| self.judge(metal));
        self.seen = self.seen.wrapping_add(1);
        self.oldest = self.after(self.oldest);
        Verdict { refused: 0, violation }
    }
}

impl<M: Metal, O: Options> Several<M> for SplitFlight<O> {
    fn under_way(&self, metal: &M) -> u64 {
        self.ring.available.wrapping_sub(self.ring.used_index(metal)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use abi::addr::{Gpa, Order, Pfn};
    use abi::axes::{Axis, RingFeatures};
    use abi::wire::split_ring::{DESC_SIZE, IDX, Placement};

    use super::*;
    use crate::metal::fake::Fake;
    use crate::transport::Plain;

    const AT: Placement = Placement::of(32);

    fn blocks(first: u64, n: u64) -> Vec<PageRange> {
        (first..first + n).map(|i| PageRange::block(Pfn(i), Order::PAGE)).collect()
    }

    /// Uses the oldest chain there is, as a device does; what it used it as, and its first descriptor.
    fn use_one(metal: &mut Fake, used: u16, id: impl Fn(u16) -> u32) -> u64 {
        let slot = u64::from(used % 32);
        let head = metal.load16(AT.avail.offset(ENTRIES + slot * 2));
        let entry = AT.used.offset(ENTRIES + slot * USED_ENTRY_SIZE);
        metal.store32(entry, id(head));
        metal.store32(entry.offset(4), 0);
        metal.store16(AT.used.offset(IDX), used.wrapping_add(1));
        metal.load(AT.desc.offset(u64::from(head) * DESC_SIZE))
    }

    fn flight(metal: &mut Fake, length: u16, most: u16) -> SplitFlight {
        SplitFlight::new(SplitRing::new(metal, AT, Completion::Poll, Plain), length, most)
    }

    #[test]
    fn chains_in_flight_have_their_own_descriptors_lap_after_lap() {
        for most in 2..=8 {
            let mut metal = Fake::new(|_, _| {});
            let mut ring = flight(&mut metal, 4, most);
            let mut used = 0_u16;
            // Longer than the index is wide.
            for lap in 0..70_000 / u64::from(most) {
                for number in 0..u64::from(most) {
                    ring.prepare(&mut metal, &blocks(lap * 100 + number * 10, 4));
                }
                assert_eq!(ring.under_way(&metal), u64::from(most));
                for number in 0..u64::from(most) {
                    let first = use_one(&mut metal, used, u32::from);
                    assert_eq!(first, (lap * 100 + number * 10) << 12, "lap {lap}");
                    used = used.wrapping_add(1);
                    assert_eq!(ring.wait(&mut metal).violation, None, "lap {lap} of {most}");
                }
                assert_eq!(ring.under_way(&metal), 0);
            }
        }
    }

    #[test]
    fn a_chain_used_out_of_turn_or_one_too_many_is_named() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = flight(&mut metal, 4, 3);
        ring.prepare(&mut metal, &blocks(0, 4));
        ring.prepare(&mut metal, &blocks(10, 4));
        use_one(&mut metal, 0, |_| 4);
        assert_eq!(ring.wait(&mut metal).violation, Some(Violation::UsedWrong));
        use_one(&mut metal, 1, u32::from);
        metal.store16(AT.used.offset(IDX), 3);
        assert_eq!(ring.wait(&mut metal).violation, Some(Violation::UsedAhead));
    }

    #[test]
    fn every_option_goes_along_and_the_oldest_is_waited_for() {
        for options in RingFeatures::ALL.iter().copied() {
            for most in [2, 3, 8] {
                let mut metal = Fake::new(|_, _| {});
                let ring = SplitRing::new(&mut metal, AT, Completion::Interrupt, options);
                let mut ring = SplitFlight::new(ring, 4, most);
                let (mut used, mut expected) = (0_u16, 0_u16);
                for lap in 0..100 {
                    let first = |number| (lap * 100 + number * 10) << 12;
                    for number in 0..u64::from(most) {
                        ring.prepare(&mut metal, &blocks(first(number) >> 12, 4));
                    }
                    for number in 0..u64::from(most) {
                        let head = metal.load16(AT.avail.offset(ENTRIES + u64::from(used % 32) * 2));
                        if options.in_order {
                            assert_eq!(head, expected % 32, "lap {lap} of {most}, {options:?}");
                            expected = (expected + if options.indirect { 1 } else { 4 }) % 32;
                        }
                        let named = use_one(&mut metal, used, u32::from);
                        let named = if options.indirect { metal.load(Gpa(named)) } else { named };
                        assert_eq!(named, first(number), "lap {lap} of {most}, {options:?}");
                        assert_eq!(ring.wait(&mut metal).violation, None, "lap {lap} of {most}, {options:?}");
                        if options.event_idx {
                            assert_eq!(
                                metal.load16(AT.used_event()),
                                used,
                                "lap {lap} of {most}, {options:?}"
                            );
                        }
                        used = used.wrapping_add(1);
                    }
                }
            }
        }
    }

    #[test]
    fn every_chain_is_rung_for() {
        let rung = Rc::new(RefCell::new(0));
        let rings = Rc::clone(&rung);
        let mut metal = Fake::new(move |_, _| *rings.borrow_mut() += 1);
        let mut ring = flight(&mut metal, 1, 2);
        for _ in 0..2 {
            ring.prepare(&mut metal, &blocks(0, 1));
            ring.notify(&mut metal);
        }
        assert_eq!(*rung.borrow(), 2);
    }
}
