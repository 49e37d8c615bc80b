//! Up to 511 ranges in the input page of Hyper-V's memory heat hint, as Linux's `hv_balloon` reports free pages.

use abi::addr::{Gpa, PageRange};
use abi::calls::{Operation, hyperv};
use abi::layout;
use abi::wire::heat_hint;

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries a page of hints. A result is never of a part of them, so that nothing is called for again, as
/// `hv_do_rep_hypercall` would.
#[derive(Clone, Copy, Debug)]
pub struct HeatHint {
    page: Gpa,
    count: u16,
}

impl HeatHint {
    /// The input page of a virtual processor: that of its batches.
    #[must_use]
    pub const fn of(vcpu: u32) -> Self {
        Self { page: layout::vcpu::batch(vcpu), count: 0 }
    }
}

impl<M: Metal> Transport<M> for HeatHint {
    fn capacity(&self) -> usize {
        usize::from(heat_hint::CAPACITY)
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        metal.store(self.page, heat_hint::HEADER);
        self.count = 0;
        let mut at = self.page.offset(heat_hint::ENTRIES);
        for range in ranges {
            metal.store(at, heat_hint::entry(*range));
            at = at.offset(heat_hint::ENTRY_SIZE);
            self.count += 1;
        }
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::HeatHint { count: self.count }.word(), self.page, 1);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        Verdict { refused: (!hyperv::is_success(metal.answer())).into(), violation: None }
    }
}
