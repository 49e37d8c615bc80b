//! Runs that add blocks until they know enough.
//!
//! A run that stops when it likes what it sees finds what it likes. This one looks only at how wide its intervals are,
//! and only after 1, 1.5, 2.25 … times as many blocks as the plan begins with. Width says nothing of the sign of a
//! difference; but a run that happens on blocks which scatter little stops early, and its own test would then call like
//! things different more often than it says (8.4 % in place of 5 in the worst of 45 cases simulated: six blocks to begin with, whose
//! interval reaches from the least to the largest). So the test of such a run is the stricter one of [`Sampling::Stopped`](crate::figure::interval::Sampling::Stopped), and the test below
//! simulates both together.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::executor::{Executor, run_all};
use super::journal::{Journal, JournalError};
use super::listener::{Listener, Tally};
use crate::plan::schedule::Slot;
use crate::plan::until::is_look;
use crate::trial::record::TrialRecord;
use crate::trial::spec::Spec;

/// When such a run is over.
pub struct Goal<'a> {
    /// The blocks before the first look.
    pub first: u32,
    /// No block begins after so long.
    pub within: Duration,
    /// Whether what is there is enough.
    pub is_enough: &'a mut dyn FnMut(&Journal) -> bool,
}

/// What is left counts up to the next look; nobody knows of more.
struct UpToALook<'a> {
    listener: &'a mut dyn Listener,
    beyond: usize,
}

impl Listener for UpToALook<'_> {
    fn ended(&mut self, trial: &TrialRecord, left: usize) {
        self.listener.ended(trial, left + self.beyond);
    }
}

/// Runs block after block of a schedule until its goal is reached. Otherwise as [`run_all`]; of a run that was stopped the
/// rest of its block is missing.
pub fn run_until(
    slots: &[Slot<Spec>],
    goal: Goal<'_>,
    executor: &mut dyn Executor,
    stop: &AtomicBool,
    journal: &mut Journal,
    listener: &mut dyn Listener,
) -> (Tally, Result<(), JournalError>) {
    let Goal { first, within, is_enough } = goal;
    let (began, mut all) = (Instant::now(), Tally::default());
    for block in slots.chunk_by(|one, next| one.block == next.block) {
        let done = block.first().map_or(0, |slot| slot.block) + 1;
        let beyond = (done..).position(|blocks| is_look(blocks, first)).unwrap_or_default() * block.len();
        let mut listener = UpToALook { listener, beyond };
        let (tally, kept) = run_all(block, None, executor, stop, journal, &mut listener);
        all.measured += tally.measured;
        all.failed += tally.failed;
        all.missing = tally.missing;
        let over = began.elapsed() >= within || (is_look(done, first) && is_enough(journal));
        if kept.is_err() || all.missing > 0 || over {
            return (all, kept);
        }
    }
    (all, Ok(()))
}

#[cfg(test)]
mod tests {
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::SeedableRng;

    use super::*;
    use crate::figure::interval::{Interval, Sampling};
    use crate::figure::random::normal;

    /// Differences of like things, block by block, until the interval reaches less than `reach` to either side: the
    /// last interval.
    fn stopped(seed: u64, first: u32, reach: f64, draw: fn(&mut Pcg64Mcg) -> f64) -> Interval {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let values: Vec<f64> = (0..54).map(|_| draw(&mut rng)).collect();
        let at = |blocks: u32| Interval::of(&values[..blocks as usize], Sampling::Stopped { seed }).unwrap();
        let mut looks = (1..54).filter(|blocks| is_look(*blocks, first)).map(at);
        looks.find(|seen| seen.high - seen.low <= 2.0 * reach).unwrap_or_else(|| at(54))
    }

    #[test]
    fn stopping_when_it_is_narrow_calls_like_things_different_one_time_in_twenty_at_most() {
        let skewed = |rng: &mut Pcg64Mcg| (normal(rng).exp() - normal(rng).exp()) / 3.0;
        let normal = normal as fn(&mut Pcg64Mcg) -> f64;
        for (draw, first, reach) in
            [(normal, 6, 0.6), (normal, 8, 0.75), (normal, 8, 0.45), (skewed, 8, 0.45)]
        {
            let is_called = |seed: &u64| stopped(*seed, first, reach, draw).shows_difference();
            let called = (0..1000).filter(is_called).count();
            // 5 % of 1000 with a standard deviation of 6.9.
            assert!(called <= 64, "{called} of 1000 at {reach}, {first} blocks first");
        }
    }
}
