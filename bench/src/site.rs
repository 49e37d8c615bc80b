//! Where a run takes place: machine, KVM, noise, and what the host makes of a guest's calls.

pub mod calls;
pub mod doctor;
pub mod emulated;
pub mod environment;
pub mod floor;
pub mod machine;
pub mod noise;
pub mod placement;
pub mod sentinel;
