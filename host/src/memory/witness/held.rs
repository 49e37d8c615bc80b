//! What a witness says, or why it says nothing.

use std::io;

use super::super::ram::RamError;
use super::super::residency::ResidencyError;

/// The witness has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file of the kernel's cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// It says something else than expected.
    #[error("{path} has no {field}")]
    Says {
        /// Which file.
        path: String,
        /// What was looked for.
        field: &'static str,
    },
    /// The page table cannot be read.
    #[error(transparent)]
    Residency(#[from] ResidencyError),
    /// There is no memory to work with.
    #[error(transparent)]
    Ram(#[from] RamError),
}

impl WitnessError {
    pub(super) fn read(path: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}

/// What the kernel holds of guest memory beyond what is mapped, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// Pages held and not mapped. Only differences mean anything where a counter is read: it may be negative.
    pub pages: i64,
    /// It may be this many more or less.
    pub within: u64,
}

/// What became of pages that are unmapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Verdict {
    /// Pages that the host has back.
    pub(crate) back: u64,
    /// Pages of which the witness cannot tell.
    pub(crate) unknown: u64,
    /// By how many pages `back` may be off.
    pub(crate) within: u64,
}

impl Held {
    /// Of `unmapped` pages, how many are back if so many more are held now than `before`. Nothing is said of fewer
    /// pages than the readings may be off by.
    pub(crate) fn verdict(self, before: Self, unmapped: u64) -> Verdict {
        let within = self.within + before.within;
        if unmapped > 0 && unmapped <= within {
            return Verdict { back: 0, unknown: unmapped, within };
        }
        let more = u64::try_from(self.pages - before.pages).unwrap_or(0);
        Verdict { back: unmapped.saturating_sub(more), unknown: 0, within }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn held(pages: i64, within: u64) -> Held {
        Held { pages, within }
    }

    #[test]
    fn what_is_held_more_than_before_is_not_back() {
        let back = |now: Held, before: Held| {
            let Verdict { back, unknown, .. } = now.verdict(before, 32);
            assert_eq!(unknown, 0, "{now:?}");
            back
        };
        assert_eq!(back(held(5, 0), held(5, 0)), 32);
        assert_eq!(back(held(37, 0), held(5, 0)), 0);
        assert_eq!(back(held(21, 0), held(5, 0)), 16);
        assert_eq!(back(held(-9, 1), held(0, 1)), 32, "never more than all");
        assert_eq!(back(held(99, 0), held(0, 0)), 0, "never less than none");
    }

    #[test]
    fn what_cannot_be_told_is_neither_back_nor_held() {
        for pages in [-100, 0, 100] {
            let verdict = held(pages, 16).verdict(held(0, 16), 32);
            assert_eq!(verdict, Verdict { back: 0, unknown: 32, within: 32 });
            assert_eq!(held(pages, 16).verdict(held(0, 15), 32).unknown, 0);
        }
        let nothing = held(0, 16).verdict(held(0, 16), 0);
        assert_eq!((nothing.back, nothing.unknown), (0, 0), "of nothing everything is known");
    }
}
