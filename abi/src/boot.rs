//! What the guest is told when it starts: [`BootInfo`], as words at [`crate::layout::BOOT`].
//!
//! The words are integers; [`BootInfo::from_words`] is the only way to make choices of them. The payload that
//! finds words it does not understand panics with the error instead of guessing.

use core::fmt;

use crate::addr::Order;
use crate::axes::{Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, RingFeatures, Workload};
use crate::layout::{BOOT, ENGINE};

/// "pagehint" in ASCII, the first word.
pub const MAGIC: u64 = u64::from_be_bytes(*b"pagehint");
/// Version of everything in this crate; the second word. Both sides come from one build, so a difference
/// means a stale or foreign payload image.
pub const VERSION: u64 = 4;
/// Number of words: what [`BootInfo::to_words`] writes, or it would not compile.
pub const WORDS: usize = 21;
const _: () = assert!(BOOT.0 + WORDS as u64 * 8 <= ENGINE.0);

/// Everything the payload is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootInfo {
    /// What to do.
    pub program: Program,
    /// The mode the payload finds itself in.
    pub guest_ring: GuestRing,
    /// Where ranges travel.
    pub carrier: Carrier,
    /// How to tell the host.
    pub bell: Bell,
    /// How to learn that the host is done.
    pub completion: Completion,
    /// What reported pages must hold afterwards.
    pub afterwards: Afterwards,
    /// Which pages to free.
    pub workload: Workload,
    /// Size of every range.
    pub order: Order,
    /// Ranges in a report.
    pub batch: u64,
    /// Entries of the ring.
    pub queue_size: u64,
    /// Pages of the arena; a power of two.
    pub arena_pages: u64,
    /// Reports before the measured ones.
    pub warmup: u64,
    /// Reports that are measured.
    pub reports: u64,
    /// Microseconds for which the guest gives its processor away before each report; 0 to go on at once.
    pub idle: u64,
    /// Entries that the carrier gathers before the guest rings; 0 where every report rings.
    pub gathers: u64,
    /// Reports that are in flight at once; 1 where each is waited for before the next.
    pub in_flight: u64,
    /// Seed of the workload.
    pub seed: u64,
    /// Whether to fence before reading the time stamp counter. Off where the host emulates ring 0: each
    /// instruction is a world of its own there, and the emulator knows no `lfence`.
    pub fenced: bool,
    /// The options of the ring.
    pub ring_features: RingFeatures,
}

impl BootInfo {
    /// As words.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        [
            MAGIC,
            VERSION,
            self.program.number(),
            self.guest_ring.number(),
            self.carrier.number(),
            self.bell.number(),
            self.completion.number(),
            self.afterwards.number(),
            self.workload.number(),
            u64::from(self.order.get()),
            self.batch,
            self.queue_size,
            self.arena_pages,
            self.warmup,
            self.reports,
            self.idle,
            self.gathers,
            self.in_flight,
            self.seed,
            u64::from(self.fenced),
            self.ring_features.number(),
        ]
    }

    /// From words.
    ///
    /// # Errors
    /// [`BootError`] names the word that is none of ours.
    pub fn from_words(words: &[u64; WORDS]) -> Result<Self, BootError> {
        let mut words = words.iter().copied().enumerate();
        let mut next = || words.next().unwrap_or_default();
        expect(next(), MAGIC)?;
        expect(next(), VERSION)?;
        Ok(Self {
            program: choice(next())?,
            guest_ring: choice(next())?,
            carrier: choice(next())?,
            bell: choice(next())?,
            completion: choice(next())?,
            afterwards: choice(next())?,
            workload: choice(next())?,
            order: {
                let (index, value) = next();
                Order::new(value).map_err(|_| BootError { index, value })?
            },
            batch: next().1,
            queue_size: next().1,
            arena_pages: next().1,
            warmup: next().1,
            reports: next().1,
            idle: next().1,
            gathers: next().1,
            in_flight: next().1,
            seed: next().1,
            fenced: flag(next())?,
            ring_features: choice(next())?,
        })
    }
}

fn expect((index, value): (usize, u64), wanted: u64) -> Result<(), BootError> {
    if value == wanted { Ok(()) } else { Err(BootError { index, value }) }
}

pub(crate) fn choice<A: Axis>((index, value): (usize, u64)) -> Result<A, BootError> {
    A::from_number(value).ok_or(BootError { index, value })
}

pub(crate) fn flag((index, value): (usize, u64)) -> Result<bool, BootError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BootError { index, value }),
    }
}

/// A boot word that means nothing to this build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootError {
    /// Position of the word.
    pub index: usize,
    /// Its value.
    pub value: u64,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot word {} is {:#x}: payload and host are of different builds", self.index, self.value)
    }
}

impl core::error::Error for BootError {}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: BootInfo = BootInfo {
        program: Program::Report,
        guest_ring: GuestRing::Three,
        carrier: Carrier::Ring,
        bell: Bell::NotifyRegister,
        completion: Completion::Interrupt,
        afterwards: Afterwards::Zeroed,
        workload: Workload::Random,
        order: Order::HUGE,
        batch: 32,
        queue_size: 64,
        arena_pages: 1 << 16,
        warmup: 3,
        reports: 100,
        idle: 2_000_000,
        gathers: 511,
        in_flight: 8,
        seed: 42,
        fenced: true,
        ring_features: RingFeatures { indirect: true, event_idx: false, in_order: true },
    };

    #[test]
    fn words_round_trip() {
        assert_eq!(BootInfo::from_words(&INFO.to_words()), Ok(INFO));
    }

    #[test]
    fn a_foreign_word_is_named() {
        for (index, bad) in [(0, 1), (1, 999), (2, 99), (9, 11), (19, 2), (20, 8)] {
            let mut words = INFO.to_words();
            words[index] = bad;
            assert_eq!(BootInfo::from_words(&words), Err(BootError { index, value: bad }));
        }
    }
}
