//! Ranges that are not acted on, and why.

/// Ranges the host refused, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// Zero length, or no whole page inside.
    pub empty: u64,
    /// The end is beyond the address space.
    pub wraps: u64,
    /// Not, or not wholly, in guest memory; or in a table that is not.
    pub outside: u64,
    /// A descriptor the device may not write.
    pub read_only: u64,
    /// An indirect descriptor where there may be none: it was not negotiated, it is in a table itself, or another follows.
    pub indirect: u64,
    /// An indirect table of no descriptors, of a part of one, or of more than the ring has left for the chain.
    pub table: u64,
    /// A chain that loops, leaves the table or is longer than the ring.
    pub broken_chain: u64,
    /// A call with no such operation, more ranges than a page holds, or its page outside memory.
    pub bad_call: u64,
    /// A list of frames that is empty, not whole, not memory, longer than the device takes, or in a buffer to be written.
    pub bad_list: u64,
    /// A range on the ring that no call had announced.
    pub unannounced: u64,
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.empty
            + self.wraps
            + self.outside
            + self.read_only
            + self.indirect
            + self.table
            + self.broken_chain
            + self.bad_call
            + self.bad_list
            + self.unannounced
    }

    /// Adds another count, reason by reason.
    pub const fn add(&mut self, other: &Self) {
        self.empty += other.empty;
        self.wraps += other.wraps;
        self.outside += other.outside;
        self.read_only += other.read_only;
        self.indirect += other.indirect;
        self.table += other.table;
        self.broken_chain += other.broken_chain;
        self.bad_call += other.bad_call;
        self.bad_list += other.bad_list;
        self.unannounced += other.unannounced;
    }
}
