//! Rings the doorbell, nothing else: no stamps, no trace. What a bare loop and the harness are compared on.

use abi::boot::BootInfo;
use abi::control::Control;
use abi::notes;

use crate::metal::{Metal, count};
use crate::transport::{Empty, Transport};

/// Says ready, rings `reports` times, says done, and begins again whenever it is resumed.
pub(super) fn run(metal: &mut impl Metal, info: &BootInfo) {
    loop {
        knock(metal, info);
    }
}

/// Rings `reports` times; rings that were answered with an error are counted.
fn knock(metal: &mut impl Metal, info: &BootInfo) {
    let mut doorbell = Empty::new(info.bell);
    metal.control(Control::Ready);
    for _ in 0..info.reports {
        doorbell.notify(metal);
        let verdict = doorbell.wait(metal);
        if verdict.refused != 0 {
            count(metal, notes::REFUSED, verdict.refused);
        }
    }
    metal.control(Control::Done);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use crate::timed::program::tests::info;
    use abi::axes::{Afterwards, Bell, Carrier};

    #[test]
    fn refused_rings_are_counted() {
        let mut metal = Fake::new(|_, _| {});
        // What KVM answers to a hypercall from ring 3: -KVM_EPERM.
        metal.answer_with(1_u64.wrapping_neg());
        let info = BootInfo { bell: Bell::VmmcallToKernel, ..info(Carrier::Empty, Afterwards::Kept) };
        knock(&mut metal, &info);
        assert_eq!((metal.rings, metal.load(notes::REFUSED)), (60, 60));
        assert_eq!(metal.said, [Control::Ready, Control::Done]);
    }
}
