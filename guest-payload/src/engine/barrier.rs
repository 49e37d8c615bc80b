//! Where all virtual processors wait for each other.

use abi::addr::Gpa;

use crate::engine::books::Books;
use crate::engine::lock::Lock;
use crate::engine::shared::BARRIER;
use crate::metal::Metal;

/// How many have come, under the lock that lies before it.
const ARRIVED: Gpa = BARRIER.offset(4);
/// Which meeting is next: changes when the last one has come.
const MEETING: Gpa = BARRIER.offset(8);

/// Waits until all `vcpus` processors are here, and does `meanwhile` again and again until then, told how often it has.
/// What each of them did before is visible to all of them afterwards.
pub fn wait<M: Metal>(metal: &mut M, books: &Books, vcpus: u64, mut meanwhile: impl FnMut(&mut M, u32)) {
    let lock = Lock::at(BARRIER);
    lock.acquire(metal, books);
    // Acquire is more than this needs: the lock has made it visible.
    let meeting = metal.load32_acquire(MEETING);
    let arrived = metal.load32(ARRIVED) + 1;
    let is_last = u64::from(arrived) >= vcpus;
    metal.store32(ARRIVED, if is_last { 0 } else { arrived });
    if is_last {
        // Release: the others leave when they see this, and see what the lock has passed on to us.
        metal.store32_release(MEETING, meeting.wrapping_add(1));
    }
    lock.release(metal);

    let mut looks = 0;
    // Acquire: pairs with the release above.
    while metal.load32_acquire(MEETING) == meeting {
        meanwhile(metal, looks);
        looks = looks.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{MAP, machine};
    use crate::metal::fake::Fake;

    #[test]
    fn nobody_leaves_before_the_last_has_come_and_it_can_be_used_again() {
        let (mut metal, books) = machine();
        for _ in 0..3 {
            let mut looks = 0;
            wait(&mut metal, &books, 3, |metal, so_far| {
                assert_eq!(so_far, looks);
                looks += 1;
                // The other two come one after the other; only the last of them need not wait.
                match looks {
                    5 => arrive(metal),
                    8 => wait(metal, &Books::of(MAP, 2), 3, |_, _| panic!("it is the last")),
                    9.. => panic!("everybody is here"),
                    _ => {}
                }
            });
            assert_eq!(looks, 8);
        }
    }

    /// Comes, without waiting.
    fn arrive(metal: &mut Fake) {
        let arrived = metal.load32(ARRIVED);
        metal.store32(ARRIVED, arrived + 1);
    }

    #[test]
    fn one_alone_does_not_wait() {
        let (mut metal, books) = machine();
        wait(&mut metal, &books, 1, |_, _| panic!("for whom?"));
    }
}
