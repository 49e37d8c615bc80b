//! Nothing: the doorbell alone.

use abi::addr::{Gpa, PageRange};
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};

use super::{Transport, Verdict};
use crate::metal::Metal;

/// Carries nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl<M: Metal> Transport<M> for Empty {
    fn capacity(&self) -> usize {
        1
    }

    fn prepare(&mut self, _: &mut M, _: &[PageRange]) {}

    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Nothing.word(), Gpa(IDLE_GPA), IDLE_PAGES);
    }

    fn wait(&mut self, _: &mut M) -> Verdict {
        Verdict::default()
    }
}
