//! What guest memory is made of on the host, and whether the kernel has done as it was advised.

use std::path::Path;
use std::{fs, io};

use abi::addr::PAGE_SIZE;

use super::advise::{Advice, advise};
use super::ram::{GuestRam, RamError};
use super::residency::{Residency, ResidencyError, huge_bytes};
use crate::axes::{Axis, Backing};

/// Where the kernel says to whom it gives huge pages.
const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Memory that cannot be had as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum BackingError {
    /// Guest memory cannot be advised about huge pages.
    #[error("backing {} cannot be had: madvise({}) of guest memory failed: {source}", .backing.name(), .advice.name())]
    Advice {
        /// The backing.
        backing: Backing,
        /// What was advised.
        advice: Advice,
        /// What the kernel said.
        source: io::Error,
    },
    /// Reported pages were to be discarded, and none could be.
    #[error("guest memory cannot be discarded: madvise(MADV_DONTNEED) failed: {source}{known}")]
    NoDiscard {
        /// What the kernel said.
        source: io::Error,
        /// What is known of the reason.
        known: String,
    },
    /// Huge pages were asked for, and the kernel gave few or none.
    #[error(
        "backing anon-thp got {share:.1} % of its memory in huge pages, and less than {least:.0} % is another backing: {reason}"
    )]
    NoHugePages {
        /// Per cent of resident guest memory.
        share: f64,
        /// The least.
        least: f64,
        /// What keeps them away, and what would change it.
        reason: String,
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
    match advise(ram, ram.whole(), advice) {
        // A kernel without huge pages knows no advice against them, and gives none.
        Err(_) if backing == Backing::Anon && !Path::new(ENABLED).exists() => Ok(()),
        advised => advised.map_err(|source| BackingError::Advice { backing, advice, source }),
    }
}

/// Discards all of guest memory before there is any: what fails now would fail at every report.
pub(crate) fn try_discard(ram: &GuestRam) -> Result<(), BackingError> {
    advise(ram, ram.whole(), Advice::DontNeed).map_err(|source| {
        let known = locked(&status()).map_or_else(String::new, |locked| format!("; {locked}"));
        BackingError::NoDiscard { source, known }
    })
}

/// What the kernel says of this process.
fn status() -> String {
    fs::read_to_string("/proc/self/status").unwrap_or_default()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Locked memory is not discarded, and is there before anybody has advised huge pages for it.
fn locked(status: &str) -> Option<String> {
    let locked = field(status, "VmLck:").filter(|locked| *locked != "0 kB")?;
    Some(format!(
        "{locked} of this process are locked (VmLck): start it without what locks all memory (mlockall)"
    ))
}

/// What keeps huge pages away, by what the kernel says: of this process, and in `enabled` of all.
fn reason(status: &str, enabled: Option<&str>) -> String {
    if field(status, "THP_enabled:") == Some("0") {
        return "they are switched off for this process, by whoever started it (prctl PR_SET_THP_DISABLE)"
            .to_owned();
    }
    if let Some(locked) = locked(status) {
        return locked;
    }
    match enabled.map(str::trim) {
        None => "this kernel shows no transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)".to_owned(),
        Some(never) if never.contains("[never]") => {
            format!("as root: echo madvise > {ENABLED}, which is never")
        }
        Some(set) => format!(
            "{ENABLED} is {set} and allows them: memory must be free and not fragmented (as root: echo 1 > /proc/sys/vm/compact_memory)"
        ),
    }
}

/// The least share of resident memory in huge pages for a backing of huge pages.
const LEAST: f64 = 0.95;

/// The share of resident guest memory in huge pages, 0 to 1. Memory that has been written to must have nearly all of
/// it there, if they were asked for.
pub(crate) fn require_huge(ram: &GuestRam, backing: Backing) -> Result<f64, BackingError> {
    let resident = Residency::of(ram, ram.whole())?.count()? * PAGE_SIZE;
    let share = share(huge_bytes(ram)?, resident);
    if backing == Backing::AnonThp && share < LEAST {
        let reason = reason(&status(), fs::read_to_string(ENABLED).ok().as_deref());
        return Err(BackingError::NoHugePages { share: share * 100.0, least: LEAST * 100.0, reason });
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
    use crate::testing::refuse::refused;
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
    fn what_keeps_huge_pages_away_is_what_the_kernel_says() {
        let (free, set) = ("THP_enabled:\t1\nVmLck:\t       0 kB\n", Some("always [madvise] never\n"));
        for (status, enabled, said) in [
            ("THP_enabled:\t0\n", set, "PR_SET_THP_DISABLE"),
            ("THP_enabled:\t1\nVmLck:\t   64 kB\n", set, "64 kB of this process are locked"),
            (free, None, "CONFIG_TRANSPARENT_HUGEPAGE"),
            (free, Some("always madvise [never]\n"), "echo madvise > /sys/"),
            (free, set, "is always [madvise] never and allows them"),
        ] {
            let reason = reason(status, enabled);
            assert!(reason.contains(said), "{reason}");
        }
    }

    #[test]
    fn what_cannot_be_discarded_is_said_with_what_the_kernel_said() {
        let ram = GuestRam::new(4 << 20).unwrap();
        try_discard(&ram).unwrap();
        let error = refused(libc::SYS_madvise, libc::EPERM, || try_discard(&ram)).unwrap_err().to_string();
        assert_eq!(
            error,
            "guest memory cannot be discarded: madvise(MADV_DONTNEED) failed: Operation not permitted (os error 1)"
        );
        let error = refused(libc::SYS_madvise, libc::EINVAL, || back(&ram, Backing::AnonThp))
            .unwrap_err()
            .to_string();
        assert!(error.contains("madvise(MADV_HUGEPAGE) of guest memory failed: Invalid argument"), "{error}");
    }

    #[test]
    fn of_nothing_nothing_is_huge() {
        let ram = GuestRam::new(4 << 20).unwrap();
        assert_eq!(require_huge(&ram, Backing::Anon).unwrap(), 0.0);
        assert!(require_huge(&ram, Backing::AnonThp).is_err());
    }
}
