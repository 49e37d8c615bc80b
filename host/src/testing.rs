//! The crate's parts for benches and tests: one by one, under a guest that breaks the rules, under a fuzzer.

#[cfg(any(test, feature = "test-support"))]
pub mod fuzzing;
#[cfg(any(test, feature = "test-support"))]
pub mod pairwise;
pub mod parts;
#[cfg(feature = "test-support")]
pub mod physical;
#[cfg(feature = "test-support")]
pub mod pressure;
#[cfg(test)]
pub(crate) mod refuse;
#[cfg(feature = "test-support")]
pub mod rig;
#[cfg(any(test, feature = "test-support"))]
pub mod specs;
