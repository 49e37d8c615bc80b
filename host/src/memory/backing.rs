//! What guest memory is made of on the host, and whether the kernel has done as it was advised.

use std::io;

use abi::addr::PAGE_SIZE;

use super::advise::{Advice, advise};
use super::ram::{GuestRam, RamError};
use super::residency::{Residency, ResidencyError, huge_bytes};
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
    /// Huge pages were asked for, and the kernel gave few or none.
    #[error(
        "backing anon-thp got {share:.1} % of its memory in huge pages, and less than {least:.0} % is another backing: /sys/kernel/mm/transparent_hugepage/enabled must be madvise or always, and memory free and not fragmented (as root: echo 1 > /proc/sys/vm/compact_memory)"
    )]
    NoHugePages {
        /// Per cent of resident guest memory.
        share: f64,
        /// The least.
        least: f64,
    },
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

/// The least share of resident memory in huge pages for a backing of huge pages.
const LEAST: f64 = 0.95;

/// The share of resident guest memory in huge pages, 0 to 1. Memory that has been written to must have nearly all of
/// it there, if they were asked for.
pub(crate) fn require_huge(ram: &GuestRam, backing: Backing) -> Result<f64, BackingError> {
    let resident = Residency::of(ram, ram.whole())?.count()? * PAGE_SIZE;
    let share = share(huge_bytes(ram)?, resident);
    if backing == Backing::AnonThp && share < LEAST {
        return Err(BackingError::NoHugePages { share: share * 100.0, least: LEAST * 100.0 });
    }
    Ok(share)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^52")]
fn share(huge: u64, resident: u64) -> f64 {
    if resident == 0 { 0.0 } else { huge as f64 / resident as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::{Order, PageRange, Pfn};

    /// Two huge pages' worth of which one is huge: what a machine short of huge pages gives.
    #[test]
    fn half_in_huge_pages_is_another_backing() {
        let ram = GuestRam::new(4 << 20).unwrap();
        let [first, second] = [0, 512].map(|pfn| PageRange::block(Pfn(pfn), Order::HUGE));
        advise(&ram, first, Advice::HugePage).unwrap();
        advise(&ram, second, Advice::NoHugePage).unwrap();
        for page in ram.whole().frames() {
            ram.write(page.gpa(), 1).unwrap();
        }
        if huge_bytes(&ram).unwrap() == 0 {
            // Nothing can be asked of a kernel without huge pages.
            return;
        }
        let refused = require_huge(&ram, Backing::AnonThp);
        assert!(
            matches!(refused, Err(BackingError::NoHugePages { share, .. }) if share == 50.0),
            "{refused:?}"
        );
        assert!(refused.unwrap_err().to_string().contains("got 50.0 % of its memory"));
        assert_eq!(require_huge(&ram, Backing::Anon).unwrap(), 0.5);
    }

    #[test]
    fn of_nothing_nothing_is_huge() {
        let ram = GuestRam::new(4 << 20).unwrap();
        assert_eq!(require_huge(&ram, Backing::Anon).unwrap(), 0.0);
        assert!(require_huge(&ram, Backing::AnonThp).is_err());
    }
}
