//! The tiny KVM runner.

pub mod axes;
pub mod facts;
mod kvm;
mod run;
pub mod trial;

pub use kvm::KvmError;
pub use run::{TrialError, probe, run};
