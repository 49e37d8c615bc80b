//! Which pages of guest memory are resident, by the kernel's own account: `/proc/self/pagemap`.
//!
//! Each page has a word there; bit 63 says present, bit 62 swapped out, and a page that is either still costs
//! the host something (Linux `Documentation/admin-guide/mm/pagemap.rst`). The frame numbers are hidden from
//! ordinary users, these bits are not. A page of a shared file costs the host something as long as it is in the file,
//! mapped or not: of such memory [`super::in_core`] is asked too. A page that is not resident need not be back: see
//! [`super::witness`].

use std::fs::{self, File};
use std::io;
use std::iter::repeat;
use std::os::unix::fs::FileExt;

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, PageRange};

use super::host_range::HostRange;
use super::in_core;
use super::ram::GuestRam;

pub(super) const PAGEMAP: &str = "/proc/self/pagemap";
const SMAPS: &str = "/proc/self/smaps";
const MAPS: &str = "/proc/self/maps";
const STATM: &str = "/proc/self/statm";
const MINCORE: &str = "mincore";
const WORD: usize = 8;
const PRESENT: u64 = 1 << 63;
const HELD: u64 = PRESENT | 1 << 62;
/// The frame of a page that is present.
const FRAME: u64 = (1 << 55) - 1;

/// The kernel does not say what is resident.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {source}")]
pub struct ResidencyError {
    /// Where it says it.
    path: &'static str,
    /// What happened.
    source: io::Error,
}

impl ResidencyError {
    fn of(path: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path, source }
    }
}

/// Reads residency without allocating.
#[derive(Debug)]
pub(crate) struct Residency {
    pagemap: File,
    buffer: Vec<u8>,
    /// A byte for each page, where memory is a shared file.
    in_core: Option<Vec<u8>>,
    host: HostRange,
}

impl Residency {
    /// Prepares to look at `range`, all of it memory.
    pub(crate) fn of(ram: &GuestRam, range: PageRange) -> Result<Self, ResidencyError> {
        let host = ram.host_range(range).ok_or(io::ErrorKind::InvalidInput.into());
        let prepared = host.and_then(|host| {
            let pages = usize::try_from(range.pages()).map_err(io::Error::other)?;
            let in_core = ram.shared_file().map(|_| vec![0; pages]);
            Ok(Self { pagemap: File::open(PAGEMAP)?, buffer: vec![0; pages * WORD], in_core, host })
        });
        prepared.map_err(ResidencyError::of(PAGEMAP))
    }

    /// The same of so many pages from `gpa` on.
    pub(crate) fn of_pages(ram: &GuestRam, gpa: Gpa, pages: u64) -> Result<Self, ResidencyError> {
        let range = ByteRange::of_pages(gpa, pages).and_then(ByteRange::inward);
        let range = range.map_err(|_| ResidencyError::of(PAGEMAP)(io::ErrorKind::InvalidInput.into()))?;
        Self::of(ram, range)
    }

    /// How many pages there are to look at.
    pub(crate) const fn pages(&self) -> usize {
        self.buffer.len() / WORD
    }

    /// Sets `held[i]` to whether page `i` of the range is resident or swapped out.
    pub(crate) fn read(&mut self, held: &mut [bool]) -> Result<(), ResidencyError> {
        for (held, is) in held.iter_mut().zip(self.look()?) {
            *held = is;
        }
        Ok(())
    }

    /// How many pages of the range are resident or swapped out.
    pub(crate) fn count(&mut self) -> Result<u64, ResidencyError> {
        Ok(self.look()?.map(u64::from).sum())
    }

    /// The frame of every page that is present; to ordinary users all of them are 0.
    pub(super) fn frames(&mut self) -> Result<impl Iterator<Item = Option<u64>>, ResidencyError> {
        self.fill()?;
        Ok(self.words().map(|word| (word & PRESENT != 0).then_some(word & FRAME)))
    }

    fn look(&mut self) -> Result<impl Iterator<Item = bool>, ResidencyError> {
        self.fill()?;
        if let Some(in_core) = &mut self.in_core {
            in_core::read(self.host, in_core).map_err(ResidencyError::of(MINCORE))?;
        }
        let in_file = self.in_core.iter().flatten().map(|byte| byte & 1 != 0).chain(repeat(false));
        Ok(self.words().zip(in_file).map(|(word, in_file)| word & HELD != 0 || in_file))
    }

    /// Reads a word for each page.
    fn fill(&mut self) -> Result<(), ResidencyError> {
        let at = self.host.address as u64 / PAGE_SIZE * WORD as u64;
        self.pagemap.read_exact_at(&mut self.buffer, at).map_err(ResidencyError::of(PAGEMAP))
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        self.buffer.as_chunks::<WORD>().0.iter().map(|word| u64::from_le_bytes(*word))
    }
}

/// Resident memory of this process that is not guest memory, in bytes.
pub(crate) fn beside(ram: &GuestRam) -> Result<u64, ResidencyError> {
    let guest = Residency::of(ram, ram.whole())?.count()?;
    Ok(resident()?.saturating_sub(guest) * PAGE_SIZE)
}

/// Resident memory of this process, in pages.
pub(super) fn resident() -> Result<u64, ResidencyError> {
    let statm = fs::read_to_string(STATM).map_err(ResidencyError::of(STATM))?;
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.ok_or_else(|| ResidencyError::of(STATM)(io::ErrorKind::InvalidData.into()))
}

/// What huge pages are called: transparent ones, those of files in memory, and those of hugetlb.
const HUGE: &[&str] = &["AnonHugePages:", "ShmemPmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:"];
/// What pages are called that the kernel may take when memory is short.
const LAZY: &[&str] = &["LazyFree:"];

/// Bytes of guest memory that are huge pages now.
pub(super) fn huge_bytes(ram: &GuestRam) -> Result<u64, ResidencyError> {
    bytes(ram, HUGE)
}

/// Bytes of guest memory that are huge pages now, and the mappings of this process.
pub(crate) fn huge_and_mappings(ram: &GuestRam) -> Result<(u64, u64), ResidencyError> {
    let maps = fs::read_to_string(MAPS).map_err(ResidencyError::of(MAPS))?;
    Ok((huge_bytes(ram)?, maps.lines().count() as u64))
}

/// Pages of guest memory that are freed lazily: resident, and the kernel's to take until they are written to.
pub(crate) fn lazy_pages(ram: &GuestRam) -> Result<u64, ResidencyError> {
    Ok(bytes(ram, LAZY)? / PAGE_SIZE)
}

/// Bytes of guest memory that are called so.
fn bytes(ram: &GuestRam, fields: &[&str]) -> Result<u64, ResidencyError> {
    let host = ram.host_range(ram.whole()).ok_or(io::ErrorKind::InvalidInput.into());
    let found = host.and_then(|host| {
        bytes_in(&fs::read_to_string(SMAPS)?, host, fields).ok_or_else(|| io::ErrorKind::InvalidData.into())
    });
    found.map_err(ResidencyError::of(SMAPS))
}

/// The sum of these fields over the mappings that start inside `range`; `None` if one is no number.
fn bytes_in(smaps: &str, range: HostRange, fields: &[&str]) -> Option<u64> {
    let mut inside = false;
    let mut kib = 0_u64;
    for line in smaps.lines() {
        if let Some(start) = line.split_once('-').and_then(|(start, _)| usize::from_str_radix(start, 16).ok())
        {
            inside = (range.address..range.address + range.bytes).contains(&start);
        } else if let Some(value) =
            fields.iter().find_map(|field| line.strip_prefix(field)).filter(|_| inside)
        {
            kib += value.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
        }
    }
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::Backing;
    use crate::memory::{Advice, advise};
    use abi::addr::{Order, Pfn};

    #[test]
    fn huge_pages_are_those_of_the_range() {
        let smaps = "1000-3000 rw-p 0 0:0 0\nAnonHugePages:  2048 kB\n\
                     3000-5000 rw-p 0 0:0 0\nRss: 12 kB\nAnonHugePages:  4096 kB\n\
                     5000-6000 rw-p 0 0:0 0\nAnonHugePages:  2048 kB\n";
        let bytes = |address, bytes| bytes_in(smaps, HostRange { address, bytes }, HUGE);
        assert_eq!(bytes(0x3000, 0x2000), Some(4 << 20));
        assert_eq!(bytes(0x3000, 0x3000), Some(6 << 20));
        assert_eq!(bytes(0x7000, 0x1000), Some(0));
    }

    #[test]
    fn what_is_freed_lazily_is_so_until_it_is_written_to() {
        let ram = GuestRam::new(4 << 20).unwrap();
        advise(&ram, ram.whole(), Advice::NoHugePage).unwrap();
        let pages = ram.whole().pages();
        let write = || ram.whole().frames().for_each(|page| ram.write(page.gpa(), 1).unwrap());
        write();
        assert_eq!(lazy_pages(&ram).unwrap(), 0);
        advise(&ram, ram.whole(), Advice::Free).unwrap();
        let (lazy, resident) =
            (lazy_pages(&ram).unwrap(), Residency::of(&ram, ram.whole()).unwrap().count().unwrap());
        // A kernel that is short of memory takes some at once.
        assert!(lazy > 0 && lazy <= resident && resident <= pages, "{lazy} of {resident}");
        write();
        assert_eq!(lazy_pages(&ram).unwrap(), 0);
    }

    #[test]
    fn what_a_shared_file_keeps_is_resident() {
        let ram = GuestRam::backed(4 << 20, Backing::Memfd).unwrap();
        let block = |pfn| PageRange::block(Pfn(pfn), Order::default());
        let mut residency = Residency::of(&ram, ram.whole()).unwrap();
        assert_eq!(residency.count().unwrap(), 0);
        ram.write(block(7).gpa(), 1).unwrap();
        advise(&ram, block(7), Advice::DontNeed).unwrap();
        assert_eq!(residency.frames().unwrap().flatten().count(), 0, "unmapped");
        assert_eq!(residency.count().unwrap(), 1);
        advise(&ram, block(7), Advice::Remove).unwrap();
        assert_eq!(residency.count().unwrap(), 0);
    }

    #[test]
    fn sees_writes_and_discards() {
        let ram = GuestRam::new(4 << 20).unwrap();
        let block = |pfn| PageRange::block(Pfn(pfn), Order::default());
        advise(&ram, ram.whole(), Advice::NoHugePage).unwrap();
        let mut residency = Residency::of(&ram, ram.whole()).unwrap();
        let mut held = vec![true; 1024];
        let mut resident = || {
            residency.read(&mut held).unwrap();
            held.iter().enumerate().filter(|(_, held)| **held).map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert!(resident().is_empty());
        ram.write(block(7).gpa(), 1).unwrap();
        ram.write(block(1023).gpa(), 1).unwrap();
        assert_eq!(resident(), [7, 1023]);
        assert_eq!(Residency::of(&ram, ram.whole()).unwrap().count().unwrap(), 2);
        advise(&ram, block(7), Advice::DontNeed).unwrap();
        assert_eq!(resident(), [1023]);
    }
}
