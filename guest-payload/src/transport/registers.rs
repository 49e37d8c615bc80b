//! One range in the registers of the call.

use abi::addr::PageRange;
use abi::calls::Operation;

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries one range.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    range: Option<PageRange>,
}

impl<M: Metal> Transport<M> for Registers {
    fn capacity(&self) -> usize {
        1
    }

    #[inline(always)]
    fn prepare(&mut self, _: &mut M, ranges: &[PageRange]) {
        self.range = ranges.first().copied();
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        if let Some(range) = self.range {
            metal.ring(Operation::Range.word(), range.gpa(), range.pages());
        }
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        Verdict::from_answer(metal.answer())
    }
}
