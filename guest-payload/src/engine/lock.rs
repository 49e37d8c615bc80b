//! A lock that virtual processors share: test and set.

use abi::addr::Gpa;
use abi::engine::books::Counter;

use crate::engine::books::Books;
use crate::metal::Metal;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// Looks at a held lock before the holder is suspected of having lost its processor. A few microseconds: less than
/// the exit that gives ours away.
const PATIENCE: u32 = 400;

/// A lock in 32 bits of guest memory; 0 is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock(Gpa);

impl Lock {
    /// The lock in the word at `at`.
    #[must_use]
    pub const fn at(at: Gpa) -> Self {
        Self(at)
    }

    /// Takes the lock, and waits for it if somebody has it. What the last holder stored is visible afterwards.
    #[inline]
    pub fn acquire(self, metal: &mut impl Metal, books: &Books) {
        // Acquire: pairs with the release of the last holder, so that what it did to the data is seen.
        if metal.swap32_acquire(self.0, HELD) != FREE {
            self.contend(metal, books);
        }
    }

    /// Lets the lock go.
    #[inline]
    pub fn release(self, metal: &mut impl Metal) {
        // Release: what was done under the lock is visible to whoever takes it next.
        metal.store32_release(self.0, FREE);
    }

    #[cold]
    fn contend(self, metal: &mut impl Metal, books: &Books) {
        let (mut spins, mut yields) = (0_u64, 0);
        loop {
            for _ in 0..PATIENCE {
                // Only a load while it is held: the line stays shared, and the holder is not slowed down. The swap
                // is what orders; an acquiring load is the weakest that the machine offers for a shared word.
                if metal.load32_acquire(self.0) == FREE && metal.swap32_acquire(self.0, HELD) == FREE {
                    books.add(metal, Counter::Spins, spins);
                    books.add(metal, Counter::Yields, yields);
                    return;
                }
                metal.relax();
                spins += 1;
            }
            metal.idle(0);
            yields += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::engine::books::shared;

    use super::*;
    use crate::engine::testing::machine;

    const LOCK: Lock = Lock::at(shared::OWN);

    #[test]
    fn a_free_lock_is_taken_without_a_word() {
        let (mut metal, books) = machine();
        LOCK.acquire(&mut metal, &books);
        assert_eq!(metal.load32(shared::OWN), HELD);
        LOCK.release(&mut metal);
        assert_eq!(metal.load32(shared::OWN), FREE);
        assert_eq!((books.read(&metal, Counter::Spins), metal.idled), (0, 0));
    }

    #[test]
    fn who_waits_long_gives_its_processor_to_the_holder() {
        let (mut metal, books) = machine();
        metal.store32(shared::OWN, HELD);
        metal.when_idle(|metal| {
            if metal.idled == 3 {
                LOCK.release(metal);
            }
        });
        LOCK.acquire(&mut metal, &books);
        assert_eq!(metal.load32(shared::OWN), HELD);
        assert_eq!(metal.idled, 3);
        assert_eq!(books.read(&metal, Counter::Yields), 3);
        assert_eq!(books.read(&metal, Counter::Spins), 3 * u64::from(PATIENCE));
    }
}
