//! Which pages the kernel has in memory for a mapping, whether its page table has them or not: `mincore`. Of a shared
//! file they are those that are in the file.

#![expect(unsafe_code, reason = "mincore")]

use std::io;

use abi::addr::PAGE_SIZE;

use super::host_range::HostRange;

/// Sets the lowest bit of a byte for each page of `range`, of which there must be as many.
///
/// # Errors
/// What the kernel says: it does not tell of files that are not the caller's own.
pub(super) fn read(range: HostRange, pages: &mut [u8]) -> io::Result<()> {
    if range.bytes as u64 != pages.len() as u64 * PAGE_SIZE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let start = std::ptr::with_exposed_provenance_mut(range.address);
    // SAFETY: the kernel writes a byte for each page of the range, and there is room for as many. It looks at the pages'
    // state only: a range that is not mapped is an error.
    match unsafe { libc::mincore(start, range.bytes, pages.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
