//! Rings the doorbell, nothing else: no stamps, no trace. What a bare loop and the harness are compared on; and, where a
//! thread of the host answers each ring, what waiting for it costs.

use abi::axes::Completion;
use abi::boot::BootInfo;
use abi::control::Control;
use abi::notes;

use crate::metal::{Metal, count};
use crate::transport::{Empty, Transport};

/// Says ready, rings `reports` times, says done, and begins again whenever it is resumed.
pub(super) fn run(metal: &mut impl Metal, info: &BootInfo) {
    loop {
        match info.completion {
            Completion::Return => knock(metal, info),
            Completion::Poll => knock_and_wait(metal, info, Metal::relax),
            Completion::Interrupt => knock_and_wait(metal, info, Metal::halt),
        }
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

/// The same; after each ring it waits until the host has answered one more.
fn knock_and_wait<M: Metal>(metal: &mut M, info: &BootInfo, wait: impl Fn(&mut M)) {
    let mut doorbell = Empty::new(info.bell);
    let mut answered = metal.load32(notes::ANSWERED);
    metal.control(Control::Ready);
    for _ in 0..info.reports {
        doorbell.notify(metal);
        while metal.load32_acquire(notes::ANSWERED) == answered {
            wait(metal);
        }
        answered = answered.wrapping_add(1);
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

    #[test]
    fn each_ring_waits_for_its_answer() {
        let mut metal = Fake::new(|_, _| {});
        metal.store(notes::ANSWERED, 3);
        let info = info(Carrier::Empty, Afterwards::Kept);
        // The host is slow: it answers at the second look.
        let looks = std::cell::Cell::new(0_u32);
        knock_and_wait(&mut metal, &info, |metal: &mut Fake| {
            looks.set(looks.get() + 1);
            if looks.get().is_multiple_of(2) {
                count(metal, notes::ANSWERED, 1);
            }
        });
        assert_eq!((metal.rings, looks.get(), metal.load(notes::ANSWERED)), (60, 120, 63));
    }
}
