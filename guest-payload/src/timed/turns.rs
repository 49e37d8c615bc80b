//! A carrier that is one for all processors: they take turns. Who reports waits for its turn in *prepare*, takes the
//! carrier over, and gives it on when the host has acted.

use abi::addr::PageRange;
use abi::timed::company::TURN;

use crate::metal::Metal;
use crate::transport::{Transport, Verdict};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Looks at a taken turn before the processor is given away: whoever has it may have none.
const PATIENCE: u32 = 400;

/// A carrier by turns.
#[derive(Debug)]
pub(super) struct Turns<T>(pub(super) T);

impl<M: Metal, T: Transport<M>> Transport<M> for Turns<T> {
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        take(metal);
        self.0.take_over(metal);
        self.0.prepare(metal, ranges);
    }

    fn notify(&mut self, metal: &mut M) {
        self.0.notify(metal);
    }

    fn wait(&mut self, metal: &mut M) -> Verdict {
        let verdict = self.0.wait(metal);
        // Release: what was done to the carrier is visible to whoever has it next.
        metal.store32_release(TURN, FREE);
        verdict
    }
}

fn take(metal: &mut impl Metal) {
    let mut looks = 0;
    // Acquire: pairs with the release of whoever had the turn before.
    while metal.swap32_acquire(TURN, TAKEN) != FREE {
        // Only a load while it is taken: the line stays shared. The swap is what orders.
        while metal.load32_acquire(TURN) != FREE {
            metal.relax();
            looks += 1;
            if looks == PATIENCE {
                metal.idle(0);
                looks = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::{Order, Pfn};
    use abi::axes::Completion;
    use abi::wire::split_ring::Placement;

    use super::*;
    use crate::metal::fake::Fake;
    use crate::transport::{Plain, SplitRing};

    const AT: Placement = Placement::of(32);

    /// Uses whatever chain was made available last.
    fn metal() -> Fake {
        Fake::new(|metal, _| {
            let available = metal.load16(AT.avail.offset(2));
            metal.store16(AT.used.offset(2), available);
        })
    }

    #[test]
    fn two_ends_of_a_ring_go_on_where_the_other_was() {
        let mut metal = metal();
        let first = SplitRing::new(&mut metal, AT, Completion::Return, Plain);
        let mut ends = [Turns(first), Turns(SplitRing::beside(AT, Completion::Return, Plain))];
        let batch = [PageRange::block(Pfn(0x400), Order::PAGE)];
        for turn in [0, 1, 1, 0, 1] {
            let end = &mut ends[turn];
            end.prepare(&mut metal, &batch);
            assert_eq!(metal.load32(TURN), TAKEN);
            end.notify(&mut metal);
            assert_eq!(end.wait(&mut metal), Verdict::default());
            assert_eq!(metal.load32(TURN), FREE);
        }
        assert_eq!(metal.load16(AT.avail.offset(2)), 5);
    }

    #[test]
    fn who_waits_long_gives_its_processor_away_until_it_has_its_turn() {
        let mut metal = metal();
        metal.store32(TURN, TAKEN);
        metal.when_idle(|metal| {
            if metal.idled == 3 {
                metal.store32_release(TURN, FREE);
            }
        });
        take(&mut metal);
        assert_eq!((metal.idled, metal.load32(TURN)), (3, TAKEN));
    }
}
