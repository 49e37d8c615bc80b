//! One mapping, aligned to the largest block: of no file, or of one from its beginning on.

#![expect(unsafe_code, reason = "mmap, munmap and mbind")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// Alignment of guest memory: the largest block, so that a block of any order in guest physical memory is one
/// in host virtual memory too.
const ALIGNMENT: usize = 4 << 20;

const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
/// Private, anonymous and without swap reserved.
const ANONYMOUS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// What is mapped.
#[derive(Debug)]
pub(super) enum Source {
    /// Fresh memory.
    Anonymous,
    /// A copy of a file, made page by page as it is written to.
    Private(File),
    /// A file itself.
    Shared(File),
}

/// Owns the address range; unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    source: Source,
}

// SAFETY: the mapping is plain memory that no Rust reference points into; all access goes through volatile or
// atomic operations of vm-memory, from any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// A call of the system's that failed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) call: &'static str,
    pub(super) source: io::Error,
}

impl Mapping {
    /// Maps `bytes`, a multiple of the size of its pages; a file has as many.
    pub(super) fn new(bytes: usize, source: Source) -> Result<Self, Refused> {
        let refused = |source| Refused { call: "mmap", source };
        let length =
            bytes.checked_add(ALIGNMENT).ok_or_else(|| refused(io::ErrorKind::OutOfMemory.into()))?;
        // SAFETY: a new anonymous mapping anywhere touches nothing that exists.
        let whole = unsafe { libc::mmap(ptr::null_mut(), length, READ_WRITE, ANONYMOUS, -1, 0) };
        if whole == libc::MAP_FAILED {
            return Err(refused(io::Error::last_os_error()));
        }
        let whole = whole.cast::<u8>();
        let before = whole.align_offset(ALIGNMENT);
        let start = whole.wrapping_add(before);
        trim(whole, before)?;
        trim(start.wrapping_add(bytes), ALIGNMENT - before)?;
        let start = NonNull::new(start).ok_or_else(|| refused(io::ErrorKind::InvalidData.into()))?;
        let mapping = Self { start, bytes, source };
        mapping.map_file().map_err(refused)?;
        Ok(mapping)
    }

    /// Puts the file in place of what is mapped, if there is one.
    fn map_file(&self) -> io::Result<()> {
        let (file, flags) = match &self.source {
            Source::Anonymous => return Ok(()),
            Source::Private(file) => (file, libc::MAP_PRIVATE | libc::MAP_NORESERVE),
            // Huge pages that are not there are missed now, and not at a page fault.
            Source::Shared(file) => (file, libc::MAP_SHARED),
        };
        self.map_over(0, self.bytes, flags, file.as_raw_fd())
    }

    /// Puts fresh memory in place of what is mapped, `bytes` from `offset` on.
    pub(super) fn remap(&self, offset: usize, bytes: usize) -> io::Result<()> {
        self.map_over(offset, bytes, ANONYMOUS, -1)
    }

    /// Maps memory, or the beginning of a file, in place of a part of what is mapped.
    fn map_over(&self, offset: usize, bytes: usize, flags: libc::c_int, file: libc::c_int) -> io::Result<()> {
        if offset.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let start = self.start.as_ptr().wrapping_add(offset).cast();
        // SAFETY: the range is a part of ours, into which no Rust reference points, so that what is there may be replaced:
        // whoever looks at it later sees plain memory again. An offset that is not page-aligned is refused.
        let mapped = unsafe { libc::mmap(start, bytes, READ_WRITE, flags | libc::MAP_FIXED, file, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has the kernel take all pages that are still to come from memory node `node`, and from no other.
    pub(super) fn bind(&self, node: usize) -> io::Result<()> {
        const BITS: usize = libc::c_ulong::BITS as usize;
        let mut nodes = vec![0 as libc::c_ulong; node / BITS + 1];
        nodes[node / BITS] = 1 << (node % BITS);
        // The kernel takes one bit less than it is told of.
        let bits = nodes.len() * BITS + 1;
        // SAFETY: the range is ours; the policy of a range says where its pages come from and changes none of them. The
        // mask is as long as is said.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mbind,
                self.start.as_ptr(),
                self.bytes,
                libc::MPOL_BIND,
                nodes.as_ptr(),
                bits,
                0,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) const fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The file that this memory is.
    pub(super) const fn shared_file(&self) -> Option<&File> {
        match &self.source {
            Source::Shared(file) => Some(file),
            Source::Anonymous | Source::Private(_) => None,
        }
    }
}

/// Gives back a part at the edge of a mapping just made.
fn trim(start: *mut u8, bytes: usize) -> Result<(), Refused> {
    // SAFETY: the range is page-aligned, part of the mapping made by the caller, and nobody knows it yet.
    if bytes > 0 && unsafe { libc::munmap(start.cast(), bytes) } != 0 {
        return Err(Refused { call: "munmap", source: io::Error::last_os_error() });
    }
    Ok(())
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and `GuestRam`, its only user, drops its view of it first.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_there_is_bound_to_and_no_other() {
        let mapping = Mapping::new(4 << 20, Source::Anonymous).unwrap();
        // A sandbox may refuse the system call; what is not refused must be right.
        match mapping.bind(0) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => println!("not allowed: {error}"),
            bound => bound.unwrap(),
        }
        assert!(mapping.bind(1000).is_err(), "there are no thousand nodes");
    }

    #[test]
    fn is_aligned_to_the_largest_block() {
        let mapping = Mapping::new(8 << 20, Source::Anonymous).unwrap();
        assert_eq!(mapping.start().addr() % ALIGNMENT, 0);
    }

    #[test]
    fn nothing_is_mapped_over_what_is_somebody_elses() {
        let mapping = Mapping::new(4 << 20, Source::Anonymous).unwrap();
        for (offset, bytes) in [(4 << 20, 4096), (0, 8 << 20), (4096, usize::MAX), (8, 4096)] {
            assert!(mapping.remap(offset, bytes).is_err(), "{bytes} bytes at {offset}");
        }
        mapping.remap(4096, 4096).unwrap();
    }
}
