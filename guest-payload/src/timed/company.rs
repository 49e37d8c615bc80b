//! The measured loop on several processors: see [`abi::timed::company`].
//!
//! ```text
//!   first      Ready ┊ Filled ┊ report ┊ Reported ┊ take back ┊ Begin ┊ measured ┊ End ┊ Filled …      Done
//!   others           ┊        ┊ report ┊          ┊ take back ┊ Begin ┊ measured ┊ End ┊        …    Parked
//! ```
//!
//! At every dotted line all of them meet. So the host looks at the arena while nobody touches it, and what is measured
//! is measured while everybody works: who faults goes on until everybody that reports is done.

use abi::addr::{Order, PageRange};
use abi::axes::{Carrier, RingFeatures};
use abi::boot::BootInfo;
use abi::control::Control;
use abi::layout::{ARENA_START, COMPANY};
use abi::timed::company::{Company, Own, WORDS, ended, met};
use abi::wire::page::BATCH_LENGTH;

use super::fault::Faulter;
use super::program::{Reporter, batch_size};
use super::trace::Trace;
use super::turns::Turns;
use crate::metal::Metal;
use crate::transport::choose::{Over, choose, packed, split};
use crate::transport::virtio_mmio::StartError;
use crate::transport::{BatchPage, PackedRing, Plain, Registers, SplitRing, Transport};

/// The processor that brings up the carrier and speaks for all.
const FIRST: u32 = 0;
/// The nap of whoever waits for the others, in microseconds.
const NAP: u32 = 50;

/// Runs the trial on this processor.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
///
/// # Panics
/// If the words of the company are of another build, or the carrier is one that only one processor can have.
pub fn run<M: Metal>(metal: &mut M, info: &BootInfo) -> Result<(), StartError> {
    let words = core::array::from_fn::<u64, WORDS, _>(|at| metal.load(COMPANY.offset(at as u64 * 8)));
    let company = Company::from_words(words).unwrap_or_else(|| panic!("a company of {words:?}"));
    let vcpu = metal.vcpu();
    let member = Member { company, meetings: 0 };
    match info.carrier {
        _ if !company.reports(vcpu) => fault(metal, info, member),
        _ if vcpu == FIRST => return choose(metal, info, member),
        Carrier::Registers => member.over(metal, info, Registers::default()),
        Carrier::Batch => member.over(metal, info, BatchPage::of(vcpu)),
        Carrier::Ring if info.ring_features == RingFeatures::NONE => {
            member.over(metal, info, SplitRing::beside(split(info)?, info.completion, Plain));
        }
        Carrier::Ring => {
            member.over(metal, info, SplitRing::beside(split(info)?, info.completion, info.ring_features));
        }
        Carrier::PackedRing if info.ring_features == RingFeatures::NONE => {
            member.over(metal, info, PackedRing::beside(packed(info)?, info.completion, Plain));
        }
        Carrier::PackedRing => {
            member.over(metal, info, PackedRing::beside(packed(info)?, info.completion, info.ring_features));
        }
        carrier => panic!("{carrier:?} is no carrier of several processors"),
    }
    Ok(())
}

/// One of the company.
#[derive(Clone, Copy, Debug)]
struct Member {
    company: Company,
    /// How often it has met the others.
    meetings: u32,
}

impl<M: Metal> Over<M> for Member {
    fn over<T: Transport<M>>(self, metal: &mut M, info: &BootInfo, mut transport: T) {
        // The loop is there once for all transports: a call by a table a step more than one processor alone makes.
        let transport: &mut dyn Transport<M> = &mut transport;
        // Of a carrier of its own nobody else asks.
        if transport.is_shared() && self.company.reporters > 1 {
            report(metal, info, self, Turns(transport));
        } else {
            report(metal, info, self, transport);
        }
    }
}

impl Member {
    /// Waits until all are here. What each of them did before is visible to all of them afterwards.
    fn meet(&mut self, metal: &mut impl Metal) {
        self.meetings += 1;
        // Release: whoever sees the number sees what was done before.
        metal.store32_release(met(metal.vcpu()), self.meetings);
        for other in 0..self.company.vcpus {
            // Acquire: pairs with the release above. Nobody is more than one meeting ahead, and no number wraps.
            while metal.load32_acquire(met(other)) < self.meetings {
                metal.idle(NAP);
            }
        }
    }

    /// The same, after the first has said something to the host.
    fn meet_after(&mut self, metal: &mut impl Metal, trace: &mut Trace, control: Control) {
        if metal.vcpu() == FIRST {
            trace.hand_over(metal, control);
        }
        self.meet(metal);
    }

    /// Whether the measured part of all that report is over.
    fn all_ended(&self, metal: &impl Metal) -> bool {
        // Acquire is more than this needs: they meet afterwards.
        (0..self.company.reporters).all(|vcpu| metal.load32_acquire(ended(vcpu)) != 0)
    }
}

fn report<M: Metal, T: Transport<M>>(metal: &mut M, info: &BootInfo, mut member: Member, transport: T) {
    let vcpu = metal.vcpu();
    let mut reporter = Reporter::of(member.company.share(vcpu, info.arena_pages), info, transport);
    let mut space = [PageRange::block(ARENA_START, Order::PAGE); BATCH_LENGTH];
    let batch = &mut space[..batch_size(info)];

    reporter.stamp_share(metal);
    member.meet(metal);
    member.meet_after(metal, &mut reporter.trace, Control::Ready);
    for _ in 0..info.warmup {
        reporter.cycle(metal, batch);
    }
    prove(metal, &mut member, &mut reporter, batch);
    reporter.trace.hand_over(metal, Control::Begin);
    member.meet(metal);
    for _ in 0..info.reports {
        reporter.cycle(metal, batch);
    }
    metal.store32_release(ended(vcpu), 1);
    member.meet(metal);
    reporter.trace.hand_over(metal, Control::End);
    prove(metal, &mut member, &mut reporter, batch);
    reporter.sweep(metal);
    member.meet(metal);
    reporter.trace.hand_over(metal, last_word(vcpu));
}

/// Everybody reports a batch between two looks of the host at what the kernel says is resident.
fn prove<M: Metal, T: Transport<M>>(
    metal: &mut M,
    member: &mut Member,
    reporter: &mut Reporter<T>,
    batch: &mut [PageRange],
) {
    member.meet(metal);
    member.meet_after(metal, &mut reporter.trace, Control::Filled);
    reporter.free(metal, batch);
    let record = reporter.report(metal, batch);
    member.meet(metal);
    member.meet_after(metal, &mut reporter.trace, Control::Reported);
    reporter.take_back(metal, batch, record);
    member.meet(metal);
}

fn fault<M: Metal>(metal: &mut M, info: &BootInfo, mut member: Member) {
    let vcpu = metal.vcpu();
    let share = member.company.share(vcpu, info.arena_pages);
    let faulter = Faulter::new(share, Own::of(vcpu, info.arena_pages).tally());
    let mut trace = Trace::default();

    faulter.fill(metal);
    member.meet(metal);
    member.meet_after(metal, &mut trace, Control::Ready);
    look_on(metal, &mut member);
    trace.hand_over(metal, Control::Begin);
    member.meet(metal);
    if member.company.reporters > 0 {
        faulter.run(metal, |metal| member.all_ended(metal));
    } else {
        // Nobody reports: each faults in as many pages as it would have reported, at least.
        let mut left = info.reports * info.batch * info.order.pages();
        faulter.run(metal, |_| {
            left = left.saturating_sub(Faulter::STRIDE);
            left == 0
        });
    }
    member.meet(metal);
    trace.hand_over(metal, Control::End);
    look_on(metal, &mut member);
    faulter.sweep(metal);
    member.meet(metal);
    trace.hand_over(metal, last_word(vcpu));
}

/// Meets whom [`prove`] meets, and touches nothing.
fn look_on(metal: &mut impl Metal, member: &mut Member) {
    for _ in 0..5 {
        member.meet(metal);
    }
}

const fn last_word(vcpu: u32) -> Control {
    if vcpu == FIRST { Control::Done } else { Control::Parked }
}

#[cfg(test)]
mod tests;
