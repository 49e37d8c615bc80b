//! What a fuzzer's bytes are turned into, and what may come of them at the most.

use std::sync::Arc;

use abi::addr::{PAGE_SIZE, PageRange};

use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// Guest memory here. Small, so that addresses hit it and all of it can be looked at.
pub(super) const RAM_BYTES: u64 = 1 << 16;
/// Where the driver puts its ring if it does as it should.
pub(super) const DESC: u64 = 0x1000;
pub(super) const AVAIL: u64 = 0x1800;
pub(super) const USED: u64 = 0x1c00;
/// How many sizes such a ring may have: there is room for 2^0 to 2^6 entries.
pub(super) const SIZES: u8 = 7;
/// The same of packed rings: there is room for 1 to 100 descriptors.
pub(super) const PACKED_SIZES: u16 = 100;

pub(super) fn ram() -> Arc<GuestRam> {
    Arc::new(GuestRam::new(RAM_BYTES).unwrap_or_else(|error| panic!("no memory to fuzz in: {error}")))
}

/// The input, taken from the front; at its end everything is 0.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        bytes[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        bytes
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number that is small as a rule and anything at times: where only small ones mean something.
    pub(super) fn mostly_small(&mut self) -> u64 {
        match self.u8() {
            small @ 0..250 => small.into(),
            _ => self.u64(),
        }
    }
}

/// Whether every byte of `range` was named as `gpa` and `len`. Computed apart from [`ByteRange::inward`].
pub(super) fn lies_inside(range: PageRange, gpa: u64, len: u64) -> bool {
    let page = u128::from(PAGE_SIZE);
    let first = u128::from(range.start().0) * page;
    u128::from(gpa) <= first && u128::from(range.end().0) * page <= u128::from(gpa) + u128::from(len)
}

/// No page beyond memory, and none that is in none of the `named` ranges.
pub(super) fn check_ranges(batch: &Batch, named: &[(u64, u64)]) {
    for range in batch.ranges() {
        assert!(range.end().0 * PAGE_SIZE <= RAM_BYTES, "{range:?} is not memory");
        assert!(range.pages() > 0, "{range:?} is empty");
        let is_named = named.iter().any(|(gpa, len)| lies_inside(*range, *gpa, *len));
        assert!(is_named, "{range:?} was never named");
    }
}
