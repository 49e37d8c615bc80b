//! A histogram in guest memory: how the guest counts what happens too often to be told one by one.
//!
//! Log-linear, as HdrHistogram's: 64 buckets to each power of two, so that a bucket is at most 1/64 of its values
//! wide. Values below 64 have a bucket each; values beyond 2^48 share the last. A bucket is one 64-bit counter. The
//! guest counts with no more than a shift and an increment, and the host reads the counters when the guest is
//! done.

/// log2 of the buckets to each power of two.
const PRECISION_BITS: u32 = 6;
/// Values up to this power of two are told apart.
const LARGEST_BITS: u32 = 48;

/// Number of buckets.
pub const BUCKETS: usize = ((LARGEST_BITS - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

/// The bucket of a value.
#[must_use]
pub const fn bucket(value: u64) -> usize {
    let value = if value < 1 << LARGEST_BITS { value } else { (1 << LARGEST_BITS) - 1 };
    let bits = (value | 1 << (PRECISION_BITS - 1)).ilog2();
    #[expect(clippy::cast_possible_truncation, reason = "at most 48 bits, and a usize has 64")]
    let value = value as usize;
    if bits < PRECISION_BITS {
        return value;
    }
    let shift = bits - PRECISION_BITS;
    (((shift + 1) as usize) << PRECISION_BITS) + (value >> shift) - (1 << PRECISION_BITS)
}

/// The smallest value of a bucket.
#[must_use]
pub const fn lowest(bucket: usize) -> u64 {
    let (group, within) = (bucket >> PRECISION_BITS, bucket & ((1 << PRECISION_BITS) - 1));
    match group {
        0 => within as u64,
        _ => ((within | 1 << PRECISION_BITS) as u64) << (group - 1),
    }
}

/// The largest value of a bucket; what it is taken for when a value must stand for all of it.
#[must_use]
pub const fn highest(bucket: usize) -> u64 {
    lowest(bucket + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(63), 63);
        assert_eq!(bucket(64), 64);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << 48) - 1), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(bits in 0_u32..48, low: u64) {
            let value = 1 << bits | low & ((1 << bits) - 1);
            let at = bucket(value);
            prop_assert!(at < BUCKETS);
            prop_assert!(lowest(at) <= value && value <= highest(at));
            prop_assert!(highest(at) - lowest(at) <= value / 64);
        }

        #[test]
        fn buckets_follow_one_another(at in 0_usize..BUCKETS - 1) {
            prop_assert_eq!(bucket(lowest(at)), at);
            prop_assert_eq!(bucket(highest(at)), at);
            prop_assert_eq!(highest(at) + 1, lowest(at + 1));
        }
    }
}
