//! The measured loop with a delay planted in one step of the transport: what shows that each phase is where it is said
//! to be. A transport of its own, so that the loop without a delay is the same instructions.

use abi::addr::PageRange;
use abi::boot::BootInfo;
use abi::timed::SLOW;

use super::program;
use crate::metal::Metal;
use crate::transport::choose::Over;
use crate::transport::{Transport, Verdict};

/// A step of a transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Before the ranges are put into the carrier.
    Prepare,
    /// Before the doorbell instruction.
    Notify,
    /// After the acknowledgement.
    Wait,
}

/// The measured program with a delay in this step.
#[derive(Clone, Copy, Debug)]
pub struct Slowly(pub Step);

impl<M: Metal> Over<M> for Slowly {
    fn over<T: Transport<M>>(self, metal: &mut M, info: &BootInfo, mut transport: T) {
        let transport: &mut dyn Transport<M> = &mut transport;
        program::run(metal, info, Slow { transport, step: self.0 });
    }
}

struct Slow<T> {
    transport: T,
    step: Step,
}

impl<T> Slow<T> {
    fn spin(&self, metal: &mut impl Metal, here: Step) {
        if self.step == here {
            let start = metal.clock();
            while metal.clock().wrapping_sub(start) < SLOW {
                metal.relax();
            }
        }
    }
}

impl<M: Metal, T: Transport<M>> Transport<M> for Slow<T> {
    fn capacity(&self) -> usize {
        self.transport.capacity()
    }

    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        self.spin(metal, Step::Prepare);
        self.transport.prepare(metal, ranges);
    }

    fn is_last(&self) -> bool {
        self.transport.is_last()
    }

    fn calls(&self, ranges: &[PageRange]) -> usize {
        self.transport.calls(ranges)
    }

    fn notify(&mut self, metal: &mut M) {
        self.spin(metal, Step::Notify);
        self.transport.notify(metal);
    }

    fn wait(&mut self, metal: &mut M) -> Verdict {
        let verdict = self.transport.wait(metal);
        self.spin(metal, Step::Wait);
        verdict
    }

    fn before_use(&mut self, metal: &mut M, ranges: &[PageRange]) -> Verdict {
        self.transport.before_use(metal, ranges)
    }
}
