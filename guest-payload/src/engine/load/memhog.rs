//! `memhog`: takes most of the guest, gives it all back, waits until it is reported; so many rounds. After the tool of
//! numactl with which the series of 2019 was shown to return memory.

use abi::engine::books::shared::ROUND;

use crate::metal::Metal;

use super::owner::Owner;
use super::page_fault1::PageFault1;

/// Runs the rounds.
pub(super) fn run<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
    rounds(owner, metal, owner.info.rounds, |_, _| {});
}

/// All processors take their footprints, and when all have, give them back; then they do as `freed` says, and wait for
/// reporting to settle.
pub(super) fn rounds<M: Metal, const REPORTS: bool>(
    owner: &mut Owner<'_, M, REPORTS>,
    metal: &mut M,
    rounds: u64,
    freed: impl Fn(&mut Owner<'_, M, REPORTS>, &mut M),
) {
    let mut hog = PageFault1::new(owner);
    owner.core.switch_on();
    owner.begin(metal);
    for round in 1..=rounds {
        if owner.leads() {
            metal.store(ROUND, round);
        }
        hog.again();
        while hog.fill(owner, metal) {
            owner.core.between(metal);
        }
        owner.meet(metal);
        while hog.empty(owner, metal) {
            owner.core.between(metal);
        }
        freed(owner, metal);
        owner.settle(metal);
    }
    owner.end(metal);
}
