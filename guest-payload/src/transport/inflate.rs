//! Up to 256 frames of 4 KiB in a buffer of the inflate queue, and the same in the deflate queue before they are used
//! again: see [`abi::wire::frames`].
//!
//! A block of more pages than that takes several calls, one after the other. Either queue is kicked by its own number and
//! waited for in the way that was chosen.

use abi::addr::{Gpa, Order, PageRange};
use abi::axes::Completion;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::violation::Violation;
use abi::wire::frames::{FRAME_SIZE, LIST_LENGTH, Place};
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, AVAIL_NO_INTERRUPT, DESC_LEN, ENTRIES, IDX, USED_ENTRY_SIZE, USED_NO_NOTIFY,
};

use super::{Transport, Verdict};
use crate::metal::Metal;

/// The frames of a list, where it is compared with a number of pages.
const LIST_PAGES: u64 = LIST_LENGTH as u64;

/// Carries a list of frames.
#[derive(Clone, Copy, Debug)]
pub struct Inflate {
    inflate: Queue,
    deflate: Queue,
    /// Blocks that a list has room for; 1 if it has room for none.
    blocks: usize,
    /// Lists that a block takes.
    lists: usize,
    /// Pages of the ranges at hand that earlier calls had.
    sent: u64,
}

impl Inflate {
    /// The driver of both queues, which are set up ([`crate::transport::virtio_mmio::start_frames`]), for blocks of this
    /// order.
    pub fn new(metal: &mut impl Metal, order: Order, completion: Completion) -> Self {
        let whole = |pages: u64| usize::try_from(pages).unwrap_or(usize::MAX);
        Self {
            inflate: Queue::new(metal, Place::INFLATE, completion),
            deflate: Queue::new(metal, Place::DEFLATE, completion),
            blocks: whole(LIST_PAGES >> order.get()).max(1),
            lists: whole(order.pages().div_ceil(LIST_PAGES)),
            sent: 0,
        }
    }
}

impl<M: Metal> Transport<M> for Inflate {
    fn capacity(&self) -> usize {
        self.blocks
    }

    fn calls(&self, ranges: &[PageRange]) -> usize {
        (ranges.len().div_ceil(self.blocks) * self.lists).max(1)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.sent = self.inflate.offer(metal, ranges, self.sent);
    }

    fn is_last(&self) -> bool {
        self.sent == 0
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        self.inflate.kick(metal);
    }

    fn acknowledged(&self, metal: &M) -> bool {
        self.inflate.is_answered(metal)
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        self.inflate.wait(metal)
    }

    fn before_use(&mut self, metal: &mut M, ranges: &[PageRange]) -> Verdict {
        let mut verdict = Verdict::default();
        for ranges in ranges.chunks(self.blocks) {
            let mut sent = 0;
            loop {
                sent = self.deflate.offer(metal, ranges, sent);
                self.deflate.kick(metal);
                let next = self.deflate.wait(metal);
                verdict = verdict.and(next);
                if sent == 0 {
                    break;
                }
            }
        }
        verdict
    }
}

/// The driver's end of one of the queues.
#[derive(Clone, Copy, Debug)]
struct Queue {
    at: Place,
    completion: Completion,
    /// Lists made available so far, modulo 2^16: the next `avail.idx`.
    available: u16,
}

impl Queue {
    fn new(metal: &mut impl Metal, at: Place, completion: Completion) -> Self {
        let flags = if completion == Completion::Interrupt { 0 } else { AVAIL_NO_INTERRUPT };
        metal.store16(at.ring.avail, flags);
        Self { at, completion, available: 0 }
    }

    /// Makes a list available of what is left of the ranges behind their first `sent` pages: how many pages have been sent
    /// then, or 0 if nothing is left. Ranges of which a part was sent are one range.
    #[inline(always)]
    fn offer(&mut self, metal: &mut impl Metal, ranges: &[PageRange], sent: u64) -> u64 {
        let mut count = 0;
        let frames = ranges.iter().flat_map(|range| range.start().0 + sent..range.end().0);
        for frame in frames.take(LIST_LENGTH) {
            let at = self.at.list.offset(count * FRAME_SIZE);
            // Guest memory ends far below the frames that 32 bits do not number.
            metal.store32(at, u32::try_from(frame).unwrap_or(u32::MAX));
            count += 1;
        }
        // One descriptor, of a buffer that is only read: no flags, no next one.
        metal.store(self.at.ring.desc, self.at.list.0);
        metal.store(self.at.ring.desc.offset(DESC_LEN), count * FRAME_SIZE);
        let slot = u64::from(self.available % self.at.ring.size);
        metal.store16(self.at.ring.avail.offset(ENTRIES + slot * AVAIL_ENTRY_SIZE), 0);
        self.available = self.available.wrapping_add(1);
        // Publish: list, descriptor and entry must be visible before the index (2.7.13.3), and the load of used.flags in
        // `kick` must not be satisfied before the index is visible (2.7.13.4.1).
        metal.store16_publish(self.at.ring.avail.offset(IDX), self.available);
        let total: u64 = ranges.iter().map(|range| range.pages()).sum();
        if sent + count < total { sent + count } else { 0 }
    }

    #[inline(always)]
    fn kick(&self, metal: &mut impl Metal) {
        if metal.load16(self.at.ring.used) & USED_NO_NOTIFY == 0 {
            let queue = Operation::Queue { queue: self.at.number };
            metal.ring(queue.word(), Gpa(IDLE_GPA), IDLE_PAGES);
        }
    }

    fn used_index(&self, metal: &impl Metal) -> u16 {
        // Acquire: the used entry, and the host's work on the pages, must be visible once the index is.
        metal.load16_acquire(self.at.ring.used.offset(IDX))
    }

    fn is_answered(&self, metal: &impl Metal) -> bool {
        self.completion == Completion::Return || self.used_index(metal) != self.available.wrapping_sub(1)
    }

    #[inline(always)]
    fn wait(&self, metal: &mut impl Metal) -> Verdict {
        let before = self.available.wrapping_sub(1);
        while self.completion != Completion::Return && self.used_index(metal) == before {
            if self.completion == Completion::Poll { metal.relax() } else { metal.halt() }
        }
        Verdict { refused: 0, violation: self.judge(metal) }
    }

    /// What is wrong with the acknowledgement of the list in flight, if anything.
    fn judge(&self, metal: &impl Metal) -> Option<Violation> {
        let before = self.available.wrapping_sub(1);
        match self.used_index(metal) {
            used if used == before => return Some(Violation::Unacknowledged),
            used if used != self.available => return Some(Violation::UsedAhead),
            _ => {}
        }
        let slot = u64::from(before % self.at.ring.size);
        let entry = self.at.ring.used.offset(ENTRIES + slot * USED_ENTRY_SIZE);
        // The only descriptor there is, and nothing written.
        (metal.load32(entry) != 0 || metal.load32(entry.offset(4)) != 0).then_some(Violation::UsedWrong)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::Pfn;

    type Lists = Rc<RefCell<Vec<(u16, Vec<u32>)>>>;

    /// A host that acknowledges what is kicked, and says which lists it found in which queue.
    fn host() -> (Fake, Lists) {
        let lists = Lists::default();
        let heard = Rc::clone(&lists);
        let metal = Fake::new(move |metal, rung| {
            let Some(Operation::Queue { queue }) = Operation::from_word(rung.word) else {
                panic!("{rung:?}")
            };
            let at = if queue == Place::INFLATE.number { Place::INFLATE } else { Place::DEFLATE };
            let (list, len) = (Gpa(metal.load(at.ring.desc)), metal.load(at.ring.desc.offset(8)));
            let frames = (0..len / 4).map(|number| metal.load32(list.offset(number * 4))).collect();
            heard.borrow_mut().push((queue, frames));
            let used = metal.load16(at.ring.used.offset(2)).wrapping_add(1);
            metal.store16(at.ring.used.offset(2), used);
        });
        (metal, lists)
    }

    /// The lists of a report and of taking it back.
    fn lists(order: u64, blocks: u64) -> (usize, Vec<(u16, Vec<u32>)>) {
        let (mut metal, lists) = host();
        let order = Order::new(order).unwrap();
        let ranges: Vec<_> =
            (0..blocks).map(|number| PageRange::block(Pfn(0x400 + number * order.pages()), order)).collect();
        let mut transport = Inflate::new(&mut metal, order, Completion::Return);
        let calls = Transport::<Fake>::calls(&transport, &ranges);
        for ranges in ranges.chunks(Transport::<Fake>::capacity(&transport)) {
            loop {
                transport.prepare(&mut metal, ranges);
                transport.notify(&mut metal);
                assert_eq!(transport.wait(&mut metal), Verdict::default());
                if Transport::<Fake>::is_last(&transport) {
                    break;
                }
            }
        }
        assert_eq!(transport.before_use(&mut metal, &ranges), Verdict::default());
        (calls, lists.take())
    }

    #[test]
    fn every_frame_is_inflated_once_and_deflated_once() {
        for (order, blocks, calls) in
            [(0, 3, 1), (0, 300, 2), (3, 33, 2), (8, 2, 2), (9, 1, 2), (9, 3, 6), (10, 1, 4)]
        {
            let (said, lists) = lists(order, blocks);
            assert_eq!((said, lists.len()), (calls, 2 * calls), "{blocks} blocks of order {order}");
            let frames = |queue| {
                let of = lists.iter().filter(move |(number, _)| *number == queue);
                of.flat_map(|(_, frames)| frames.iter().copied()).collect::<Vec<_>>()
            };
            let expected: Vec<u32> = (0x400..0x400 + (u32::try_from(blocks).unwrap() << order)).collect();
            assert_eq!((frames(0), frames(1)), (expected.clone(), expected));
            assert!(lists.iter().all(|(_, frames)| frames.len() <= LIST_LENGTH));
            let turned = lists.iter().position(|(queue, _)| *queue == 1);
            assert_eq!(turned, Some(calls), "nothing is deflated before all is inflated");
        }
    }

    #[test]
    fn a_wrong_acknowledgement_is_named() {
        for (used, [entry, len], violation) in [
            (0, [0, 0], Some(Violation::Unacknowledged)),
            (1, [0, 0], None),
            (2, [0, 0], Some(Violation::UsedAhead)),
            (1, [1, 0], Some(Violation::UsedWrong)),
            (1, [0, 4], Some(Violation::UsedWrong)),
        ] {
            let at = Place::INFLATE.ring.used;
            let mut metal = Fake::new(move |metal, _| {
                metal.store16(at.offset(2), used);
                metal.store32(at.offset(4), entry);
                metal.store32(at.offset(8), len);
            });
            let mut transport = Inflate::new(&mut metal, Order::PAGE, Completion::Return);
            transport.prepare(&mut metal, &[PageRange::block(Pfn(0x400), Order::PAGE)]);
            transport.notify(&mut metal);
            assert_eq!(transport.wait(&mut metal).violation, violation);
        }
    }
}
