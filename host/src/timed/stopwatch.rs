//! What the stopwatch costs: an empty call with it against the same call without it, burst by burst.

use abi::axes::Axis;
use abi::timed::burst::{Burst, CALLS};

/// What a trial does with the stopwatch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Stopwatch {
    /// Times reports with it.
    #[default]
    Used,
    /// Times empty calls with it and without it, in turns.
    Weighed,
}

impl Axis for Stopwatch {
    const AXIS: &'static str = "stopwatch";
    const ALL: &'static [Self] = &[Self::Used, Self::Weighed];

    fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Weighed => "weighed",
        }
    }
}

/// What the stopwatch weighs, in ticks; each figure is the median over rounds of the difference between two bursts of
/// the same round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Weight {
    /// Rounds in which every kind of burst ran.
    pub rounds: u64,
    /// An empty call without the stopwatch: no difference, but the median of the bursts.
    pub bare: f64,
    /// What the stopwatch adds to a report of one call.
    pub once: f64,
    /// What it adds to each call of a report of [`CALLS`].
    pub each: f64,
    /// What fetching a call's registers and leaving its answer in memory adds; `None` where the doorbell brings both.
    pub registers: Option<f64>,
}

/// Adds up the bursts of a trial.
#[derive(Clone, Debug)]
pub(super) struct Bursts {
    /// Ticks of every burst of a kind, round by round.
    ticks: [Vec<u64>; KINDS],
    /// The kind that runs, and its ticks so far.
    running: Option<(Burst, u64)>,
}

const KINDS: usize = Burst::ALL.len();

impl Bursts {
    /// Room for so many rounds.
    pub(super) fn of(rounds: u64) -> Self {
        // More rounds than fit in memory never end.
        let room = usize::try_from(rounds.min(1 << 16)).unwrap_or(0);
        Self { ticks: std::array::from_fn(|_| Vec::with_capacity(room)), running: None }
    }

    /// The burst before is over, and one of this kind begins, or none.
    pub(super) fn begin(&mut self, kind: Option<Burst>) {
        if let Some((kind, ticks)) = self.running.take() {
            self.ticks[kind as usize].push(ticks);
        }
        self.running = kind.map(|kind| (kind, 0));
    }

    /// Forgets all bursts so far: they were to warm up.
    pub(super) fn forget(&mut self) {
        self.running = None;
        self.ticks.iter_mut().for_each(Vec::clear);
    }

    /// The kind that runs.
    pub(super) fn running(&self) -> Option<Burst> {
        self.running.map(|(kind, _)| kind)
    }

    /// A report, or the whole of an unstamped burst, took so many ticks.
    pub(super) fn add(&mut self, ticks: u64) {
        if let Some((_, so_far)) = &mut self.running {
            *so_far = so_far.saturating_add(ticks);
        }
    }

    /// What they show; `None` if no round is complete. `registers`: whether the doorbell has any to fetch.
    pub(super) fn weight(&self, registers: bool) -> Option<Weight> {
        let bursts = |kind: Burst| self.ticks[kind as usize].iter().map(|ticks| a_call(*ticks));
        let over_bare = |kind| median(bursts(kind).zip(bursts(Burst::Bare)).map(|(with, bare)| with - bare));
        Some(Weight {
            rounds: self.ticks.iter().map(Vec::len).min()? as u64,
            bare: median(bursts(Burst::Bare))?,
            once: over_bare(Burst::Once)?,
            each: over_bare(Burst::Each)?,
            registers: if registers { Some(over_bare(Burst::Registers)?) } else { None },
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a burst is far below 2^53 ticks, and a difference needs no more digits"
)]
fn a_call(ticks: u64) -> f64 {
    ticks as f64 / CALLS as f64
}

/// The middle value, or the mean of the two; `None` of none.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*below, *above))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds in which a call takes `bare` ticks and each kind adds what it adds.
    fn bursts(bare: &[u64], [once, each, registers]: [u64; 3]) -> Bursts {
        let mut bursts = Bursts::of(8);
        for bare in bare {
            for (kind, a_call) in Burst::ALL.iter().zip([*bare, bare + once, bare + each, bare + registers]) {
                bursts.begin(Some(*kind));
                match kind {
                    Burst::Once => (0..CALLS).for_each(|_| bursts.add(a_call)),
                    _ => bursts.add(CALLS * a_call),
                }
            }
        }
        bursts.begin(None);
        bursts
    }

    #[test]
    fn what_is_added_to_a_call_is_found_whatever_the_machine_drifts() {
        let weight = bursts(&[1000, 1500, 2500, 9000], [70, 80, 300]).weight(true).unwrap();
        let expected = Weight { rounds: 4, bare: 2000.0, once: 70.0, each: 80.0, registers: Some(300.0) };
        assert_eq!(weight, expected);
    }

    #[test]
    fn a_doorbell_without_registers_has_none_to_fetch() {
        assert_eq!(bursts(&[1000], [70, 80, 0]).weight(false).unwrap().registers, None);
    }

    #[test]
    fn what_warms_up_weighs_nothing_and_no_round_is_no_weight() {
        let mut bursts = bursts(&[1000], [70, 80, 0]);
        bursts.forget();
        assert_eq!(bursts.weight(false), None);
    }
}
