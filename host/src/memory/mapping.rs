//! One anonymous mapping, aligned to the largest block.

#![expect(unsafe_code, reason = "mmap, munmap and mbind")]

use std::io;
use std::ptr::{self, NonNull};

/// Alignment of guest memory: the largest block, so that a block of any order in guest physical memory is one
/// in host virtual memory too.
const ALIGNMENT: usize = 4 << 20;

/// Owns the address range; unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
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
    /// Maps `bytes`, a multiple of the page size, private, anonymous and without swap reserved.
    pub(super) fn new(bytes: usize) -> Result<Self, Refused> {
        let refused = |source| Refused { call: "mmap", source };
        let length =
            bytes.checked_add(ALIGNMENT).ok_or_else(|| refused(io::ErrorKind::OutOfMemory.into()))?;
        // SAFETY: a new anonymous mapping anywhere touches nothing that exists.
        let whole = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if whole == libc::MAP_FAILED {
            return Err(refused(io::Error::last_os_error()));
        }
        let whole = whole.cast::<u8>();
        let before = whole.align_offset(ALIGNMENT);
        let start = whole.wrapping_add(before);
        trim(whole, before)?;
        trim(start.wrapping_add(bytes), ALIGNMENT - before)?;
        let start = NonNull::new(start).ok_or_else(|| refused(io::ErrorKind::InvalidData.into()))?;
        Ok(Self { start, bytes })
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
        let mapping = Mapping::new(4 << 20).unwrap();
        // A sandbox may refuse the system call; what is not refused must be right.
        match mapping.bind(0) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => println!("not allowed: {error}"),
            bound => bound.unwrap(),
        }
        assert!(mapping.bind(1000).is_err(), "there are no thousand nodes");
    }

    #[test]
    fn is_aligned_to_the_largest_block() {
        let mapping = Mapping::new(8 << 20).unwrap();
        assert_eq!(mapping.start().addr() % ALIGNMENT, 0);
    }
}
