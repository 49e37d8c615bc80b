//! What the guest says to its host outside of reports: where it stands, and that it can spare its processor.

/// Port on which the guest tells its host where it stands: see [`Control`].
pub const CONTROL_PORT: u16 = 0x518;
/// Port on which the guest gives its processor away: the value is how long at the most, in microseconds; 0 lets
/// another thread run and comes back. What a halt with a timer is in a guest that may set one.
pub const IDLE_PORT: u16 = 0x51c;
/// The most microseconds for which a processor is given away at a time.
pub const IDLE_MOST: u64 = 10_000;

/// What the guest says on the control port. None of these exits is part of a timed report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Up, transport initialised, arena stamped.
    Ready,
    /// The warm-up is over: what follows is measured.
    Begin,
    /// The trace is about to overflow: read it.
    Drain,
    /// Every page of the arena has been written and none is reported: all must be resident.
    Filled,
    /// A batch was reported and acknowledged and has not been touched: compare the ledger with the kernel.
    Reported,
    /// The measured part is over; the trace holds the rest.
    End,
    /// The program is over; the notes are final.
    Done,
    /// Waiting for a step; the engine, for the host to ask for a flush.
    Next,
    /// The payload panicked; the message is in the notes.
    Panicked,
    /// A round of the engine is over, everything was freed, and reporting has settled or been waited for: compare
    /// [`crate::engine::Truth`] with the kernel.
    Settled,
    /// A virtual processor other than the first has nothing left to do.
    Parked,
    /// A burst begins, whose kind is in the notes, and the one before is over: read the trace.
    Burst,
    /// The engine has come to rest: nothing is used, nothing is in flight, and the guest is about to look at every page,
    /// which brings it back. The host may look first.
    Resting,
    /// A virtual processor that faults has touched all of its share of the arena: take it away again.
    Vacate,
    /// Every page of the arena that is not reported has been looked at.
    Looked,
}

impl Control {
    const ALL: [Self; 15] = [
        Self::Ready,
        Self::Begin,
        Self::Drain,
        Self::Filled,
        Self::Reported,
        Self::End,
        Self::Done,
        Self::Next,
        Self::Panicked,
        Self::Settled,
        Self::Parked,
        Self::Burst,
        Self::Resting,
        Self::Vacate,
        Self::Looked,
    ];

    /// The value on the wire.
    #[must_use]
    pub const fn value(self) -> u32 {
        self as u32
    }

    /// What a value says, if anything.
    #[must_use]
    pub fn from_value(value: u32) -> Option<Self> {
        usize::try_from(value).ok().and_then(|at| Self::ALL.get(at)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_round_trip() {
        for control in Control::ALL {
            assert_eq!(Control::from_value(control.value()), Some(control));
        }
        assert_eq!(Control::from_value(u32::try_from(Control::ALL.len()).unwrap()), None);
    }
}
