//! A virtio split ring (2.7): a report is one chain of device-writable descriptors, as the driver of Linux
//! sends it (`virtballoon_free_page_report`), and one chain is in flight at a time.

use abi::addr::{Gpa, PageRange};
use abi::axes::Completion;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::violation::Violation;
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, AVAIL_NO_INTERRUPT, DESC_FLAGS, DESC_LEN, DESC_NEXT, DESC_NEXT_INDEX, DESC_SIZE,
    DESC_WRITE, ENTRIES, IDX, Placement, USED_ENTRY_SIZE, USED_NO_NOTIFY,
};

use super::{Transport, Verdict};
use crate::metal::Metal;

mod flight;

pub use flight::SplitFlight;

/// The first descriptor of every chain: with one chain in flight the table is always free.
const HEAD: u16 = 0;

/// The driver's end of a ring.
#[derive(Clone, Copy, Debug)]
pub struct SplitRing {
    at: Placement,
    completion: Completion,
    /// Chains made available so far, modulo 2^16: the next `avail.idx`.
    available: u16,
}

impl SplitRing {
    /// A driver for the ring `at`, whose memory the host has zeroed and whose queue is set up
    /// ([`crate::transport::virtio_mmio::start`]).
    pub fn new(metal: &mut impl Metal, at: Placement, completion: Completion) -> Self {
        let flags = if completion == Completion::Interrupt { 0 } else { AVAIL_NO_INTERRUPT };
        metal.store16(at.avail, flags);
        Self { at, completion, available: 0 }
    }

    /// A driver for a ring that another virtual processor has set up.
    #[must_use]
    pub const fn beside(at: Placement, completion: Completion) -> Self {
        Self { at, completion, available: 0 }
    }

    fn used_index(&self, metal: &impl Metal) -> u16 {
        // Acquire: the used entry, and the host's work on the pages, must be visible once the index is.
        metal.load16_acquire(self.at.used.offset(IDX))
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index % self.at.size)
    }

    /// Makes ranges available as one chain of the descriptors from `head` on.
    #[inline(always)]
    fn offer<M: Metal>(&mut self, metal: &mut M, head: u16, ranges: &[PageRange]) {
        let mut desc = self.at.desc.offset(u64::from(head) * DESC_SIZE);
        let mut next = head;
        let mut left = ranges.len();
        for range in ranges {
            next += 1;
            left -= 1;
            let flags = if left == 0 { DESC_WRITE } else { DESC_WRITE | DESC_NEXT };
            metal.store(desc, range.gpa().0);
            // A block is at most 4 MiB long (order 10): its length fits in the 32 bits of the field.
            metal.store32(desc.offset(DESC_LEN), u32::try_from(range.bytes()).unwrap_or(u32::MAX));
            metal.store16(desc.offset(DESC_FLAGS), flags);
            metal.store16(desc.offset(DESC_NEXT_INDEX), next);
            desc = desc.offset(DESC_SIZE);
        }
        let entry = self.at.avail.offset(ENTRIES + self.slot(self.available) * AVAIL_ENTRY_SIZE);
        metal.store16(entry, head);
        self.available = self.available.wrapping_add(1);
        // Publish: descriptors and entry must be visible before the index (2.7.13.3), and the load of
        // used.flags in `notify` must not be satisfied before the index is visible (2.7.13.4.1).
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
        (id != u32::from(HEAD) || len != 0).then_some(Violation::UsedWrong)
    }
}

impl<M: Metal> Transport<M> for SplitRing {
    fn capacity(&self) -> usize {
        usize::from(self.at.size)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.offer(metal, HEAD, ranges);
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        if metal.load16(self.at.used) & USED_NO_NOTIFY == 0 {
            metal.ring(Operation::Kick.word(), Gpa(IDLE_GPA), IDLE_PAGES);
        }
    }

    fn acknowledged(&self, metal: &M) -> bool {
        self.completion == Completion::Return || self.used_index(metal) != self.available.wrapping_sub(1)
    }

    fn take_over(&mut self, metal: &M) {
        // With one chain in flight at a time the index of the next one is all there is to know.
        self.available = metal.load16(self.at.avail.offset(IDX));
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
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::{Order, Pfn};

    const AT: Placement = Placement::of(32);

    fn ring(metal: &mut Fake, completion: Completion) -> SplitRing {
        SplitRing::new(metal, AT, completion)
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
