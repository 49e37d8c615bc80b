//! One range in a request page of this processor's own, answered in place: see [`abi::wire::request`].

use abi::addr::{Gpa, PageRange};
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::{self, REQUEST_PAGE};
use abi::wire::request::{DONTNEED, error};

use super::virtio_mmio::halves;
use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestPage {
    page: Gpa,
}

impl RequestPage {
    /// The request page of this virtual processor, whose host is told where it is.
    pub fn place(metal: &mut impl Metal) -> Self {
        let page = layout::vcpu::in_place(metal.vcpu());
        let [low, high] = halves(page.0);
        metal.store32(REQUEST_PAGE, low);
        metal.store32(REQUEST_PAGE.offset(4), high);
        Self { page }
    }
}

impl<M: Metal> Transport<M> for RequestPage {
    fn capacity(&self) -> usize {
        1
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        if let Some(range) = ranges.first() {
            let mut at = self.page;
            for word in [DONTNEED, range.gpa().0, range.bytes(), 0] {
                metal.store(at, word);
                at = at.offset(8);
            }
        }
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Request.word(), Gpa(IDLE_GPA), IDLE_PAGES);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        let refused = error(metal.load(self.page)) != 0;
        Verdict { refused: refused.into(), violation: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::{Order, Pfn};
    use abi::wire::request::{FAULT, response};

    const PAGE: Gpa = layout::vcpu::in_place(0);

    /// What the guest makes of a host that answers so, or not at all.
    fn refused(answer: Option<u32>) -> u64 {
        let mut metal = Fake::new(move |metal, rung| {
            assert_eq!(Operation::from_word(rung.word), Some(Operation::Request));
            assert_eq!(
                [0, 8, 16, 24].map(|at| metal.load(PAGE.offset(at))),
                [DONTNEED, 0x40_0000, 2 << 20, 0]
            );
            if let Some(error) = answer {
                metal.store(PAGE, response(error));
            }
        });
        let mut request = RequestPage { page: PAGE };
        request.prepare(&mut metal, &[PageRange::block(Pfn(0x400), Order::HUGE)]);
        request.notify(&mut metal);
        request.wait(&mut metal).refused
    }

    #[test]
    fn a_request_that_is_refused_or_not_answered_is_not_done() {
        assert_eq!(refused(Some(0)), 0);
        assert_eq!(refused(Some(FAULT)), 1);
        assert_eq!(refused(None), 1);
    }
}
