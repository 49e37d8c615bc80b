//! Guest memory: what it is made of, the one checked door into it, and what the kernel is told and asked about it.
//!
//! ```text
//!   ram        guest memory, the one checked door            mapping    … and the address range it is
//!   advise     the one place that calls madvise              backing    small pages or huge ones
//!   residency  which pages are resident                      witness    … and which of the others the host has back
//!                                                            drain      has processors give up what they hold on to
//! ```

mod advise;
mod backing;
mod drain;
#[cfg(any(test, feature = "test-support"))]
mod grip;
mod mapping;
mod ram;
mod residency;
mod witness;

pub use advise::Advice;
pub use backing::BackingError;
pub use ram::{GuestRam, HostRange, RamError};
pub use residency::ResidencyError;
pub use witness::{Held, Kind as WitnessKind, Splits, WitnessError};

pub(crate) use advise::advise;
pub(crate) use backing::{back, require_huge, try_discard};
#[cfg(any(test, feature = "test-support"))]
pub(crate) use grip::Grip;
pub(crate) use residency::{Residency, beside};
pub(crate) use witness::{Verdict, Witness};
