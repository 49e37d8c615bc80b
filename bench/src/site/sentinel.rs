//! What the machine did beside a trial: a look before it and after it, and what its kernel counted meanwhile.
//!
//! A look is two things. A thread reads the clock again and again, and counts how long it was away ([`Noise`]). And it does
//! a fixed piece of work a few times; the quickest of them, against the quickest of the whole run so far, says how fast
//! the processor is just now, whoever shares it. Meanwhile the kernel counts what was stolen by a hypervisor below and
//! what other processes used, in its ticks: of a trial shorter than some of them that says little, of a block more.

use std::hint::black_box;
use std::time::{Duration, Instant};

use abi::digest::mix;
use procfs::process::Process;
use procfs::{CurrentSI, KernelStats};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise::{Noise, nanoseconds};
use crate::figure::unit::{float, ratio};

/// How long a look listens.
const LISTEN: Duration = Duration::from_millis(1);
/// Pieces of work in a look.
const PIECES: usize = 5;
/// Turns in a piece: some 20 µs.
const TURNS: u64 = 8_000;
/// A thread that was away for more of a look than this is disturbed.
pub const AWAY: f64 = 0.10;
/// A processor slower than at its quickest in the run by more than this is disturbed.
pub const SLOWER: f64 = 0.10;
/// Of the machine's processor time, stolen by a hypervisor below.
pub const STOLEN: f64 = 0.01;
/// Of the machine's processor time, used by other processes: of a run, or of a block more than is usual in its run.
pub const OTHERS: f64 = 0.10;
/// The fewest ticks of the kernel's that say anything.
const TICKS: u64 = 2;

/// How a trial was disturbed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// Our thread was away for more than [`AWAY`] of the look before or after.
    Away,
    /// The processor was slower by more than [`SLOWER`] than at its quickest in this run.
    Slower,
    /// More than [`STOLEN`] of the machine's processor time was stolen.
    Stolen,
    /// Other processes used more of it by [`OTHERS`] than in the middle one of the run's blocks. What is usual is known when
    /// a run is over: a trial's record has not got it, but for records of older versions, which have more than [`OTHERS`].
    Others,
}

/// One look.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// How often our thread was away.
    #[serde(flatten)]
    pub noise: Noise,
    /// A fixed piece of work, the quickest of a few, in nanoseconds.
    pub work_ns: u64,
}

/// What the machine did beside a trial.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Surroundings {
    /// Before it.
    pub before: Look,
    /// After it.
    pub after: Look,
    /// The quickest piece of work in the run so far, in nanoseconds.
    pub quickest_ns: u64,
    /// What the kernel counted meanwhile; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub meanwhile: Option<Meanwhile>,
    /// How the trial was disturbed by these, if it was.
    #[serde(default)]
    pub disturbed: Vec<Disturbance>,
}

/// What the kernel counted from one look to the other, in its ticks, of all processors together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Meanwhile {
    /// Ticks in all.
    pub ticks: u64,
    /// Stolen by a hypervisor below.
    pub stolen: u64,
    /// Used by other processes.
    pub others: u64,
}

impl Meanwhile {
    /// Together with those of another trial.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            ticks: self.ticks + other.ticks,
            stolen: self.stolen + other.stolen,
            others: self.others + other.others,
        }
    }

    /// What others used.
    #[must_use]
    pub fn share_of_others(self) -> f64 {
        ratio(float(self.others), float(self.ticks))
    }

    /// Whether more was stolen than [`STOLEN`].
    #[must_use]
    pub fn is_stolen(self) -> bool {
        self.stolen >= TICKS && ratio(float(self.stolen), float(self.ticks)) > STOLEN
    }

    /// Whether others used more by [`OTHERS`] than is usual.
    #[must_use]
    pub fn is_others(self, usual: f64) -> bool {
        self.others >= TICKS && self.share_of_others() > usual + OTHERS
    }
}

impl Surroundings {
    fn of(before: Look, after: Look, quickest_ns: u64, meanwhile: Option<Meanwhile>) -> Self {
        let looks = [before, after];
        let away = looks.iter().any(|look| look.noise.lost() > AWAY);
        let slower = |look: &Look| ratio(float(look.work_ns), float(quickest_ns)) > 1.0 + SLOWER;
        let all = [
            (away, Disturbance::Away),
            (looks.iter().any(slower), Disturbance::Slower),
            (meanwhile.is_some_and(Meanwhile::is_stolen), Disturbance::Stolen),
        ];
        let disturbed = all.into_iter().filter_map(|(is, disturbance)| is.then_some(disturbance)).collect();
        Self { before, after, quickest_ns, meanwhile, disturbed }
    }
}

/// Looks at the machine before and after every trial of a run.
pub struct Sentinel {
    quickest_ns: u64,
}

/// What was found before a trial.
#[derive(Clone, Copy)]
pub struct Before {
    look: Look,
    ticks: Option<Ticks>,
}

impl Sentinel {
    /// Learns how quick the processor is.
    #[must_use]
    pub fn new() -> Self {
        let quickest_ns = (0..20).map(|_| work()).min().unwrap_or_default();
        Self { quickest_ns }
    }

    /// Looks before a trial.
    pub fn before(&mut self) -> Before {
        Before { look: self.look(), ticks: Ticks::now() }
    }

    /// Looks after it.
    pub fn after(&mut self, before: &Before) -> Surroundings {
        let ticks = Ticks::now();
        let meanwhile = before.ticks.zip(ticks).map(|(before, after)| before.until(after));
        let after = self.look();
        Surroundings::of(before.look, after, self.quickest_ns, meanwhile)
    }

    fn look(&mut self) -> Look {
        let work_ns = (0..PIECES).map(|_| work()).min().unwrap_or_default();
        self.quickest_ns = self.quickest_ns.min(work_ns);
        Look { noise: Noise::listen(LISTEN), work_ns }
    }
}

impl Default for Sentinel {
    fn default() -> Self {
        Self::new()
    }
}

/// How long a fixed piece of work takes, each turn of which waits for the one before; in nanoseconds.
fn work() -> u64 {
    let began = Instant::now();
    black_box((0..black_box(TURNS)).fold(1, |number: u64, turn| mix(number ^ turn)));
    nanoseconds(began.elapsed()).max(1)
}

/// What the kernel has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Ticks {
    all: u64,
    stolen: u64,
    busy: u64,
    own: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let total = KernelStats::current().ok()?.total;
        let own = Process::myself().and_then(|own| own.stat()).ok()?;
        let stolen = total.steal.unwrap_or_default();
        // A guest's time is in the user's already.
        let busy = total.user
            + total.nice
            + total.system
            + total.irq.unwrap_or_default()
            + total.softirq.unwrap_or_default();
        let all = busy + stolen + total.idle + total.iowait.unwrap_or_default();
        Some(Self { all, stolen, busy, own: own.utime + own.stime })
    }

    /// Counters of one processor may be read while another's move on: what would be less than nothing is nothing.
    fn until(self, later: Self) -> Meanwhile {
        let busy = later.busy.saturating_sub(self.busy);
        Meanwhile {
            ticks: later.all.saturating_sub(self.all),
            stolen: later.stolen.saturating_sub(self.stolen),
            others: busy.saturating_sub(later.own.saturating_sub(self.own)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(lost_ns: u64, work_ns: u64) -> Look {
        Look { noise: Noise { spun_ns: 1_000_000, gaps: 1, longest_ns: lost_ns, lost_ns }, work_ns }
    }

    #[test]
    fn each_disturbance_is_named_by_its_criterion() {
        let of = |before, after, meanwhile| Surroundings::of(before, after, 1000, Some(meanwhile)).disturbed;
        let (quiet, calm) = (look(90_000, 1090), Meanwhile { ticks: 100, stolen: 1, others: 10 });
        assert_eq!(of(quiet, quiet, calm), []);
        assert_eq!(of(quiet, look(110_000, 1000), calm), [Disturbance::Away]);
        assert_eq!(of(look(0, 1110), quiet, calm), [Disturbance::Slower]);
        assert_eq!(of(quiet, quiet, Meanwhile { stolen: 2, ..calm }), [Disturbance::Stolen]);
        // One tick of a short trial is less than can be told from none.
        assert_eq!(of(quiet, quiet, Meanwhile { ticks: 4, stolen: 1, others: 1 }), []);
    }

    #[test]
    fn what_others_use_is_held_against_what_is_usual() {
        let used = |others| Meanwhile { ticks: 100, stolen: 0, others };
        assert_eq!([used(10), used(11)].map(|used| used.is_others(0.0)), [false, true]);
        assert_eq!([used(90), used(98)].map(|used| used.is_others(0.85)), [false, true]);
        assert!(!Meanwhile { ticks: 4, stolen: 0, others: 1 }.is_others(0.0));
    }

    #[test]
    fn what_others_used_is_what_is_busy_and_not_ours() {
        let (before, after) = (
            Ticks { all: 100, stolen: 5, busy: 50, own: 20 },
            Ticks { all: 200, stolen: 8, busy: 110, own: 60 },
        );
        assert_eq!(before.until(after), Meanwhile { ticks: 100, stolen: 3, others: 20 });
        assert_eq!(after.until(before), Meanwhile::default());
    }

    #[test]
    fn a_machine_can_be_looked_at() {
        let mut sentinel = Sentinel::new();
        let before = sentinel.before();
        let seen = sentinel.after(&before);
        assert!(seen.before.work_ns >= seen.quickest_ns && seen.before.noise.spun_ns >= 1_000_000);
        assert!(seen.meanwhile.is_some(), "/proc can be read here");
    }
}
