//! Guest memory, and the one checked door into it.
//!
//! A [`Gpa`] cannot be dereferenced. Every read and write goes through [`GuestRam`], which checks both ends and
//! uses volatile or atomic accesses; no Rust reference ever points into guest memory. [`HostRange`], what
//! `madvise` needs, is only made here, from a [`PageRange`] that lies wholly in memory.

#![expect(unsafe_code, reason = "vm-memory is given the mapping it does not own")]

use std::fs::File;
use std::io;

use abi::addr::{ByteRange, Gpa, PageRange, bytes_of, pages_for};
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestMemoryMmap, GuestRegionMmap, VolatileSlice,
};

use super::host_range::HostRange;
use super::mapping::{Mapping, Refused, Source};
use super::userfault::{Answerer, UserfaultError, Userfaults};
use crate::axes::Backing;

/// Why guest memory could not be made or accessed.
#[derive(Debug, thiserror::Error)]
pub enum RamError {
    /// The mapping failed.
    #[error("{mib} MiB of guest memory cannot be mapped: {call}: {source}{}", way_out(.source))]
    Map {
        /// Size asked for.
        mib: u64,
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// vm-memory did not accept the mapping.
    #[error("guest memory of {mib} MiB was not accepted: {what}")]
    Region {
        /// Size asked for.
        mib: u64,
        /// What it said.
        what: String,
    },
    /// An access was not, or not wholly, in memory.
    #[error("guest address {gpa} cannot be accessed: {source}")]
    Access {
        /// The address.
        gpa: Gpa,
        /// What vm-memory said.
        source: GuestMemoryError,
    },
}

/// What can be done about it: of what is refused for another reason less would be refused too.
fn way_out(refusal: &io::Error) -> &'static str {
    match refusal.raw_os_error() {
        Some(libc::ENOMEM) => "; use less of it: a smaller --arena, batch or order, or a smaller --memory",
        _ => "",
    }
}

/// Guest physical memory: one region from address 0 on.
#[derive(Debug)]
pub struct GuestRam {
    // Dropped before the mapping it looks at.
    memory: GuestMemoryMmap,
    // As long as there is a mapping somebody answers for it.
    answerer: Option<Answerer>,
    mapping: Mapping,
    whole: PageRange,
    backing: Backing,
}

impl GuestRam {
    /// Maps at least `bytes` of private anonymous memory, of which nothing has been said to the kernel.
    ///
    /// # Errors
    /// [`RamError`] if there is not that much address space.
    pub fn new(bytes: u64) -> Result<Self, RamError> {
        Self::mapped(bytes, Backing::Anon, Source::Anonymous)
    }

    /// Maps at least `bytes` of what `source` is: memory of this backing.
    pub(super) fn mapped(bytes: u64, backing: Backing, source: Source) -> Result<Self, RamError> {
        let mib = bytes >> 20;
        let bytes = bytes_of(pages_for(bytes));
        let region = |what: String| RamError::Region { mib, what };
        let whole =
            ByteRange { gpa: Gpa(0), len: bytes }.inward().map_err(|error| region(format!("{error:?}")))?;
        let size = usize::try_from(bytes).map_err(|error| region(error.to_string()))?;
        let mapping = Mapping::new(backing.whole_pages(size), source)
            .map_err(|Refused { call, source }| RamError::Map { mib, call, source })?;
        // SAFETY: the mapping is `size` bytes long, readable and writable, and outlives the view.
        let view = unsafe { MmapRegionBuilder::new(size).with_raw_mmap_pointer(mapping.start()) }
            .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
            .with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE)
            .build()
            .map_err(|error| region(error.to_string()))?;
        let view = GuestRegionMmap::new(view, GuestAddress(0)).ok_or_else(|| region("it wraps".into()))?;
        let memory = GuestMemoryMmap::from_regions(vec![view]).map_err(|error| region(error.to_string()))?;
        Ok(Self { memory, answerer: None, mapping, whole, backing })
    }

    /// The same memory, registered with userfaultfd, and somebody who answers for what is missing.
    ///
    /// # Errors
    /// [`UserfaultError`].
    pub(super) fn answered(self) -> Result<Self, UserfaultError> {
        let whole = self.host_range(self.whole);
        let answerer = whole.map(Answerer::of).transpose()?;
        Ok(Self { answerer, ..self })
    }

    /// What whoever answers for missing pages did, if somebody does.
    pub(crate) fn userfault(&self) -> Option<Userfaults> {
        self.answerer.as_ref().map(Answerer::counts)
    }

    /// What it is made of.
    pub(crate) const fn backing(&self) -> Backing {
        self.backing
    }

    /// The file that it is from address 0 on, if it is a shared one.
    pub(super) const fn shared_file(&self) -> Option<&File> {
        self.mapping.shared_file()
    }

    /// Puts fresh anonymous memory in place of these pages, of which nothing has been said to the kernel.
    ///
    /// # Errors
    /// What `mmap` says; [`io::ErrorKind::InvalidInput`] if the range is not wholly guest memory.
    pub(super) fn remap(&self, range: PageRange) -> io::Result<()> {
        let HostRange { address, bytes } = self.host_range(range).ok_or(io::ErrorKind::InvalidInput)?;
        self.mapping.remap(address - self.mapping.start().addr(), bytes)
    }

    /// Has the kernel take all pages that are still to come from this memory node.
    ///
    /// # Errors
    /// What the kernel says: the node is not there, or not for us.
    pub(crate) fn bind(&self, node: usize) -> io::Result<()> {
        self.mapping.bind(node)
    }

    /// The view that vm-memory's users take: loader and queues.
    #[must_use]
    pub const fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// All of it.
    #[must_use]
    pub const fn whole(&self) -> PageRange {
        self.whole
    }

    /// The same pages for the host's kernel, if all of them are memory.
    #[must_use]
    pub fn host_range(&self, range: PageRange) -> Option<HostRange> {
        if !self.contains(range) {
            return None;
        }
        let offset = usize::try_from(range.gpa().0).ok()?;
        let bytes = usize::try_from(range.bytes()).ok()?;
        Some(HostRange { address: self.mapping.start().addr() + offset, bytes })
    }

    /// Whether all of these bytes are memory.
    pub(crate) fn holds(&self, gpa: Gpa, bytes: usize) -> bool {
        self.door(gpa, bytes).is_ok()
    }

    /// Reads `N` words.
    ///
    /// # Errors
    /// [`RamError::Access`] if any of them is not in memory.
    pub fn read_words<const N: usize>(&self, gpa: Gpa) -> Result<[u64; N], RamError> {
        let mut words = [0; N];
        self.read_into(gpa, &mut words)?;
        Ok(words)
    }

    /// Reads as many words as `words` has room for.
    ///
    /// # Errors
    /// [`RamError::Access`] if any of them is not in memory.
    pub fn read_into(&self, gpa: Gpa, words: &mut [u64]) -> Result<(), RamError> {
        self.door(gpa, size_of_val(words))?.copy_to(words);
        Ok(())
    }

    /// Reads one word.
    ///
    /// # Errors
    /// [`RamError::Access`] if it is not in memory.
    pub fn read(&self, gpa: Gpa) -> Result<u64, RamError> {
        self.read_words(gpa).map(|[word]| word)
    }

    /// Writes words.
    ///
    /// # Errors
    /// [`RamError::Access`] if any of them is not in memory.
    pub fn write_words(&self, gpa: Gpa, words: &[u64]) -> Result<(), RamError> {
        self.door(gpa, size_of_val(words))?.copy_from(words);
        Ok(())
    }

    /// Writes one word.
    ///
    /// # Errors
    /// [`RamError::Access`] if it is not in memory.
    pub fn write(&self, gpa: Gpa, word: u64) -> Result<(), RamError> {
        self.write_words(gpa, &[word])
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`RamError::Access`] if any of them is not in memory.
    pub fn read_bytes(&self, gpa: Gpa, bytes: &mut [u8]) -> Result<(), RamError> {
        self.door(gpa, bytes.len())?.copy_to(bytes);
        Ok(())
    }

    /// The one door: so many bytes from `gpa` on, if all of them are memory. Checked once an access, whatever its
    /// size; vm-memory's own reads and writes of objects would look for regions again and again.
    fn door(&self, gpa: Gpa, bytes: usize) -> Result<VolatileSlice<'_>, RamError> {
        self.memory.get_slice(GuestAddress(gpa.0), bytes).map_err(|source| RamError::Access { gpa, source })
    }

    /// Whether every page of the range is memory.
    #[must_use]
    pub fn contains(&self, range: PageRange) -> bool {
        range.end() <= self.whole.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::{Order, Pfn};

    #[test]
    fn nothing_beyond_the_end_is_reached() {
        let ram = GuestRam::new(8 << 20).unwrap();
        assert!(ram.write(Gpa((8 << 20) - 8), 1).is_ok());
        assert!(ram.write(Gpa((8 << 20) - 4), 1).is_err(), "half outside");
        assert!(ram.read(Gpa(u64::MAX)).is_err());
        let last = PageRange::block(Pfn((8 << 8) - 1), Order::default());
        assert!(ram.host_range(last).is_some());
        assert!(ram.host_range(PageRange::block(last.start(), Order::new(1).unwrap())).is_none());
    }
}
