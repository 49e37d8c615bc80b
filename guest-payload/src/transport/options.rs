//! The options of a ring, as its driver has them.

use abi::axes::RingFeatures;

/// Where a ring has its options from.
pub trait Options: Copy {
    /// The options.
    fn get(self) -> RingFeatures;
}

/// None, which is known when the payload is compiled: the loop over a plain ring holds no trace of any.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Options for Plain {
    #[inline(always)]
    fn get(self) -> RingFeatures {
        RingFeatures::NONE
    }
}

/// Whatever was chosen.
impl Options for RingFeatures {
    #[inline(always)]
    fn get(self) -> RingFeatures {
        self
    }
}
