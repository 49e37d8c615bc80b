//! Guest memory: what it is made of, the one checked door into it, and what the kernel is told and asked about it.
//!
//! ```text
//!   ram        guest memory, the one checked door            mapping, host_range  … and where it is on the host
//!   backing    what it is made of                            discard    every way to take pages from it
//!   advise     the one place that calls madvise              drain      has processors give up what they hold on to
//!   residency  which pages are resident                      in_core    … or in a shared file
//!   userfault  who answers for pages that are missing
//!   witness    which of the others the host has back
//! ```

mod advise;
mod backing;
mod discard;
mod drain;
#[cfg(any(test, feature = "test-support"))]
mod grip;
mod host_range;
mod in_core;
mod mapping;
mod ram;
mod residency;
mod userfault;
mod witness;

pub use advise::Advice;
pub use backing::BackingError;
pub use host_range::HostRange;
pub use ram::{GuestRam, RamError};
pub use residency::ResidencyError;
pub use userfault::Userfaults;
pub use witness::{Held, Kind as WitnessKind, Splits, WitnessError};

#[cfg(any(test, feature = "test-support"))]
pub(crate) use advise::advise;
pub(crate) use backing::require_huge;
pub(crate) use discard::{Discarder, try_discard};
#[cfg(any(test, feature = "test-support"))]
pub(crate) use grip::Grip;
pub(crate) use residency::{Residency, beside, huge_and_mappings, lazy_pages};
pub(crate) use witness::{Verdict, Witness};
