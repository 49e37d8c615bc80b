//! Where an operation's time goes, so that a slowdown is explained and not guessed at.
//!
//! The guest stamps every phase of its loop; what it does not stamp is the remainder. So the phases of an operation add
//! up to its time, and their changes to its change. The oracle's time is in none of them: no real guest has one.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::engine::GuestCounter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::figure::interval::{Interval, Sampling};
use crate::figure::unit::{float, ratio};
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::kind::Engine;

/// A phase of a workload's operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LoadPhase {
    /// Allocating.
    Alloc,
    /// The first touch, with whatever it costs to fault the page in.
    Touch,
    /// Freeing, the hook included.
    Free,
    /// The reporting core: finding and isolating.
    Walk,
    /// The reporting core: the transport, as far as the processor waited.
    Transport,
    /// The reporting core: putting back and marking.
    PutBack,
    /// The reporting core: what is between these.
    Core,
    /// Waiting with nothing to do.
    Idle,
    /// What nobody stamped: loops, interrupts, time that the host gave to others.
    Remainder,
}

impl Axis for LoadPhase {
    const AXIS: &'static str = "load-phase";
    const ALL: &'static [Self] = &[
        Self::Alloc,
        Self::Touch,
        Self::Free,
        Self::Walk,
        Self::Transport,
        Self::PutBack,
        Self::Core,
        Self::Idle,
        Self::Remainder,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Alloc => "alloc",
            Self::Touch => "touch",
            Self::Free => "free",
            Self::Walk => "walk",
            Self::Transport => "transport",
            Self::PutBack => "put-back",
            Self::Core => "core",
            Self::Idle => "idle",
            Self::Remainder => "remainder",
        }
    }
}

impl LoadPhase {
    /// The phase in a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Alloc => "taking a block off a free list, the wait for the lock included",
            Self::Touch => "the first touch: clearing, and faulting in what the host has taken back",
            Self::Free => "putting a block on a free list, merging, the hook of reporting",
            Self::Walk => "reporting core: finding and isolating unreported blocks",
            Self::Transport => {
                "reporting core: from filling the carrier to the acknowledgement, as far as waited for"
            }
            Self::PutBack => "reporting core: putting back and marking",
            Self::Core => "reporting core: what is between walk, transport and put-back",
            Self::Idle => "waiting with nothing to do",
            Self::Remainder => "not stamped: loops, interrupts, processor time that went to others",
        }
    }

    /// Ticks of a trial in this phase.
    fn ticks(self, measured: &EngineMeasured) -> f64 {
        let sum = |counter| float(measured.sum(counter));
        let reporting = [GuestCounter::WalkTicks, GuestCounter::TransportTicks, GuestCounter::PutBackTicks];
        match self {
            Self::Alloc => sum(GuestCounter::AllocTicks),
            Self::Touch => sum(GuestCounter::TouchTicks),
            Self::Free => sum(GuestCounter::FreeTicks),
            Self::Walk => sum(GuestCounter::WalkTicks),
            Self::Transport => sum(GuestCounter::TransportTicks),
            Self::PutBack => sum(GuestCounter::PutBackTicks),
            Self::Core => sum(GuestCounter::ReportTicks) - reporting.map(sum).iter().sum::<f64>(),
            Self::Idle => sum(GuestCounter::IdleTicks),
            Self::Remainder => {
                let stamped = Self::ALL.iter().filter(|phase| **phase != Self::Remainder);
                measured.work_ticks() - stamped.map(|phase| phase.ticks(measured)).sum::<f64>()
            }
        }
    }
}

/// Nanoseconds of an operation in a phase.
#[must_use]
pub fn cost(measured: &EngineMeasured, phase: LoadPhase) -> f64 {
    ratio(measured.counts.clock.figure(phase.ticks(measured)), float(measured.sum(GuestCounter::Operations)))
}

/// Nanoseconds of an operation altogether.
#[must_use]
pub fn whole(measured: &EngineMeasured) -> f64 {
    ratio(measured.counts.clock.figure(measured.work_ticks()), float(measured.sum(GuestCounter::Operations)))
}

/// By how much an operation takes longer than in another group, and where. Nanoseconds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Breakdown {
    /// Altogether.
    pub whole: Interval,
    /// Of this in each phase; they add up to the whole but for blocks that are far off.
    pub phases: BTreeMap<Named<LoadPhase>, Interval>,
}

impl Breakdown {
    /// Of a group against another, paired by block.
    #[must_use]
    pub fn of(group: &Group<'_, Engine>, other: &Group<'_, Engine>, how: Sampling) -> Option<Self> {
        let more = |figure: &dyn Fn(&EngineMeasured) -> f64| {
            group.against(other, how, figure, |ours, theirs| ours - theirs)
        };
        let phase = |phase: &LoadPhase| Some((Named(*phase), more(&|measured| cost(measured, *phase))?));
        Some(Self { whole: more(&whole)?, phases: LoadPhase::ALL.iter().map(phase).collect::<Option<_>>()? })
    }

    /// What a phase has of the whole change.
    #[must_use]
    pub fn share(&self, phase: LoadPhase) -> f64 {
        self.phases.get(&Named(phase)).map_or(0.0, |change| ratio(change.middle, self.whole.middle))
    }

    /// The phase in which most of the change lies; none if none has more than half of it.
    #[must_use]
    pub fn mostly(&self) -> Option<LoadPhase> {
        let shares = self.phases.keys().map(|phase| (phase.0, self.share(phase.0)));
        let most = shares.filter(|(_, share)| *share > 0.5).max_by(|(_, a), (_, b)| a.total_cmp(b));
        most.map(|(phase, _)| phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mostly_is_more_than_half() {
        let of = |mean| Interval { middle: mean, ..Interval::default() };
        let breakdown = |touch, free| Breakdown {
            whole: of(100.0),
            phases: [
                (LoadPhase::Touch, touch),
                (LoadPhase::Free, free),
                (LoadPhase::Walk, 100.0 - touch - free),
            ]
            .map(|(phase, mean)| (Named(phase), of(mean)))
            .into(),
        };
        assert_eq!(breakdown(40.0, 30.0).mostly(), None);
        assert_eq!(breakdown(51.0, 30.0).mostly(), Some(LoadPhase::Touch));
        assert_eq!(
            breakdown(80.0, -70.0).mostly(),
            Some(LoadPhase::Walk),
            "phases can be dearer than the whole"
        );
    }
}
