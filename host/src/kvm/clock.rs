//! The time stamp counter, as the host and as the guest read it.
//!
//! Two types keep the two readings apart; [`TscOffset`], which KVM states and nobody guesses, turns one into
//! the other. What a tick is worth is not guessed either: [`counter`] measures it.

#![expect(
    unsafe_code,
    reason = "reading the time stamp counter is an instruction, and so are the loops that judge it"
)]

use core::arch::asm;
use core::arch::x86_64::{_mm_lfence, _rdtsc};
use std::time::Duration;

use abi::axes::Axis;

/// What the time stamp counter counts, as [`crate::probe::probe()`] has measured it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    /// Time, in ticks of a frequency that KVM states: every real processor.
    Time,
    /// Executed instructions, one a tick, those of guest, KVM, kernel and user space together: an emulator that
    /// makes its clock of them.
    Instructions,
}

impl Axis for Counter {
    const AXIS: &'static str = "counter";
    const ALL: &'static [Self] = &[Self::Time, Self::Instructions];

    fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Instructions => "instructions",
        }
    }
}

impl Counter {
    /// A duration that a clock of this machine has told; `None` where the counter counts instructions, because no clock
    /// of such a machine tells the time.
    #[must_use]
    pub fn nanoseconds(self, told: Duration) -> Option<u64> {
        (self == Self::Time).then(|| u64::try_from(told.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A reading of the host's time stamp counter, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct HostTsc(pub u64);

/// A reading of the guest's time stamp counter, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct GuestTsc(pub u64);

impl HostTsc {
    /// Reads the counter once everything before it is done.
    #[inline]
    #[must_use]
    pub(crate) fn now() -> Self {
        // SAFETY: `lfence` has no preconditions on x86_64. It keeps the counter from being read before earlier
        // loads are done.
        unsafe { _mm_lfence() }
        // SAFETY: `rdtsc` has no preconditions where user space may read the counter, which Linux allows.
        Self(unsafe { _rdtsc() })
    }

    /// Ticks since an earlier reading, on any processor.
    #[inline]
    #[must_use]
    pub(crate) const fn since(self, before: Self) -> u64 {
        self.0.wrapping_sub(before.0)
    }
}

/// Guest minus host time stamp counter, in ticks (`KVM_VCPU_TSC_OFFSET`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TscOffset(pub i64);

impl TscOffset {
    /// What the guest would have read at the host's `at`.
    #[must_use]
    pub(crate) const fn to_guest(self, at: HostTsc) -> GuestTsc {
        GuestTsc(at.0.wrapping_add_signed(self.0))
    }
}

/// Rounds of the short and of the long loop. Their difference leaves out what entering a loop and reading the
/// counter cost; it is short beside the time between two interrupts.
const ROUNDS: [u64; 2] = [100, 1100];
/// Instructions in a round of every loop below.
const INSTRUCTIONS: u64 = 10;
/// How often a pair of loops is run: an interrupt may land in some.
const TRIES: usize = 9;

/// Finds out what the time stamp counter counts.
///
/// Three loops of equally many instructions are run: of instructions that nothing waits for, of dependent
/// multiplications and of dependent divisions. A processor executes several of the first in a cycle, and takes
/// three cycles or more over one of the second and more yet over one of the third, so that at most one of the
/// loops can happen to advance a clock by one tick an instruction, whatever the clock's frequency. A counter
/// that all three advance by exactly their number of instructions counts instructions.
pub(crate) fn counter() -> Counter {
    counter_of(&mut [&mut nothings, &mut multiplications, &mut divisions])
}

fn counter_of(loops: &mut [&mut dyn FnMut(u64) -> u64]) -> Counter {
    if loops.iter_mut().all(|timed| exact(timed)) { Counter::Instructions } else { Counter::Time }
}

/// Whether most tries advance the counter by exactly one tick an instruction.
fn exact(timed: &mut dyn FnMut(u64) -> u64) -> bool {
    let expected = (ROUNDS[1] - ROUNDS[0]) * INSTRUCTIONS;
    let hits = (0..TRIES).filter(|_| {
        let [short, long] = ROUNDS.map(&mut *timed);
        long.wrapping_sub(short) == expected
    });
    hits.count() > TRIES / 2
}

/// Ticks that rounds of instructions take that do nothing. Not inlined, here and below: the short and the long
/// loop must be the same code.
#[inline(never)]
fn nothings(rounds: u64) -> u64 {
    let began = HostTsc::now();
    // SAFETY: the loop changes its counter, which the compiler is told, and nothing else.
    unsafe {
        asm!(
            "2:",
            "nop", "nop", "nop", "nop", "nop", "nop", "nop", "nop",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
    HostTsc::now().0.wrapping_sub(began.0)
}

/// Ticks that rounds of multiplications take, each of the one before.
#[inline(never)]
fn multiplications(rounds: u64) -> u64 {
    let began = HostTsc::now();
    // SAFETY: the loop changes its counter and the factor, which the compiler is told, and nothing else.
    unsafe {
        asm!(
            "2:",
            "imul {x}, {x}", "imul {x}, {x}", "imul {x}, {x}", "imul {x}, {x}",
            "imul {x}, {x}", "imul {x}, {x}", "imul {x}, {x}", "imul {x}, {x}",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) rounds => _,
            x = inout(reg) 3_u64 => _,
            options(nomem, nostack),
        );
    }
    HostTsc::now().0.wrapping_sub(began.0)
}

/// Ticks that rounds of divisions take, each of the one before.
#[inline(never)]
fn divisions(rounds: u64) -> u64 {
    let began = HostTsc::now();
    // SAFETY: the loop changes its counter, the dividend's low half and its high half, which is 0 before every
    // division: the quotient by 1 fits. The compiler is told, and nothing else is changed.
    unsafe {
        asm!(
            "2:",
            "xor edx, edx", "div {one}", "xor edx, edx", "div {one}",
            "xor edx, edx", "div {one}", "xor edx, edx", "div {one}",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) rounds => _,
            one = in(reg) 1_u64,
            inout("rax") u64::MAX => _,
            out("rdx") _,
            options(nomem, nostack),
        );
    }
    HostTsc::now().0.wrapping_sub(began.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop whose rounds cost so many ticks, with an interrupt in some of its runs.
    fn costing(a_round: u64, interrupted: impl Fn(u64) -> bool) -> impl FnMut(u64) -> u64 {
        let mut run = 0;
        move |rounds| {
            run += 1;
            41 + rounds * a_round + if interrupted(run) { 5000 } else { 0 }
        }
    }

    #[test]
    fn a_counter_of_instructions_is_known_by_every_loop() {
        let calm = || costing(INSTRUCTIONS, |_| false);
        let judged = counter_of(&mut [&mut calm(), &mut calm(), &mut calm()]);
        assert_eq!(judged, Counter::Instructions);
        let mut disturbed = costing(INSTRUCTIONS, |run| run % 7 == 0);
        assert_eq!(counter_of(&mut [&mut calm(), &mut disturbed, &mut calm()]), Counter::Instructions);
    }

    #[test]
    fn a_clock_that_one_loop_happens_to_match_is_still_a_clock() {
        for costs in [[INSTRUCTIONS, 24, 80], [3, INSTRUCTIONS, 33], [1, 5, INSTRUCTIONS]] {
            let [mut a, mut b, mut c] = costs.map(|cost| costing(cost, |_| false));
            assert_eq!(counter_of(&mut [&mut a, &mut b, &mut c]), Counter::Time, "{costs:?}");
        }
    }

    #[test]
    fn the_answer_does_not_change() {
        let first = counter();
        assert!((0..200).all(|_| counter() == first));
    }

    #[test]
    fn longer_loops_take_longer() {
        for timed in [nothings, multiplications, divisions] {
            assert!(timed(1_000_000) > timed(1000));
        }
    }

    #[test]
    fn the_offset_is_guest_minus_host() {
        assert_eq!(TscOffset(-5).to_guest(HostTsc(12)), GuestTsc(7));
        assert_eq!(TscOffset(i64::MIN).to_guest(HostTsc(1 << 63)), GuestTsc(0), "wraps as the counter does");
    }

    #[test]
    fn the_counter_moves_forwards() {
        assert!(HostTsc::now() <= HostTsc::now());
    }
}
