//! What the oracles in the guest find wrong: [`Violation`].

/// What can be wrong with memory or with an acknowledgement, as the guest finds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Violation {
    /// A page that was never reported lost its stamp.
    UnreportedLost,
    /// A page that was acknowledged and taken back lost what was written to it since.
    ReusedLost,
    /// A page that should have been discarded still holds what it held.
    StillThere,
    /// A page holds neither what it held nor zeroes.
    Scrambled,
    /// The doorbell returned and the used ring had not moved.
    Unacknowledged,
    /// The used ring moved by more than the one chain in flight.
    UsedAhead,
    /// The used ring names another chain, or claims bytes were written.
    UsedWrong,
    /// An allocation was given a page of a report that was not acknowledged yet.
    HandedOutInFlight,
    /// A page was reported that was not taken off its free list.
    NotIsolated,
    /// A block was marked as reported that had been written to since.
    StaleMark,
    /// A page was handed out that was in use already.
    HandedOutTwice,
    /// The allocator's counts, lists and page states disagree, or a page is missing.
    Accounts,
}

impl Violation {
    /// Every kind, in the order of the counters in the notes.
    pub const ALL: [Self; 12] = [
        Self::UnreportedLost,
        Self::ReusedLost,
        Self::StillThere,
        Self::Scrambled,
        Self::Unacknowledged,
        Self::UsedAhead,
        Self::UsedWrong,
        Self::HandedOutInFlight,
        Self::NotIsolated,
        Self::StaleMark,
        Self::HandedOutTwice,
        Self::Accounts,
    ];

    /// What it is called in result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnreportedLost => "unreported-lost",
            Self::ReusedLost => "reused-lost",
            Self::StillThere => "still-there",
            Self::Scrambled => "scrambled",
            Self::Unacknowledged => "unacknowledged",
            Self::UsedAhead => "used-ahead",
            Self::UsedWrong => "used-wrong",
            Self::HandedOutInFlight => "handed-out-in-flight",
            Self::NotIsolated => "not-isolated",
            Self::StaleMark => "stale-mark",
            Self::HandedOutTwice => "handed-out-twice",
            Self::Accounts => "accounts",
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UnreportedLost => "a page that was never reported lost its contents",
            Self::ReusedLost => "a page taken back after its acknowledgement lost what was written since",
            Self::StillThere => "a reported page still held its old contents after the acknowledgement",
            Self::Scrambled => "a reported page held neither what it held before nor what a discard leaves",
            Self::Unacknowledged => "the doorbell returned without an acknowledgement",
            Self::UsedAhead => "the used index moved by more than the one chain in flight",
            Self::UsedWrong => "the used ring named a wrong chain or a length other than 0",
            Self::HandedOutInFlight => "an allocation was given a page whose report was not acknowledged yet",
            Self::NotIsolated => "a page was reported that was not taken off its free list",
            Self::StaleMark => "a block was marked as reported that had been written to since",
            Self::HandedOutTwice => "a page was handed out that was in use already",
            Self::Accounts => "the allocator's counts, lists and page states disagree",
        }
    }
}
