//! What the last word of a page holds by which its contents are witnessed: the guest writes it, and both sides look.

use crate::addr::Pfn;
use crate::digest::mix;

/// In a page that is free, of a guest with this seed. In one that is used it is the complement, so that neither is ever
/// taken for the other.
#[must_use]
pub const fn of_free(seed: u64, pfn: Pfn) -> u64 {
    // Seeds and frames are small; the offset keeps them from mixing to 0.
    mix(seed.wrapping_add(pfn.0).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_seeds_have_stamps_of_their_own_and_none_is_zero() {
        let stamps = [of_free(1, Pfn(5)), of_free(1, Pfn(6)), of_free(3, Pfn(5))];
        assert!(stamps[0] != stamps[1] && stamps[0] != stamps[2] && stamps.iter().all(|stamp| *stamp != 0));
    }
}
