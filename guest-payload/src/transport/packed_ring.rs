//! A virtio packed ring (2.8): a report is one list of device-writable descriptors, and one list is in flight at a time.
//! So lists are used in the order in which they are made available, and the used descriptor of each takes the place of
//! its first.
//!
//! With its options the list is in a table that one descriptor points to, and each side names the descriptor of which it wants
//! to be told.

use abi::addr::{Gpa, PageRange};
use abi::axes::Completion;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::violation::Violation;
use abi::wire::indirect;
use abi::wire::packed_ring::{
    DESC_FLAGS, DESC_ID, DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_SIZE, DESC_WRITE, EVENT_DISABLE,
    EVENT_ENABLE, EVENT_FLAGS, EVENT_FLAGS_MASK, Placement, Position, event, is_due,
};

use super::{Options, Plain, Transport, Verdict};
use crate::metal::Metal;

mod flight;

pub use flight::PackedFlight;

/// The driver's end of a ring.
#[derive(Clone, Copy, Debug)]
pub struct PackedRing<O = Plain> {
    at: Placement,
    completion: Completion,
    options: O,
    /// Where the list in flight begins, and its used descriptor will be.
    begun: Position,
    /// Where the next list begins.
    next: Position,
}

impl<O: Options> PackedRing<O> {
    /// A driver for the ring `at`, whose memory the host has zeroed and whose queue is set up
    /// ([`crate::transport::virtio_mmio::start`]).
    pub fn new(metal: &mut impl Metal, at: Placement, completion: Completion, options: O) -> Self {
        let flags = if completion == Completion::Interrupt { EVENT_ENABLE } else { EVENT_DISABLE };
        metal.store16(at.driver.offset(EVENT_FLAGS), flags);
        metal.store16(at.next, Position::START.word());
        Self::beside(at, completion, options)
    }

    /// A driver for a ring that another virtual processor has set up.
    #[must_use]
    pub const fn beside(at: Placement, completion: Completion, options: O) -> Self {
        Self { at, completion, options, begun: Position::START, next: Position::START }
    }

    #[inline(always)]
    fn descriptor(&self, position: Position) -> Gpa {
        self.at.desc.offset(u64::from(position.index()) * DESC_SIZE)
    }

    /// The id of the list in flight: where it begins. No two lists that fit in the ring have the same.
    const fn id(&self) -> u16 {
        self.begun.index()
    }

    /// Writes a descriptor but for its flags, which are what makes it available; where it is.
    #[inline(always)]
    fn fill<M: Metal>(&self, metal: &mut M, position: Position, range: PageRange) -> Gpa {
        let descriptor = self.descriptor(position);
        name(metal, descriptor, range);
        metal.store16(descriptor.offset(DESC_ID), self.id());
        descriptor
    }

    /// Puts the ranges into an indirect table, and where it is into the one descriptor of the list, but for its flags; where
    /// that is.
    #[inline(always)]
    fn point<M: Metal>(&self, metal: &mut M, table: Gpa, ranges: &[PageRange]) -> Gpa {
        let mut element = table;
        for range in ranges {
            name(metal, element, *range);
            // Neither its id nor any other flag means anything in a table (2.8.7).
            metal.store16(element.offset(DESC_FLAGS), DESC_WRITE);
            element = element.offset(DESC_SIZE);
        }
        let descriptor = self.descriptor(self.begun);
        metal.store(descriptor, table.0);
        metal.store32(descriptor.offset(DESC_LEN), indirect::bytes(ranges.len()));
        metal.store16(descriptor.offset(DESC_ID), self.id());
        descriptor
    }

    /// Says where the next list begins: to the virtual processors that share the ring too.
    #[inline(always)]
    fn end_before(&mut self, metal: &mut impl Metal, next: Position) {
        self.next = next;
        metal.store16(self.at.next, next.word());
    }

    /// Makes ranges available as one list, in `table` if they are in one. The list that is waited for first begins at `oldest`.
    #[inline(always)]
    fn offer<M: Metal>(&mut self, metal: &mut M, ranges: &[PageRange], table: Gpa, oldest: Position) {
        let Some((first, others)) = ranges.split_first() else { return };
        let options = self.options.get();
        self.begun = self.next;
        if options.event_idx && self.completion == Completion::Interrupt {
            // Visible before the list is, and so to whoever uses it.
            metal.store32(self.at.driver, event(oldest));
        }
        let mut position = self.begun.after(1, self.at.size);
        if options.indirect {
            self.end_before(metal, position);
            let descriptor = self.point(metal, table, ranges);
            // Publish: the table and the rest of the descriptor must be visible before its flags, as below.
            metal.store16_publish(descriptor.offset(DESC_FLAGS), self.begun.available() | DESC_INDIRECT);
            return;
        }
        let mut left = others.len();
        for range in others {
            left -= 1;
            let descriptor = self.fill(metal, position, *range);
            metal.store16(descriptor.offset(DESC_FLAGS), flags(position, left));
            position = position.after(1, self.at.size);
        }
        self.end_before(metal, position);
        let descriptor = self.fill(metal, self.begun, *first);
        // Publish: every descriptor of the list must be visible before the flags of its first (2.8.6), and the load of
        // the device's event in `notify` must not be satisfied before those are visible (2.8.21.2).
        metal.store16_publish(descriptor.offset(DESC_FLAGS), flags(self.begun, others.len()));
    }

    /// Whether the device is to be told of the list just made available.
    #[inline(always)]
    fn is_awaited(&self, metal: &impl Metal) -> bool {
        if self.options.get().event_idx {
            // The list was published before this load. So either the device sees it, which looks once more after it has
            // named a descriptor, or the one that it named is seen here. One load: the flags say what the rest means.
            is_due(metal.load32(self.at.device), self.begun, self.next, self.at.size)
        } else {
            metal.load16(self.at.device.offset(EVENT_FLAGS)) & EVENT_FLAGS_MASK != EVENT_DISABLE
        }
    }

    /// Whether the list in flight is used.
    fn is_used(&self, metal: &impl Metal) -> bool {
        // Acquire: the rest of the descriptor, and the host's work on the pages, must be visible once the flags are.
        self.begun.is_used(metal.load16_acquire(self.descriptor(self.begun).offset(DESC_FLAGS)))
    }

    /// Waits until the list in flight is used; what is wrong if it never will be.
    #[inline(always)]
    fn wait_until_used<M: Metal>(&self, metal: &mut M) -> Option<Violation> {
        match self.completion {
            Completion::Return if !self.is_used(metal) => return Some(Violation::Unacknowledged),
            Completion::Return => {}
            Completion::Poll => {
                while !self.is_used(metal) {
                    metal.relax();
                }
            }
            Completion::Interrupt => {
                while !self.is_used(metal) {
                    metal.halt();
                }
            }
        }
        None
    }

    /// Whether more is used than the list in flight, which is wrong if it is the only one.
    fn judge_ahead(&self, metal: &impl Metal) -> Option<Violation> {
        // One used descriptor stands for the whole list. The next is still as the driver left it, or the lap before.
        let beyond = self.begun.after(1, self.at.size);
        let flags = metal.load16(self.descriptor(beyond).offset(DESC_FLAGS));
        beyond.is_used(flags).then_some(Violation::UsedAhead)
    }

    /// What is wrong with the used descriptor of the list in flight, if anything.
    fn judge_used(&self, metal: &impl Metal) -> Option<Violation> {
        let used = self.descriptor(self.begun);
        // Without the flag nothing was written, and the length means nothing (2.8.4).
        let wrote = metal.load16(used.offset(DESC_FLAGS)) & DESC_WRITE != 0;
        (metal.load16(used.offset(DESC_ID)) != self.id() || wrote).then_some(Violation::UsedWrong)
    }
}

/// Names a range in a descriptor.
#[inline(always)]
fn name<M: Metal>(metal: &mut M, descriptor: Gpa, range: PageRange) {
    metal.store(descriptor, range.gpa().0);
    // A block is at most 4 MiB long (order 10): its length fits in the 32 bits of the field.
    metal.store32(descriptor.offset(DESC_LEN), u32::try_from(range.bytes()).unwrap_or(u32::MAX));
}

/// The flags of a descriptor here, of a list with so many more.
#[inline(always)]
const fn flags(position: Position, left: usize) -> u16 {
    position.available() | if left == 0 { DESC_WRITE } else { DESC_WRITE | DESC_NEXT }
}

impl<M: Metal, O: Options> Transport<M> for PackedRing<O> {
    fn capacity(&self) -> usize {
        let most = if self.options.get().indirect { indirect::CAPACITY } else { u16::MAX };
        usize::from(self.at.size.min(most))
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.offer(metal, ranges, indirect::AT, self.next);
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        if self.is_awaited(metal) {
            metal.ring(Operation::Kick.word(), Gpa(IDLE_GPA), IDLE_PAGES);
        }
    }

    fn acknowledged(&self, metal: &M) -> bool {
        self.completion == Completion::Return || self.is_used(metal)
    }

    fn take_over(&mut self, metal: &M) {
        // With one list in flight at a time the place of the next one is all there is to know.
        self.next = Position::from_word(metal.load16(self.at.next));
    }

    fn is_shared(&self) -> bool {
        true
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        let violation = self.wait_until_used(metal).or_else(|| self.judge_ahead(metal));
        Verdict { refused: 0, violation: violation.or_else(|| self.judge_used(metal)) }
    }
}

#[cfg(test)]
mod with_options;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::{Order, Pfn};

    const AT: Placement = Placement::of(32);
    const AVAILABLE: u16 = 1 << 7;
    const USED: u16 = 1 << 15;

    fn blocks(n: u64) -> Vec<PageRange> {
        (0..n).map(|i| PageRange::block(Pfn(0x400 + i), Order::PAGE)).collect()
    }

    fn descriptor(index: u64) -> Gpa {
        AT.desc.offset(index * 16)
    }

    fn flags_at(metal: &Fake, index: u64) -> u16 {
        metal.load16(descriptor(index).offset(14))
    }

    fn use_descriptor(metal: &mut Fake, index: u64, id: u16, flags: u16) {
        metal.store32(descriptor(index).offset(8), 0);
        metal.store16(descriptor(index).offset(12), id);
        metal.store16(descriptor(index).offset(14), flags);
    }

    #[test]
    fn a_report_is_one_list_of_writable_descriptors() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = PackedRing::new(&mut metal, AT, Completion::Return, Plain);
        ring.prepare(&mut metal, &blocks(3));
        for (index, flags) in (0..).zip([AVAILABLE | 3, AVAILABLE | 3, AVAILABLE | 2, 0]) {
            assert_eq!(flags_at(&metal, index), flags, "descriptor {index}");
        }
        for index in 0..3 {
            assert_eq!(metal.load(descriptor(index)), 0x40_0000 + index * 4096);
            assert_eq!(metal.load32(descriptor(index).offset(8)), 4096);
            assert_eq!(metal.load16(descriptor(index).offset(12)), 0);
        }
        assert_eq!(metal.load16(AT.driver.offset(2)), EVENT_DISABLE, "no interrupt wanted");
        PackedRing::new(&mut metal, AT, Completion::Interrupt, Plain);
        assert_eq!(metal.load16(AT.driver.offset(2)), EVENT_ENABLE);
    }

    #[test]
    fn a_device_that_wants_no_kick_gets_none() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = PackedRing::new(&mut metal, AT, Completion::Return, Plain);
        ring.prepare(&mut metal, &blocks(1));
        for (event, rings) in [(EVENT_DISABLE, 0), (EVENT_ENABLE, 1), (2, 2)] {
            metal.store16(AT.device.offset(2), event);
            ring.notify(&mut metal);
            assert_eq!(metal.rings, rings, "device event flags {event}");
        }
    }

    /// What is found after a report of two blocks of which a device uses these descriptors: index, id and flags.
    fn verdict_after(used: &'static [(u64, u16, u16)]) -> Option<Violation> {
        let mut metal = Fake::new(move |metal, _| {
            for (index, id, flags) in used {
                use_descriptor(metal, *index, *id, *flags);
            }
        });
        let mut ring = PackedRing::new(&mut metal, AT, Completion::Return, Plain);
        ring.prepare(&mut metal, &blocks(2));
        ring.notify(&mut metal);
        ring.wait(&mut metal).violation
    }

    #[test]
    fn a_wrong_acknowledgement_is_named() {
        const DONE: u16 = AVAILABLE | USED;
        assert_eq!(verdict_after(&[(0, 0, DONE)]), None);
        assert_eq!(verdict_after(&[]), Some(Violation::Unacknowledged));
        assert_eq!(verdict_after(&[(0, 0, 0)]), Some(Violation::Unacknowledged), "of another lap");
        assert_eq!(
            verdict_after(&[(2, 0, DONE)]),
            Some(Violation::Unacknowledged),
            "in the next one's place"
        );
        assert_eq!(verdict_after(&[(0, 0, DONE), (1, 0, DONE)]), Some(Violation::UsedAhead));
        assert_eq!(verdict_after(&[(0, 1, DONE)]), Some(Violation::UsedWrong));
        assert_eq!(
            verdict_after(&[(0, 0, DONE | 2)]),
            Some(Violation::UsedWrong),
            "the pages were written to"
        );
    }

    /// A device that goes by the wrap counter of a lap it counts by itself, and skips lists of `blocks` descriptors.
    fn device(blocks: u64) -> impl FnMut(&mut Fake, crate::metal::fake::Rung) {
        let mut taken = 0;
        move |metal, _| {
            let (index, lap) = (taken % 32, taken / 32);
            let [available, used] = if lap % 2 == 0 { [AVAILABLE, AVAILABLE | USED] } else { [USED, 0] };
            assert_eq!(flags_at(metal, index) & (AVAILABLE | USED), available, "list at {taken}");
            let id = metal.load16(descriptor((taken + blocks - 1) % 32).offset(12));
            use_descriptor(metal, index, id, used);
            taken += blocks;
        }
    }

    #[test]
    fn laps_go_on_and_on() {
        for each in [1, 3, 31, 32] {
            let mut metal = Fake::new(device(each));
            let mut ring = PackedRing::new(&mut metal, AT, Completion::Return, Plain);
            for report in 0..200 {
                ring.prepare(&mut metal, &blocks(each));
                ring.notify(&mut metal);
                assert_eq!(ring.wait(&mut metal).violation, None, "report {report} of {each}");
            }
            assert_eq!(metal.rings, 200);
        }
    }

    #[test]
    fn who_takes_over_goes_on_where_the_other_was() {
        let mut metal = Fake::new(device(5));
        let mut first = PackedRing::new(&mut metal, AT, Completion::Return, Plain);
        let mut second = PackedRing::beside(AT, Completion::Return, Plain);
        for report in 0..50 {
            let ring = if report % 3 == 0 { &mut second } else { &mut first };
            ring.take_over(&metal);
            ring.prepare(&mut metal, &blocks(5));
            ring.notify(&mut metal);
            assert_eq!(ring.wait(&mut metal).violation, None, "report {report}");
        }
    }
}
