//! Up to 512 blocks of one size in a page that the call points to, each answered in place: see [`abi::wire::status`].

use abi::addr::{Gpa, Order, PageRange};
use abi::calls::Operation;
use abi::layout;
use abi::wire::status::{self, ENTRY_SIZE, LENGTH, SUCCESS};

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries a page of blocks.
#[derive(Clone, Copy, Debug)]
pub struct StatusPage {
    page: Gpa,
    huge: bool,
    count: u16,
}

impl StatusPage {
    /// The page of a virtual processor, for blocks of this order. No host asks for one that entries cannot have.
    #[must_use]
    pub fn of(vcpu: u32, order: Order) -> Self {
        let huge = status::is_huge(order).unwrap_or(false);
        Self { page: layout::vcpu::in_place(vcpu), huge, count: 0 }
    }

    fn entries(self) -> impl Iterator<Item = Gpa> {
        (0..u64::from(self.count)).map(move |number| self.page.offset(number * ENTRY_SIZE))
    }
}

impl<M: Metal> Transport<M> for StatusPage {
    fn capacity(&self) -> usize {
        LENGTH
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.count = 0;
        let mut at = self.page;
        for range in ranges {
            metal.store(at, status::entry(range.start()));
            at = at.offset(ENTRY_SIZE);
            self.count += 1;
        }
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Status { count: self.count, huge: self.huge }.word(), self.page, 1);
    }

    /// Looks at the status of every entry, as a driver has to that keeps what was not taken.
    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        if metal.answer().cast_signed() < 0 {
            return Verdict::from_answer(metal.answer());
        }
        let refused = self.entries().filter(|at| status::status(metal.load(*at)) != SUCCESS).count();
        Verdict { refused: refused as u64, violation: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::Pfn;
    use abi::wire::status::{INVALID, answered, range};

    #[test]
    fn what_is_refused_is_counted_from_the_statuses() {
        let page = layout::vcpu::in_place(0);
        let blocks: Vec<_> =
            [0x400, 0x800, 0x600].map(|start| PageRange::block(Pfn(start), Order::HUGE)).into();
        let named = blocks.clone();
        let mut metal = Fake::new(move |metal, rung| {
            assert_eq!(Operation::from_word(rung.word), Some(Operation::Status { count: 3, huge: true }));
            assert_eq!((rung.gpa, rung.pages), (page, 1));
            // The last one is not answered.
            for (number, answer) in [(0, SUCCESS), (1, INVALID)] {
                let at = page.offset(number * ENTRY_SIZE);
                let entry = metal.load(at);
                let block = named[usize::try_from(number).unwrap()];
                assert_eq!(range(entry, Order::HUGE), Ok(block.as_bytes()));
                metal.store(at, answered(entry, answer));
            }
        });
        let mut transport = StatusPage::of(0, Order::HUGE);
        transport.prepare(&mut metal, &blocks);
        transport.notify(&mut metal);
        assert_eq!(transport.wait(&mut metal).refused, 2);
        metal.answer_with(abi::calls::Answer::BadPage.value());
        assert_eq!(transport.wait(&mut metal).refused, 1, "the call itself");
    }
}
