//! The time stamp counter, as the host and as the guest read it.
//!
//! Two types keep the two readings apart; [`TscOffset`], which KVM states and nobody guesses, turns one into
//! the other.

#![expect(unsafe_code, reason = "reading the time stamp counter is an instruction")]

use core::arch::x86_64::{_mm_lfence, _rdtsc};

/// A reading of the host's time stamp counter, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct HostTsc(pub u64);

/// A reading of the guest's time stamp counter, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct GuestTsc(pub u64);

impl HostTsc {
    /// Reads the counter once everything before it is done.
    #[inline]
    #[must_use]
    pub(crate) fn now() -> Self {
        // SAFETY: `lfence` has no preconditions on x86_64. It keeps the counter from being read before earlier
        // loads are done.
        unsafe { _mm_lfence() }
        // SAFETY: `rdtsc` has no preconditions where user space may read the counter, which Linux allows.
        Self(unsafe { _rdtsc() })
    }
}

/// Guest minus host time stamp counter, in ticks (`KVM_VCPU_TSC_OFFSET`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TscOffset(pub i64);

impl TscOffset {
    /// What the guest would have read at the host's `at`.
    #[must_use]
    pub(crate) const fn to_guest(self, at: HostTsc) -> GuestTsc {
        GuestTsc(at.0.wrapping_add_signed(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_guest_minus_host() {
        assert_eq!(TscOffset(-5).to_guest(HostTsc(12)), GuestTsc(7));
        assert_eq!(TscOffset(i64::MIN).to_guest(HostTsc(1 << 63)), GuestTsc(0), "wraps as the counter does");
    }

    #[test]
    fn the_counter_moves_forwards() {
        assert!(HostTsc::now() <= HostTsc::now());
    }
}
