//! A virtio split ring (2.7): a report is one chain of device-writable descriptors, as the driver of Linux
//! sends it (`virtballoon_free_page_report`), and one chain is in flight at a time.
//!
//! With its options the chain is in a table that one descriptor points to; descriptors are taken in the order of the ring's
//! table; and each side names the entry at which it wants to be told.

use abi::addr::{Gpa, PageRange};
use abi::axes::Completion;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::violation::Violation;
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, AVAIL_NO_INTERRUPT, DESC_FLAGS, DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_NEXT_INDEX,
    DESC_SIZE, DESC_WRITE, ENTRIES, IDX, Placement, USED_ENTRY_SIZE, USED_NO_NOTIFY,
};
use abi::wire::{event, indirect};

use super::{Options, Plain, Transport, Verdict};
use crate::metal::Metal;

mod flight;

pub use flight::SplitFlight;

/// The first descriptor of every chain: with one chain in flight the table is always free. Where descriptors are taken in
/// the order of the table, that of the first chain.
const HEAD: u16 = 0;

/// The driver's end of a ring.
#[derive(Clone, Copy, Debug)]
pub struct SplitRing<O = Plain> {
    at: Placement,
    completion: Completion,
    options: O,
    /// Chains made available so far, modulo 2^16: the next `avail.idx`.
    available: u16,
    /// Where descriptors are taken in order: the first of the chain in flight, and of the next.
    begun: u16,
    next: u16,
}

impl<O: Options> SplitRing<O> {
    /// A driver for the ring `at`, whose memory the host has zeroed and whose queue is set up
    /// ([`crate::transport::virtio_mmio::start`]).
    pub fn new(metal: &mut impl Metal, at: Placement, completion: Completion, options: O) -> Self {
        // Where an event index says it, the flag must stay 0 (2.7.7.1).
        let by_flag = completion != Completion::Interrupt && !options.get().event_idx;
        metal.store16(at.avail, if by_flag { AVAIL_NO_INTERRUPT } else { 0 });
        Self::beside(at, completion, options)
    }

    /// A driver for a ring that another virtual processor has set up.
    #[must_use]
    pub const fn beside(at: Placement, completion: Completion, options: O) -> Self {
        Self { at, completion, options, available: 0, begun: HEAD, next: HEAD }
    }

    /// The first descriptor of the chain in flight.
    #[inline(always)]
    fn head(&self) -> u16 {
        if self.options.get().in_order { self.begun } else { HEAD }
    }

    #[inline(always)]
    fn descriptor(&self, index: u16) -> Gpa {
        self.at.desc.offset(u64::from(index) * DESC_SIZE)
    }

    /// The descriptor after this one, in the order of the table.
    #[inline(always)]
    const fn after(&self, index: u16) -> u16 {
        if index + 1 == self.at.size { 0 } else { index + 1 }
    }

    /// Says where the next chain begins: to the virtual processors that share the ring too.
    #[inline(always)]
    fn end_before(&mut self, metal: &mut impl Metal, next: u16) {
        self.next = next;
        metal.store16(self.at.next, next);
    }

    /// Puts the ranges into an indirect table, and where it is into the one descriptor of the chain: the next where they are
    /// taken in order, else `free`; its head.
    #[inline(always)]
    fn point<M: Metal>(&mut self, metal: &mut M, table: Gpa, free: u16, ranges: &[PageRange]) -> u16 {
        chain(metal, table, 0, ranges);
        let head = if self.options.get().in_order {
            self.begun = self.next;
            self.end_before(metal, self.after(self.begun));
            self.begun
        } else {
            free
        };
        let desc = self.descriptor(head);
        metal.store(desc, table.0);
        metal.store32(desc.offset(DESC_LEN), indirect::bytes(ranges.len()));
        metal.store16(desc.offset(DESC_FLAGS), DESC_INDIRECT);
        head
    }

    /// Puts the ranges into descriptors that begin where those of the chain before ended, and go on at the end of the table
    /// in its beginning (2.7.9); their head.
    #[inline(always)]
    fn go_on<M: Metal>(&mut self, metal: &mut M, ranges: &[PageRange]) -> u16 {
        self.begun = self.next;
        let (mut index, mut left) = (self.begun, ranges.len());
        for range in ranges {
            left -= 1;
            let next = self.after(index);
            fill(metal, self.descriptor(index), *range, left, next);
            index = next;
        }
        self.end_before(metal, index);
        self.begun
    }

    /// Names the entry of the used ring at which to be told: that of the chain that is waited for first or, where nobody
    /// waits for an interrupt, the one before, which is past.
    #[inline(always)]
    fn name_event(&self, metal: &mut impl Metal, first: u16) {
        let event = if self.completion == Completion::Interrupt { first } else { first.wrapping_sub(1) };
        // Visible before `avail.idx` is, and so to whoever uses the chain.
        metal.store16(self.at.used_event(), event);
    }

    /// Whether the device is to be told of the chain just made available.
    #[inline(always)]
    fn is_awaited(&self, metal: &impl Metal) -> bool {
        if self.options.get().event_idx {
            // `avail.idx` was published before this load. So either the device sees it, which looks once more after it has
            // named an entry, or the entry that it named is seen here.
            let event = metal.load16(self.at.avail_event());
            event::is_due(event, self.available.wrapping_sub(1), self.available)
        } else {
            metal.load16(self.at.used) & USED_NO_NOTIFY == 0
        }
    }

    fn used_index(&self, metal: &impl Metal) -> u16 {
        // Acquire: the used entry, and the host's work on the pages, must be visible once the index is.
        metal.load16_acquire(self.at.used.offset(IDX))
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index % self.at.size)
    }

    /// Makes the chain that begins at `head` available. The first that is waited for is the one of entry `first`.
    #[inline(always)]
    fn publish<M: Metal>(&mut self, metal: &mut M, head: u16, first: u16) {
        let entry = self.at.avail.offset(ENTRIES + self.slot(self.available) * AVAIL_ENTRY_SIZE);
        metal.store16(entry, head);
        if self.options.get().event_idx {
            self.name_event(metal, first);
        }
        self.available = self.available.wrapping_add(1);
        // Publish: descriptors and entry must be visible before the index (2.7.13.3), and the load of used.flags
        // or of the device's event in `notify` must not be satisfied before the index is visible (2.7.13.4.1).
        metal.store16_publish(self.at.avail.offset(IDX), self.available);
    }

    /// Waits until the used index is not what it was before; what is wrong if it never will be.
    #[inline(always)]
    fn wait_past<M: Metal>(&self, metal: &mut M, before: u16) -> Option<Violation> {
        match self.completion {
            Completion::Return if self.used_index(metal) == before => return Some(Violation::Unacknowledged),
            Completion::Return => {}
            Completion::Poll => {
                while self.used_index(metal) == before {
                    metal.relax();
                }
            }
            Completion::Interrupt => {
                while self.used_index(metal) == before {
                    metal.halt();
                }
            }
        }
        None
    }

    /// What is wrong with the acknowledgement of the chain in flight, if anything.
    fn judge(&self, metal: &impl Metal) -> Option<Violation> {
        let before = self.available.wrapping_sub(1);
        if self.used_index(metal) != self.available {
            return Some(Violation::UsedAhead);
        }
        let entry = self.at.used.offset(ENTRIES + self.slot(before) * USED_ENTRY_SIZE);
        let (id, len) = (metal.load32(entry), metal.load32(entry.offset(4)));
        (id != u32::from(self.head()) || len != 0).then_some(Violation::UsedWrong)
    }
}

/// A chain of ranges in neighbouring descriptors, of which the first is `index` in its table.
#[inline(always)]
fn chain<M: Metal>(metal: &mut M, first: Gpa, index: u16, ranges: &[PageRange]) {
    let mut desc = first;
    let mut next = index;
    let mut left = ranges.len();
    for range in ranges {
        next += 1;
        left -= 1;
        fill(metal, desc, *range, left, next);
        desc = desc.offset(DESC_SIZE);
    }
}

/// A descriptor of a range, in a chain of so many more that goes on in `next`.
#[inline(always)]
fn fill<M: Metal>(metal: &mut M, desc: Gpa, range: PageRange, left: usize, next: u16) {
    let flags = if left == 0 { DESC_WRITE } else { DESC_WRITE | DESC_NEXT };
    metal.store(desc, range.gpa().0);
    // A block is at most 4 MiB long (order 10): its length fits in the 32 bits of the field.
    metal.store32(desc.offset(DESC_LEN), u32::try_from(range.bytes()).unwrap_or(u32::MAX));
    metal.store16(desc.offset(DESC_FLAGS), flags);
    metal.store16(desc.offset(DESC_NEXT_INDEX), next);
}

impl<M: Metal, O: Options> Transport<M> for SplitRing<O> {
    fn capacity(&self) -> usize {
        let most = if self.options.get().indirect { indirect::CAPACITY } else { u16::MAX };
        usize::from(self.at.size.min(most))
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        let options = self.options.get();
        let head = if options.indirect {
            self.point(metal, indirect::AT, HEAD, ranges)
        } else if options.in_order {
            self.go_on(metal, ranges)
        } else {
            chain(metal, self.descriptor(HEAD), HEAD, ranges);
            HEAD
        };
        self.publish(metal, head, self.available);
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        if self.is_awaited(metal) {
            metal.ring(Operation::Kick.word(), Gpa(IDLE_GPA), IDLE_PAGES);
        }
    }

    fn acknowledged(&self, metal: &M) -> bool {
        self.completion == Completion::Return || self.used_index(metal) != self.available.wrapping_sub(1)
    }

    fn take_over(&mut self, metal: &M) {
        // With one chain in flight at a time the index of the next one is all there is to know, and where it begins.
        self.available = metal.load16(self.at.avail.offset(IDX));
        if self.options.get().in_order {
            self.next = metal.load16(self.at.next);
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        let violation = self.wait_past(metal, self.available.wrapping_sub(1));
        Verdict { refused: 0, violation: violation.or_else(|| self.judge(metal)) }
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

    fn ring(metal: &mut Fake, completion: Completion) -> SplitRing {
        SplitRing::new(metal, AT, completion, Plain)
    }

    fn blocks(n: u64) -> Vec<PageRange> {
        (0..n).map(|i| PageRange::block(Pfn(0x400 + i), Order::PAGE)).collect()
    }

    #[test]
    fn a_report_is_one_chain_of_writable_descriptors() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = ring(&mut metal, Completion::Return);
        ring.prepare(&mut metal, &blocks(3));
        for (index, (flags, next)) in [(3, 1), (3, 2), (2, 3)].into_iter().enumerate() {
            let desc = AT.desc.offset(index as u64 * 16);
            assert_eq!(metal.load(desc), 0x40_0000 + index as u64 * 4096);
            assert_eq!(metal.load32(desc.offset(8)), 4096);
            assert_eq!(metal.load16(desc.offset(12)), flags);
            assert_eq!(metal.load16(desc.offset(14)), next);
        }
        assert_eq!(metal.load16(AT.avail), 1, "no interrupt wanted");
        assert_eq!(metal.load16(AT.avail.offset(2)), 1);
        assert_eq!(metal.load16(AT.avail.offset(4)), 0);
    }

    #[test]
    fn a_device_that_wants_no_kick_gets_none() {
        let mut metal = Fake::new(|_, _| {});
        let mut ring = ring(&mut metal, Completion::Return);
        metal.store16(AT.used, USED_NO_NOTIFY);
        ring.prepare(&mut metal, &blocks(1));
        ring.notify(&mut metal);
        assert_eq!(metal.rings, 0);
        metal.store16(AT.used, 0);
        ring.notify(&mut metal);
        assert_eq!(metal.rings, 1);
    }

    fn verdict_after(used: &'static [u64]) -> Option<Violation> {
        let mut metal = Fake::new(move |metal, _| {
            let [idx, id, len] = *used else { return };
            metal.store16(AT.used.offset(2), u16::try_from(idx).unwrap());
            metal.store32(AT.used.offset(4), u32::try_from(id).unwrap());
            metal.store32(AT.used.offset(8), u32::try_from(len).unwrap());
        });
        let mut ring = ring(&mut metal, Completion::Return);
        ring.prepare(&mut metal, &blocks(2));
        ring.notify(&mut metal);
        ring.wait(&mut metal).violation
    }

    #[test]
    fn a_wrong_acknowledgement_is_named() {
        assert_eq!(verdict_after(&[1, 0, 0]), None);
        assert_eq!(verdict_after(&[]), Some(Violation::Unacknowledged));
        assert_eq!(verdict_after(&[2, 0, 0]), Some(Violation::UsedAhead));
        assert_eq!(verdict_after(&[1, 1, 0]), Some(Violation::UsedWrong));
        assert_eq!(verdict_after(&[1, 0, 8192]), Some(Violation::UsedWrong));
    }

    #[test]
    fn indices_wrap_at_sixteen_bits() {
        let mut metal = Fake::new(|metal, _| {
            let used = metal.load16(AT.used.offset(2)).wrapping_add(1);
            metal.store16(AT.used.offset(2), used);
        });
        let mut ring = ring(&mut metal, Completion::Return);
        for _ in 0..0x1_0000 + 5 {
            ring.prepare(&mut metal, &blocks(1));
            ring.notify(&mut metal);
            assert_eq!(ring.wait(&mut metal).violation, None);
        }
        assert_eq!(metal.load16(AT.avail.offset(2)), 5);
    }
}
