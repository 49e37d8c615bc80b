//! One timed report, and who receives it.

/// One timed report, in ticks of the time stamp counter. The phases are in the order they happen and do not
/// overlap; [`Sample::remainder`] is what they leave unexplained. Where a report takes several calls, each
/// phase is the sum over the calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// Guest: from the report's beginning to its last acknowledgement.
    pub total: u64,
    /// Guest: ranges into the carrier, up to the doorbell instruction.
    pub prepare: u64,
    /// From the doorbell instruction to the host thread that acts; for the device thread, only until the
    /// doorbell instruction is over, and the rest is `wake`.
    pub transit: u64,
    /// Device thread only: from the end of the doorbell instruction until the thread runs.
    pub wake: u64,
    /// Host: ranges out of the carrier, checked.
    pub fetch: u64,
    /// Host: coalescing and `madvise`.
    pub discard: u64,
    /// Host: the acknowledgement is written and the interrupt raised.
    pub complete: u64,
    /// From the host's acknowledgement until the guest has seen it.
    pub resume: u64,
    /// Guest's view, overlaps the above: the doorbell instruction.
    pub notify: u64,
    /// Guest's view, overlaps the above: from the doorbell instruction's end to the acknowledgement.
    pub wait: u64,
    /// Guest, later: touching every reported page once.
    pub touch: u64,
    /// Guest, later: touching them again, resident. `touch - retouch` is the refault.
    pub retouch: u64,
    /// Ranges reported.
    pub ranges: u64,
    /// Calls it took.
    pub calls: u64,
}

impl Sample {
    /// What the phases add up to.
    #[must_use]
    pub const fn explained(&self) -> u64 {
        self.prepare + self.transit + self.wake + self.fetch + self.discard + self.complete + self.resume
    }

    /// What the phases leave unexplained: the host between its stamps.
    #[must_use]
    pub const fn remainder(&self) -> u64 {
        self.total.saturating_sub(self.explained())
    }

    /// What touching the pages again cost over touching resident ones.
    #[must_use]
    pub const fn refault(&self) -> u64 {
        self.touch.saturating_sub(self.retouch)
    }
}

/// Receives the samples of a trial, those of each processor in order, between its timed reports. Must not allocate, format or block.
pub trait Observer: Send {
    /// One measured report.
    fn sample(&mut self, sample: &Sample);
}
