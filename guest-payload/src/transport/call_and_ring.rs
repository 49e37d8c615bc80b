//! A call for each range, then all of them as one chain of a split ring: what a guest does whose host must be told of
//! every page before it may touch it.
//!
//! Guests of pKVM on Android relinquish each page by a call before they report it; confidential guests tell their host of
//! pages they share and unshare by `KVM_HC_MAP_GPA_RANGE` (Linux `Documentation/virt/kvm/x86/hypercalls.rst`), the very
//! call that ours are.

use abi::addr::PageRange;
use abi::calls::Operation;

use super::{SplitRing, Transport, Verdict};
use crate::metal::Metal;

/// Carries a chain, after a call a range.
#[derive(Clone, Copy, Debug)]
pub struct CallAndRing {
    ring: SplitRing,
    /// Ranges of the report that were announced.
    announced: usize,
    /// What the call at hand announces; `None` if it is the kick.
    range: Option<PageRange>,
}

impl CallAndRing {
    /// The same as this ring, with the calls.
    #[must_use]
    pub const fn over(ring: SplitRing) -> Self {
        Self { ring, announced: 0, range: None }
    }
}

impl<M: Metal> Transport<M> for CallAndRing {
    fn capacity(&self) -> usize {
        Transport::<M>::capacity(&self.ring)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.range = ranges.get(self.announced).copied();
        if self.range.is_some() {
            self.announced += 1;
        } else {
            self.announced = 0;
            self.ring.prepare(metal, ranges);
        }
    }

    fn is_last(&self) -> bool {
        self.range.is_none()
    }

    fn calls(&self, ranges: &[PageRange]) -> usize {
        ranges.len() + Transport::<M>::calls(&self.ring, ranges)
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        match self.range {
            Some(range) => metal.ring(Operation::Announce.word(), range.gpa(), range.pages()),
            None => self.ring.notify(metal),
        }
    }

    fn acknowledged(&self, metal: &M) -> bool {
        self.range.is_some() || self.ring.acknowledged(metal)
    }

    fn take_over(&mut self, metal: &M) {
        self.ring.take_over(metal);
    }

    fn is_shared(&self) -> bool {
        true
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        match self.range {
            Some(_) => Verdict::from_answer(metal.answer()),
            None => self.ring.wait(metal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::metal::fake::Fake;
    use crate::transport::Plain;
    use abi::addr::{Order, Pfn};
    use abi::axes::Completion;
    use abi::wire::split_ring::Placement;

    #[test]
    fn every_range_is_announced_before_any_is_on_the_ring() {
        let at = Placement::of(32);
        let rung = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&rung);
        let mut metal = Fake::new(move |metal, rung| {
            heard.borrow_mut().push((
                Operation::from_word(rung.word),
                rung.gpa.0,
                metal.load16(at.avail.offset(2)),
            ));
        });
        let ring = SplitRing::new(&mut metal, at, Completion::Return, Plain);
        let mut transport = CallAndRing::over(ring);
        let blocks = [0x400, 0x600].map(|start| PageRange::block(Pfn(start), Order::HUGE));
        assert_eq!(Transport::<Fake>::calls(&transport, &blocks), 3);
        for report in 1..=2 {
            let mut calls = 0;
            loop {
                transport.prepare(&mut metal, &blocks);
                transport.notify(&mut metal);
                calls += 1;
                if Transport::<Fake>::is_last(&transport) {
                    break;
                }
                assert_eq!(transport.wait(&mut metal), Verdict::default());
            }
            assert_eq!(calls, 3);
            let before = report - 1;
            assert_eq!(
                rung.take(),
                [
                    (Some(Operation::Announce), 0x40_0000, before),
                    (Some(Operation::Announce), 0x60_0000, before),
                    (Some(Operation::Kick), 0, report),
                ]
            );
        }
    }
}
