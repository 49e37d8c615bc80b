//! What guest memory is made of on the host, and whether the kernel has done as it was advised.

use std::io;

use abi::addr::PageRange;

use super::advise::{Advice, advise};
use super::ram::{GuestRam, RamError};
use super::residency::{ResidencyError, huge_bytes};
use crate::axes::{Axis, Backing};

/// Memory that cannot be had as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum BackingError {
    /// Guest memory cannot be advised about huge pages.
    #[error("backing {backing} cannot be had: {source}; see /sys/kernel/mm/transparent_hugepage", backing = .backing.name())]
    Advice {
        /// The backing.
        backing: Backing,
        /// What the kernel said.
        source: io::Error,
    },
    /// Huge pages were asked for, and the kernel gave none.
    #[error(
        "backing anon-thp got no huge page: /sys/kernel/mm/transparent_hugepage/enabled must be madvise or always, and memory not too fragmented"
    )]
    NoHugePages,
    /// The memory is not there.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// The kernel does not say.
    #[error(transparent)]
    Residency(#[from] ResidencyError),
}

/// Advises the kernel to back all of guest memory so.
pub(crate) fn back(ram: &GuestRam, backing: Backing) -> Result<(), BackingError> {
    let advice = match backing {
        Backing::Anon => Advice::NoHugePage,
        Backing::AnonThp => Advice::HugePage,
    };
    advise(ram, ram.whole(), advice).map_err(|source| BackingError::Advice { backing, source })
}

/// Memory that has been written to must have some huge page by now, if they were asked for.
pub(crate) fn require_huge(ram: &GuestRam, backing: Backing) -> Result<(), BackingError> {
    if backing == Backing::AnonThp && huge_bytes(ram)? == 0 {
        return Err(BackingError::NoHugePages);
    }
    Ok(())
}

/// The first touch of a block must give a huge page, if they were asked for. It is given back.
pub(crate) fn try_huge(ram: &GuestRam, backing: Backing, block: PageRange) -> Result<(), BackingError> {
    if backing != Backing::AnonThp {
        return Ok(());
    }
    ram.write(block.gpa(), 1)?;
    let found = require_huge(ram, backing);
    advise(ram, block, Advice::DontNeed).map_err(|source| BackingError::Advice { backing, source })?;
    found
}
