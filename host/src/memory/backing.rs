//! What guest memory is made of on the host, and whether the kernel has done as it was advised.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{env, io};

use abi::addr::{Order, PAGE_SIZE, PageRange};
use rustix::fs::{MemfdFlags, memfd_create};

use super::advise::{Advice, advise, lock};
use super::mapping::Source;
use super::ram::{GuestRam, RamError};
use super::residency::{Residency, ResidencyError, huge_bytes};
use super::userfault::UserfaultError;
use crate::axes::{Axis, Backing, Discard};

/// Where the kernel says to whom it gives huge pages, of anonymous memory and of files in memory.
const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const SHMEM_ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
/// Where it says what there is of the huge pages that are reserved beforehand.
const HUGETLB: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

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
    /// There is no file to make it of.
    #[error("backing {} cannot be had: {what}: {source}", .backing.name())]
    File {
        /// The backing.
        backing: Backing,
        /// The file.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Too few huge pages are reserved.
    #[error(
        "backing hugetlb needs {needed} huge pages of 2 MiB, and {free} are free: as root: echo {reserve} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    )]
    NoHugetlb {
        /// Huge pages it takes.
        needed: u64,
        /// Those that nobody uses or has been promised.
        free: u64,
        /// So many would do.
        reserve: u64,
    },
    /// It cannot be locked.
    #[error(
        "backing locked cannot be had: mlock2 of guest memory failed: {source}; run it as root, or with a higher limit (ulimit -l)"
    )]
    Lock {
        /// What the kernel said.
        source: io::Error,
    },
    /// It cannot be registered.
    #[error(
        "backing userfault cannot be had: {call} failed: {source}; run it as root, or as root: echo 1 > /proc/sys/vm/unprivileged_userfaultfd"
    )]
    Userfault {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Reported pages were to be discarded, and none could be.
    #[error("guest memory cannot be discarded: {} failed: {source}{known}", .discard.call())]
    NoDiscard {
        /// How.
        discard: Discard,
        /// What the kernel said.
        source: io::Error,
        /// What is known of the reason.
        known: String,
    },
    /// Huge pages were asked for, and the kernel gave few or none.
    #[error(
        "backing {} got {share:.1} % of its memory in huge pages, and less than {least:.0} % is another backing: {reason}",
        .backing.name()
    )]
    NoHugePages {
        /// The backing.
        backing: Backing,
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

impl GuestRam {
    /// At least `bytes` of memory that is made so. None of it is there yet.
    ///
    /// # Errors
    /// [`BackingError`] if this host does not have it.
    pub(crate) fn backed(bytes: u64, backing: Backing) -> Result<Self, BackingError> {
        let mapped = Self::mapped(bytes, backing, source(bytes, backing)?);
        let ram = mapped.map_err(|error| {
            if backing == Backing::Hugetlb { no_hugetlb(bytes, error) } else { error.into() }
        })?;
        settle(&ram, ram.whole()).map_err(|source| not_told(backing, source))?;
        if backing != Backing::Userfault {
            return Ok(ram);
        }
        ram.answered().map_err(|UserfaultError { call, source }| BackingError::Userfault { call, source })
    }
}

/// What is to be mapped.
fn source(bytes: u64, backing: Backing) -> Result<Source, BackingError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| BackingError::File { backing, what, source }
    };
    let memfd = |flags| -> Result<File, BackingError> {
        let file = memfd_create(c"pagehint", flags | MemfdFlags::CLOEXEC).map_err(io::Error::from);
        let file = file.map(File::from).map_err(failed("memfd_create"))?;
        let pages =
            backing.whole_pages(usize::try_from(bytes.next_multiple_of(PAGE_SIZE)).unwrap_or(usize::MAX));
        file.set_len(pages as u64).map_err(failed("ftruncate"))?;
        Ok(file)
    };
    Ok(match backing {
        Backing::Anon | Backing::AnonThp | Backing::Locked | Backing::Userfault => Source::Anonymous,
        Backing::Memfd | Backing::MemfdThp => Source::Shared(memfd(MemfdFlags::empty())?),
        Backing::Hugetlb => Source::Shared(memfd(MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB)?),
        Backing::File => {
            let directory = env::temp_dir();
            let what = format!("a file without a name in {}", directory.display());
            let file =
                OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).open(&directory);
            let file = file.and_then(|file| file.set_len(bytes.next_multiple_of(PAGE_SIZE)).map(|()| file));
            Source::Private(file.map_err(failed(&what))?)
        }
    })
}

/// Tells the kernel what memory of this backing these pages are to be: all of it at first, and whatever is mapped anew.
pub(super) fn settle(ram: &GuestRam, range: PageRange) -> io::Result<()> {
    if let Some(advice) = advice(ram.backing()) {
        match advise(ram, range, advice) {
            // A kernel without huge pages knows no advice against them, and gives none.
            Err(_) if advice == Advice::NoHugePage && !Path::new(ENABLED).exists() => {}
            advised => advised?,
        }
    }
    if ram.backing() == Backing::Locked { lock(ram, range) } else { Ok(()) }
}

/// What the kernel is advised of memory of this backing.
const fn advice(backing: Backing) -> Option<Advice> {
    match backing {
        Backing::Anon | Backing::Memfd | Backing::File | Backing::Locked | Backing::Userfault => {
            Some(Advice::NoHugePage)
        }
        Backing::AnonThp | Backing::MemfdThp => Some(Advice::HugePage),
        Backing::Hugetlb => None,
    }
}

/// The kernel did not take what it was told of memory of this backing.
fn not_told(backing: Backing, source: io::Error) -> BackingError {
    match advice(backing) {
        Some(advice) if backing != Backing::Locked => BackingError::Advice { backing, advice, source },
        _ => BackingError::Lock { source },
    }
}

/// What is missing, if that is why there is no memory.
fn no_hugetlb(bytes: u64, error: RamError) -> BackingError {
    let count = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("{HUGETLB}/{name}")).ok()?.trim().parse().ok()
    };
    let counts = || Some((count("free_hugepages")?, count("resv_hugepages")?, count("nr_hugepages")?));
    let Some((free, promised, all)) = counts() else { return error.into() };
    let (needed, free) = (bytes.div_ceil(Order::HUGE.bytes()), free.saturating_sub(promised));
    if needed <= free {
        return error.into();
    }
    BackingError::NoHugetlb { needed, free, reserve: all + needed - free }
}

/// What the kernel says of this process.
pub(super) fn status() -> String {
    fs::read_to_string("/proc/self/status").unwrap_or_default()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Locked memory is not discarded, and is there before anybody has advised huge pages for it.
pub(super) fn locked(status: &str) -> Option<String> {
    let locked = field(status, "VmLck:").filter(|locked| *locked != "0 kB")?;
    Some(format!(
        "{locked} of this process are locked (VmLck): start it without what locks all memory (mlockall)"
    ))
}

/// What keeps huge pages away, by what the kernel says: of this process, and in `enabled`, which `path` has, of all.
fn reason(status: &str, path: &str, enabled: Option<&str>) -> String {
    if field(status, "THP_enabled:") == Some("0") {
        return "they are switched off for this process, by whoever started it (prctl PR_SET_THP_DISABLE)"
            .to_owned();
    }
    if let Some(locked) = locked(status) {
        return locked;
    }
    match enabled.map(str::trim) {
        None => "this kernel shows no transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)".to_owned(),
        Some(never) if never.contains("[never]") || never.contains("[deny]") => {
            // What anonymous memory has as `madvise` a file in memory has as `advise`.
            let advised = if path == SHMEM_ENABLED { "advise" } else { "madvise" };
            let set = if never.contains("[deny]") { "deny" } else { "never" };
            format!("as root: echo {advised} > {path}, which is {set}")
        }
        Some(set) => format!(
            "{path} is {set} and allows them: memory must be free and not fragmented (as root: echo 1 > /proc/sys/vm/compact_memory)"
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
    if backing.is_thp() && share < LEAST {
        let path = if backing.is_shared() { SHMEM_ENABLED } else { ENABLED };
        let reason = reason(&status(), path, fs::read_to_string(path).ok().as_deref());
        let (share, least) = (share * 100.0, LEAST * 100.0);
        return Err(BackingError::NoHugePages { backing, share, least, reason });
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
    use abi::addr::Pfn;

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
            let reason = reason(status, ENABLED, enabled);
            assert!(reason.contains(said), "{reason}");
        }
        let reason = reason(free, SHMEM_ENABLED, Some("always within_size advise [never] deny force\n"));
        assert!(reason.contains("echo advise > ") && reason.contains("shmem_enabled"), "{reason}");
    }

    #[test]
    fn what_the_kernel_is_not_told_is_said_with_what_it_said() {
        let thp = || GuestRam::backed(4 << 20, Backing::AnonThp);
        let error = refused(libc::SYS_madvise, libc::EINVAL, thp).unwrap_err().to_string();
        assert!(error.contains("madvise(MADV_HUGEPAGE) of guest memory failed: Invalid argument"), "{error}");
    }

    #[test]
    fn huge_pages_that_nobody_reserved_are_said_with_the_line_to_type() {
        // A pebibyte of them nobody has.
        let error = GuestRam::backed(1 << 50, Backing::Hugetlb).unwrap_err().to_string();
        let said = error.contains("echo ") && error.contains("/nr_hugepages");
        assert!(said || error.contains("hugetlb"), "{error}");
    }

    #[test]
    fn of_nothing_nothing_is_huge() {
        let ram = GuestRam::new(4 << 20).unwrap();
        assert_eq!(require_huge(&ram, Backing::Anon).unwrap(), 0.0);
        assert!(require_huge(&ram, Backing::AnonThp).is_err());
    }
}
