//! What the engine is told when it starts: [`EngineInfo`], as words at [`crate::layout::ENGINE`], beside the boot
//! words, which say the rest (transport, arena, seed).

use super::{GuestFault, Load, PerCpuLists, Reporting, Shuffle, Walk};
use crate::addr::Order;
use crate::axes::Axis;
use crate::boot::{BootError, choice, flag};
use crate::layout::{COMPANY, ENGINE};

/// Number of words: what [`EngineInfo::to_words`] writes, or it would not compile.
pub const WORDS: usize = 22;
const _: () = assert!(ENGINE.0 + WORDS as u64 * 8 <= COMPANY.0);

/// Everything the engine is told. Durations are in ticks of the guest's time stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineInfo {
    /// Virtual processors, 1 to [`crate::layout::VCPUS_MAX`].
    pub vcpus: u64,
    /// Whether to report.
    pub reporting: Reporting,
    /// How to find what is not reported yet.
    pub walk: Walk,
    /// Whether compaction moves the lists meanwhile.
    pub shuffle: Shuffle,
    /// The least order that is reported.
    pub min_order: Order,
    /// Blocks a report holds, 1 to the transport's capacity (Linux: `PAGE_REPORTING_CAPACITY`, 32).
    pub capacity: u64,
    /// From the request to the pass, and from a pass that ran out of budget to the next (Linux: 2 s).
    pub delay: u64,
    /// A pass is requested when a freed block leaves so many unreported blocks on a list of its order: 1 as merged, 32 as
    /// versions 7 to 13.
    pub high_water: u64,
    /// A pass makes `ceil(free blocks / (capacity × budget)) + 1` reports of a list, then leaves it for the next;
    /// 16 as merged, 0 for no limit.
    pub budget: u64,
    /// Whether a zone is skipped that would be left with less than its low watermark and a full report.
    pub watermark: bool,
    /// Who allocates meanwhile.
    pub load: Load,
    /// Order of the blocks the workload allocates; the largest for churn.
    pub unit: Order,
    /// Pages each virtual processor has allocated at the most; for [`Load::Comb`], all of them together: twice
    /// the length of the list times the unit.
    pub footprint: u64,
    /// How often, for a load that is not timed.
    pub rounds: u64,
    /// For how long, for a load that is; what comes before is warm-up.
    pub window: u64,
    /// How long a timed load runs before what is measured.
    pub warmup: u64,
    /// How long to wait for reporting to settle, at the most, after each round.
    pub settle: u64,
    /// Whether free pages are filled with [`EngineInfo::poison`], and are expected to hold it.
    pub poisoned: bool,
    /// What with: a word of eight equal bytes, as the 32 bits of the balloon's `poison_val` are.
    pub poison: u64,
    /// A deliberate bug.
    pub fault: GuestFault,
    /// Ticks in a microsecond: for waits the host is asked for in microseconds.
    pub ticks_per_us: u64,
    /// Whether processors keep lists of free pages of their own.
    pub pcp: PerCpuLists,
}

impl EngineInfo {
    /// As words.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        [
            self.vcpus,
            self.reporting.number(),
            self.walk.number(),
            self.shuffle.number(),
            u64::from(self.min_order.get()),
            self.capacity,
            self.delay,
            self.high_water,
            self.budget,
            u64::from(self.watermark),
            self.load.number(),
            u64::from(self.unit.get()),
            self.footprint,
            self.rounds,
            self.window,
            self.warmup,
            self.settle,
            u64::from(self.poisoned),
            self.poison,
            self.fault.number(),
            self.ticks_per_us,
            self.pcp.number(),
        ]
    }

    /// From words.
    ///
    /// # Errors
    /// [`BootError`] names the word that is none of ours.
    pub fn from_words(words: &[u64; WORDS]) -> Result<Self, BootError> {
        let mut words = words.iter().copied().enumerate();
        let mut next = || words.next().unwrap_or_default();
        let order = |(index, value)| Order::new(value).map_err(|_| BootError { index, value });
        Ok(Self {
            vcpus: next().1,
            reporting: choice(next())?,
            walk: choice(next())?,
            shuffle: choice(next())?,
            min_order: order(next())?,
            capacity: next().1,
            delay: next().1,
            high_water: next().1,
            budget: next().1,
            watermark: flag(next())?,
            load: choice(next())?,
            unit: order(next())?,
            footprint: next().1,
            rounds: next().1,
            window: next().1,
            warmup: next().1,
            settle: next().1,
            poisoned: flag(next())?,
            poison: next().1,
            fault: choice(next())?,
            ticks_per_us: next().1,
            pcp: choice(next())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: EngineInfo = EngineInfo {
        vcpus: 4,
        reporting: Reporting::On,
        walk: Walk::Rotation,
        shuffle: Shuffle::Compaction,
        min_order: Order::HUGE,
        capacity: 32,
        delay: 1000,
        high_water: 1,
        budget: 16,
        watermark: true,
        load: Load::Churn,
        unit: Order::MAX,
        footprint: 4096,
        rounds: 3,
        window: 77,
        warmup: 7,
        settle: 78,
        poisoned: true,
        poison: 0xaaaa_aaaa_aaaa_aaaa,
        fault: GuestFault::KeepMark,
        ticks_per_us: 2400,
        pcp: PerCpuLists::Linux,
    };

    #[test]
    fn words_round_trip() {
        assert_eq!(EngineInfo::from_words(&INFO.to_words()), Ok(INFO));
    }

    #[test]
    fn every_word_is_read() {
        for index in 0..WORDS {
            let mut words = INFO.to_words();
            words[index] ^= 1;
            assert_ne!(EngineInfo::from_words(&words), Ok(INFO), "{index}");
        }
    }

    #[test]
    fn a_foreign_word_is_named() {
        for (index, bad) in [(1, 3), (2, 99), (4, 11), (9, 2), (10, 6), (19, 4), (21, 2)] {
            let mut words = INFO.to_words();
            words[index] = bad;
            assert_eq!(EngineInfo::from_words(&words), Err(BootError { index, value: bad }));
        }
    }
}
