//! Rings the doorbell, nothing else: no stamps, no trace. What a bare loop and the harness are compared on.

use abi::addr::Gpa;
use abi::boot::BootInfo;
use abi::calls::{Control, IDLE_GPA, IDLE_PAGES, Operation};

use crate::metal::Metal;

/// Says ready, rings `reports` times, says done, and begins again whenever it is resumed.
pub(super) fn run(metal: &mut impl Metal, info: &BootInfo) {
    loop {
        metal.control(Control::Ready);
        for _ in 0..info.reports {
            metal.ring(Operation::Nothing.word(), Gpa(IDLE_GPA), IDLE_PAGES);
        }
        metal.control(Control::Done);
    }
}
