//! Memory in a control group of its own with a limit, so that the kernel is short of it there and nowhere else.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, PageRange, Pfn};

use crate::memory::{Advice, GuestRam, Residency, advise, lazy_pages};
use crate::trial::TrialError;

/// A control group for this process, left and removed when dropped.
#[derive(Debug)]
pub struct Limited {
    parent: PathBuf,
    group: PathBuf,
    /// What its limit and its charge are called.
    limit: &'static str,
    charge: &'static str,
}

impl Limited {
    /// Enters a new group below the one that this process is in.
    ///
    /// # Errors
    /// What the system says: not everybody may.
    pub fn enter() -> io::Result<Self> {
        let of = fs::read_to_string("/proc/self/cgroup")?;
        let below = |id: &str| {
            of.lines().find_map(|line| line.split_once(id)).map(|(_, path)| path.trim_start_matches('/'))
        };
        let old = below(":memory:").map(|path| {
            (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes", "memory.usage_in_bytes")
        });
        let new = || {
            below("0::").map(|path| (Path::new("/sys/fs/cgroup").join(path), "memory.max", "memory.current"))
        };
        let (parent, limit, charge) = old.or_else(new).ok_or(io::ErrorKind::NotFound)?;
        let group = parent.join(format!("pagehint-{}", process::id()));
        fs::create_dir(&group)?;
        let limited = Self { parent, group, limit, charge };
        // A group without a limit is of another controller.
        fs::metadata(limited.group.join(limit))?;
        move_to(&limited.group)?;
        Ok(limited)
    }

    /// Has the kernel take so many bytes of what is charged to it.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(&self, bytes: u64) -> io::Result<()> {
        let charged: u64 =
            fs::read_to_string(self.group.join(self.charge))?.trim().parse().map_err(io::Error::other)?;
        fs::write(self.group.join(self.limit), charged.saturating_sub(bytes).to_string())
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // What is left of it is found by who looks; a test that failed has said so.
        let _ = fs::write(self.group.join(self.limit), if self.limit == "memory.max" { "max" } else { "-1" });
        let _ = move_to(&self.parent);
        let _ = fs::remove_dir(&self.group);
    }
}

fn move_to(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), process::id().to_string())
}

/// Memory of 4 KiB pages, each of which holds its own number and one.
pub struct Numbered(GuestRam);

impl Numbered {
    /// So many pages.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn new(pages: u64) -> Result<Self, TrialError> {
        let ram = GuestRam::new(pages * PAGE_SIZE)?;
        advise(&ram, ram.whole(), Advice::NoHugePage).map_err(TrialError::Statistics)?;
        let numbered = Self(ram);
        numbered.number(0, pages)?;
        Ok(numbered)
    }

    /// Writes to pages.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn number(&self, first: u64, pages: u64) -> Result<(), TrialError> {
        (first..first + pages).try_for_each(|page| Ok(self.0.write(Pfn(page).gpa(), page + 1)?))
    }

    /// Frees pages lazily.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn free(&self, first: u64, pages: u64) -> io::Result<()> {
        let range: PageRange = ByteRange::of_pages(Gpa(first * PAGE_SIZE), pages)
            .and_then(ByteRange::inward)
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        advise(&self.0, range, Advice::Free)
    }

    /// What a page holds.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn read(&self, page: u64) -> Result<u64, TrialError> {
        Ok(self.0.read(Pfn(page).gpa())?)
    }

    /// Pages that are resident, and of these such as are freed lazily.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn resident_and_lazy(&self) -> Result<[u64; 2], TrialError> {
        let resident = Residency::of(&self.0, self.0.whole())?.count()?;
        Ok([resident, lazy_pages(&self.0)?])
    }
}
