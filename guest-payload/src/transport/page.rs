//! Up to 511 ranges in a page that the call points to.

use abi::addr::{Gpa, PageRange};
use abi::calls::Operation;
use abi::layout;
use abi::wire::page::{self, BATCH_LENGTH};

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries a page of ranges.
#[derive(Clone, Copy, Debug)]
pub struct BatchPage {
    page: Gpa,
    count: u16,
}

impl BatchPage {
    /// The batch page of a virtual processor.
    #[must_use]
    pub const fn of(vcpu: u32) -> Self {
        Self { page: layout::vcpu::batch(vcpu), count: 0 }
    }
}

impl<M: Metal> Transport<M> for BatchPage {
    fn capacity(&self) -> usize {
        BATCH_LENGTH
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.count = 0;
        let mut at = self.page.offset(page::ENTRIES);
        for range in ranges {
            metal.store(at, page::entry(*range));
            at = at.offset(page::ENTRY_SIZE);
            self.count += 1;
        }
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Batch { count: self.count }.word(), self.page, 1);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        Verdict::from_answer(metal.answer())
    }
}
