//! Nothing: the doorbell alone.

use abi::addr::{Gpa, PageRange};
use abi::axes::Bell;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries nothing.
#[derive(Clone, Copy, Debug)]
pub struct Empty {
    /// Whether the doorbell answers: a call that KVM refuses is quick, and must not pass for one that was
    /// answered.
    answered: bool,
}

impl Empty {
    /// Nothing, told by `bell`.
    #[must_use]
    pub const fn new(bell: Bell) -> Self {
        Self { answered: bell.answers_in_a_register() }
    }
}

impl<M: Metal> Transport<M> for Empty {
    fn capacity(&self) -> usize {
        1
    }

    #[inline(always)]
    fn prepare(&mut self, _: &mut M, _: &[PageRange]) {}

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Nothing.word(), Gpa(IDLE_GPA), IDLE_PAGES);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        let refused = self.answered && metal.answer() != 0;
        Verdict { refused: refused.into(), violation: None }
    }
}
