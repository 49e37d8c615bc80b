//! A memory cgroup of the trial's own: the process moves into a fresh group, memory is charged there as it is touched,
//! and the charge says what is held. The group is left and removed at the end; what killed runs have left is removed
//! at the next start.
//!
//! Read is the charge itself (`memory.usage_in_bytes`, `memory.current`). The group's statistics would not do: `rss`
//! and `anon` count what is mapped (Linux `mm/rmap.c`), which a page table says as well.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use abi::addr::PAGE_SIZE;

use super::super::ram::GuestRam;
use super::super::residency::{Residency, resident};
use super::{Held, WitnessError, processors};

/// What a processor charges ahead, in pages (Linux `include/linux/memcontrol.h`, `MEMCG_CHARGE_BATCH`, the larger of
/// those it has had).
const AHEAD: u64 = 64;
/// What our groups are called, with the number of the process.
const NAME: &str = "pagehint-";
/// The file that lists the processes of a group, and moves one that is written to it.
const PROCESSES: &str = "cgroup.procs";

/// A group, with this process in it.
#[derive(Debug)]
pub(super) struct Cgroup {
    residency: Residency,
    group: Group,
    /// Mapped at the start, and not guest memory.
    beside: i64,
}

/// What the process has and is charged for, in pages.
#[derive(Clone, Copy, Debug)]
struct Charge {
    /// Charged and neither the kernel's own nor mapped.
    held: i64,
    /// Mapped, and not guest memory.
    beside: i64,
}

impl Cgroup {
    /// Moves this process into a group of its own. What is charged elsewhere stays there, such as what is left of
    /// earlier trials.
    pub(super) fn of(ram: &GuestRam) -> Result<Self, WitnessError> {
        let residency = Residency::of(ram, ram.whole())?;
        let group = Group::enter(&Place::of_this_process()?)?;
        let mut cgroup = Self { residency, group, beside: 0 };
        cgroup.beside = cgroup.charge()?.beside;
        Ok(cgroup)
    }

    pub(super) fn look(&mut self) -> Result<Held, WitnessError> {
        let Charge { held, beside } = self.charge()?;
        // What the process has mapped beside guest memory meanwhile may be charged to others, and what it has unmapped.
        let within = AHEAD * processors::online()? + beside.abs_diff(self.beside);
        Ok(Held { pages: held, within })
    }

    fn charge(&mut self) -> Result<Charge, WitnessError> {
        let mapped = resident()?.cast_signed();
        let beside = mapped - self.residency.count()?.cast_signed();
        let charged = self.group.charged()?.cast_signed() - self.group.of_the_kernel()?.cast_signed();
        Ok(Charge { held: charged - mapped, beside })
    }
}

#[cfg(feature = "test-support")]
impl Cgroup {
    /// Limits the group to so many pages less than it has been charged for. The kernel gives up when it has not come so
    /// far after some attempts, in which it has split what it could: it is asked some times.
    pub(super) fn squeeze(&self, pages: u64) -> Result<(), WitnessError> {
        const TIMES: u32 = 10;
        let limit = self.group.path.join(match self.group.place.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.high",
        });
        let path = limit.display().to_string();
        let bytes = self.group.charged()?.saturating_sub(pages) * PAGE_SIZE;
        let mut written = fs::write(&limit, bytes.to_string());
        for _ in 1..TIMES {
            if !written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy) {
                break;
            }
            written = fs::write(&limit, bytes.to_string());
        }
        // Whoever goes on in a group so small is killed.
        let none = if self.group.place.version == Version::One { "-1" } else { "max" };
        written.and_then(|()| fs::write(&limit, none)).map_err(|source| WitnessError::Read { path, source })
    }
}

/// Where groups are made, and how the charge is called there.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    /// The group this process is in.
    home: PathBuf,
    /// Where a group of ours goes.
    parent: PathBuf,
    version: Version,
}

/// Of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    One,
    Two,
}

impl Version {
    const fn usage(self) -> &'static str {
        match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        }
    }
}

impl Place {
    fn of_this_process() -> Result<Self, WitnessError> {
        let read = |path| fs::read_to_string(path).map_err(WitnessError::read(path));
        let found = Self::find(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?);
        found.ok_or_else(|| WitnessError::Says {
            path: "/proc/self/mountinfo".to_owned(),
            field: "memory cgroups",
        })
    }

    /// With version 1 below the group this process is in; with version 2 beside it, as a group with processes can have
    /// no groups below that are accounted for.
    fn find(cgroups: &str, mounts: &str) -> Option<Self> {
        let of = |is: &dyn Fn(&str) -> bool| {
            cgroups.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let controllers = fields.next()?;
                is(controllers).then_some(fields.next()?)
            })
        };
        if let Some(path) = of(&|controllers| controllers.split(',').any(|name| name == "memory")) {
            let home = mounted(mounts, "cgroup", Some("memory"))?.join(path.trim_start_matches('/'));
            return Some(Self { parent: home.clone(), home, version: Version::One });
        }
        let path = of(&str::is_empty)?;
        let home = mounted(mounts, "cgroup2", None)?.join(path.trim_start_matches('/'));
        let parent = if path == "/" { home.clone() } else { home.parent()?.to_owned() };
        Some(Self { home, parent, version: Version::Two })
    }
}

/// Where a file system of this kind is mounted, with this among its options.
fn mounted(mounts: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let is_kind = after.next() == Some(kind);
        let has = after.nth(1).is_some_and(|options| {
            option.is_none_or(|option| options.split(',').any(|found| found == option))
        });
        (is_kind && has).then(|| before.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// A group that this process is in until it is dropped.
#[derive(Debug)]
struct Group {
    place: Place,
    path: PathBuf,
}

impl Group {
    fn enter(place: &Place) -> Result<Self, WitnessError> {
        sweep(&place.parent);
        let path = place.parent.join(format!("{NAME}{}", process::id()));
        let failed = |path: &Path, source| WitnessError::Read { path: path.display().to_string(), source };
        fs::create_dir(&path).map_err(|source| failed(&path, source))?;
        // From here on it is left and removed, whatever happens.
        let group = Self { place: place.clone(), path };
        group.charged()?;
        let processes = group.path.join(PROCESSES);
        fs::write(&processes, process::id().to_string()).map_err(|source| failed(&processes, source))?;
        Ok(group)
    }

    /// Pages.
    fn charged(&self) -> Result<u64, WitnessError> {
        let path = self.path.join(self.place.version.usage());
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(WitnessError::read(&shown))?;
        let bytes: u64 =
            text.trim().parse().map_err(|_| WitnessError::Says { path: shown, field: "number" })?;
        Ok(bytes / PAGE_SIZE)
    }
}

impl Group {
    /// Pages of the charge that are the kernel's own, page tables among them.
    fn of_the_kernel(&self) -> Result<u64, WitnessError> {
        let (name, field) = match self.place.version {
            Version::One => ("memory.kmem.usage_in_bytes", "number"),
            Version::Two => ("memory.stat", "kernel"),
        };
        let path = self.path.join(name);
        let shown = path.display().to_string();
        let text = match (fs::read_to_string(&path), self.place.version) {
            // Version 1 without it charges nothing of the kernel's.
            (Err(error), Version::One) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            (read, _) => read.map_err(WitnessError::read(&shown))?,
        };
        let bytes = match self.place.version {
            Version::One => text.trim().parse().ok(),
            Version::Two => kernel_in(&text),
        };
        Ok(bytes.ok_or(WitnessError::Says { path: shown, field })? / PAGE_SIZE)
    }
}

/// Bytes.
fn kernel_in(statistics: &str) -> Option<u64> {
    statistics.lines().find_map(|line| line.strip_prefix("kernel "))?.trim().parse().ok()
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that cannot be left is removed by the next run.
        let _ = fs::write(self.place.home.join(PROCESSES), process::id().to_string());
        let _ = fs::remove_dir(&self.path);
    }
}

/// Removes the groups of processes that are gone. One that still has a process cannot be removed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let owner = owner.and_then(|number| number.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
        32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn version_1_has_groups_below_the_one_we_are_in() {
        let place = Place::find("4:cpu:/\n5:memory:/a/b\n0::/u\n", MOUNTS).unwrap();
        let home = PathBuf::from("/sys/fs/cgroup/memory/a/b");
        assert_eq!(place, Place { parent: home.clone(), home, version: Version::One });
    }

    #[test]
    fn version_2_has_them_beside_it() {
        let place = Place::find("0::/user.slice/app.scope\n", MOUNTS).unwrap();
        assert_eq!(place.home, Path::new("/sys/fs/cgroup/unified/user.slice/app.scope"));
        assert_eq!(place.parent, Path::new("/sys/fs/cgroup/unified/user.slice"));
        assert_eq!(place.version, Version::Two);
        assert_eq!(Place::find("0::/\n", "1 0 0:1 / / rw - ext4 /dev/sda rw\n"), None);
    }

    #[test]
    fn what_the_kernel_has_is_found_by_its_name() {
        assert_eq!(kernel_in("anon 7\nkernel 8192\nkernel_stack 9\n"), Some(8192));
        assert_eq!(kernel_in("kernel_stack 9\n"), None);
    }

    #[test]
    fn groups_of_the_dead_are_removed_and_no_others() {
        let parent = std::env::temp_dir().join(format!("sweep-{}", process::id()));
        // No process has this number: it is beyond the largest there can be.
        let names =
            [format!("{NAME}4194305"), format!("{NAME}{}", process::id()), "other-4194305".to_owned()];
        names.iter().for_each(|name| fs::create_dir_all(parent.join(name)).unwrap());
        sweep(&parent);
        assert_eq!(names.map(|name| parent.join(name).exists()), [false, true, true]);
        fs::remove_dir_all(&parent).unwrap();
    }
}
