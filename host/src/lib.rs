//! The tiny KVM runner.
pub mod axes;
pub mod trial;
