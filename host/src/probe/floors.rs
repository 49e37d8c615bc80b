//! Parts of a report that are measured by themselves, all of them.

use abi::axes::GuestRing;
use kvm_ioctls::Kvm;

use super::facts::{Answered, DoorbellFact};
use super::floor::{Floor, FloorFact, Spread, ticks};
use super::pages::{Taken, pages};
use super::waits::waits;
use crate::axes::{Backing, Doorbell, Servicer};
use crate::kvm::{Pinned, Placement};

/// All of them, with guests in both modes. Where the kick of a mode was found already, its waits are beyond that.
pub(super) fn floors(kvm: &Kvm, doorbells: &[DoorbellFact]) -> Vec<FloorFact> {
    let placement = Placement::choose(1, Servicer::Device);
    let _pinned = Pinned::to(placement.vcpu(0));
    let mut facts = Vec::new();
    for guest_ring in [GuestRing::Zero, GuestRing::Three] {
        let mut note = |floor, ticks| facts.push(FloorFact { floor, guest_ring, ticks });
        let waits = waits(kvm, guest_ring, kick(doorbells, guest_ring), placement.device());
        for (floor, ticks) in [Floor::WakeUp, Floor::Interrupt, Floor::Sleep].into_iter().zip(waits) {
            note(floor, ticks);
        }
        let small = pages(kvm, guest_ring, Backing::Anon);
        let call = small.as_ref().map(|taken| taken.call).map_err(Clone::clone);
        note(Floor::Madvise, call.clone());
        note(Floor::DiscardPage, small.as_ref().map(|taken| taken.page).map_err(Clone::clone));
        note(Floor::RefaultPage, small.map(|taken| taken.refault));
        let huge = pages(kvm, guest_ring, Backing::AnonThp);
        let beyond = |taken: &Taken| Ok(taken.one.less(call.clone()?));
        note(Floor::DiscardHuge, huge.as_ref().map_err(Clone::clone).and_then(beyond));
        note(Floor::RefaultHuge, huge.map(|taken| taken.refault));
    }
    facts
}

/// Ticks of the kick that a device's thread hears.
fn kick(doorbells: &[DoorbellFact], guest_ring: GuestRing) -> Result<Spread, String> {
    let is = |fact: &&DoorbellFact| fact.doorbell == Doorbell::IoeventfdMmio && fact.guest_ring == guest_ring;
    match doorbells.iter().find(is).map(|fact| &fact.answered) {
        Some(Answered::After { round_trip_ticks }) => Ok(Spread::exactly(ticks(*round_trip_ticks))),
        Some(Answered::Not { reason }) => Err(reason.clone()),
        None => Err("there is no doorbell that a thread hears".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::axes::Axis;

    #[test]
    fn every_floor_is_measured_in_both_modes_or_says_why_not() {
        let facts = match crate::probe::probe() {
            Ok(facts) => facts,
            Err(error) => return println!("skipped: {error}"),
        };
        assert_eq!(facts.floors.len(), 2 * Floor::ALL.len());
        for FloorFact { floor, guest_ring, ticks } in &facts.floors {
            println!("{} {}: {ticks:?}", floor.name(), guest_ring.name());
            match ticks {
                Ok(Spread { low, middle, high }) => assert!(0.0 <= *low && low <= middle && middle <= high),
                Err(reason) => assert!(!reason.is_empty()),
            }
        }
    }
}
