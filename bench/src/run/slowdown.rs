//! A delay planted in one trial of every two, to show that a comparison finds it. Only a build with the feature
//! `slowdown` plants any, and only where `VARIABLE` says how much.

use std::collections::VecDeque;

use abi::digest::mix;

use crate::figure::interval::median;
use crate::plan::until::Share;
use crate::trial::kind::Timed;
use crate::trial::record::TrialRecord;
use crate::trial::timed::phases::Phase;

/// How much of a report, as `5%`.
const VARIABLE: &str = "PAGEHINT_SLOWDOWN";
/// The trials whose medians say what a report costs just now, and those before the first that is slowed.
const RECENT: usize = 16;

/// Plants delays.
pub struct Slowdown {
    share: f64,
    tsc_khz: u32,
    trials: u64,
    /// Median cost of a report in the last trials that were not slowed, in nanoseconds.
    recent: VecDeque<f64>,
}

impl Slowdown {
    /// As the environment has it, on a processor whose counter has this frequency.
    #[must_use]
    pub fn planted(tsc_khz: u32) -> Option<Self> {
        let share = cfg!(feature = "slowdown").then(|| std::env::var(VARIABLE).ok())??;
        let share: Share = share.parse().ok()?;
        Some(Self::of(share, tsc_khz))
    }

    fn of(share: Share, tsc_khz: u32) -> Self {
        Self { share: share.value(), tsc_khz, trials: 0, recent: VecDeque::new() }
    }

    /// Slows the next trial down: every report of it by a share of what one costs just now, in one trial of every two that
    /// follow one another, whichever chance has it. By how much, in nanoseconds.
    pub fn before_a_trial(&mut self) -> Option<f64> {
        let trial = self.trials;
        self.trials += 1;
        let is_slowed = trial % 2 == mix(trial / 2) % 2;
        let delay = (is_slowed && self.recent.len() >= RECENT).then(|| {
            let recent: Vec<f64> = self.recent.iter().copied().collect();
            self.share * median(&recent)
        });
        let ticks = delay.unwrap_or_default() * f64::from(self.tsc_khz) / 1e6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a report, in ticks"
        )]
        host::fault::slow_down(ticks as u64);
        delay
    }

    /// Hears of a trial that was not slowed.
    pub fn heard(&mut self, trial: &TrialRecord) {
        if let Some(measured) = trial.measured::<Timed>().filter(|_| trial.slowed_ns.is_none()) {
            self.recent.push_back(measured.phase(Phase::Total).p50);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::timed::counted;

    #[test]
    fn one_of_every_two_is_slowed_by_the_share_once_it_is_known_what_a_report_costs() {
        let mut slowdown = Slowdown::of("5%".parse().unwrap(), 2_000_000);
        assert!((0..2 * RECENT).all(|_| slowdown.before_a_trial().is_none()), "nothing is known yet");
        let archive = counted(1000);
        let trial = archive.trials.iter().find(|trial| trial.measured::<Timed>().is_some()).unwrap();
        (0..2 * RECENT).for_each(|_| slowdown.heard(trial));
        let cost = trial.measured::<Timed>().unwrap().phase(Phase::Total).p50;
        let delays: Vec<Option<f64>> = (0..200).map(|_| slowdown.before_a_trial()).collect();
        assert!(delays.chunks(2).all(|two| two.iter().flatten().count() == 1));
        assert!(delays.iter().flatten().all(|delay| (delay - 0.05 * cost).abs() < 1e-9));
        let first = delays.chunks(2).filter(|two| two[0].is_some()).count();
        assert!((30..=70).contains(&first), "{first} of 100 first");
        slowdown.heard(&TrialRecord { slowed_ns: Some(1.0), ..trial.clone() });
        assert_eq!(slowdown.recent.len(), RECENT);
    }
}
