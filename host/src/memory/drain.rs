//! Has every processor give up the pages it holds on to.
//!
//! A page that was touched or marked as accessed is referenced by a list of the processor on which that happened, until
//! the list is full or is drained (Linux `mm/swap.c`). A page that is discarded meanwhile is not free before that.
//! `move_pages` drains the lists of all processors before it moves anything (`mm/migrate.c`, `do_pages_move`); it is
//! asked to put a page of no use where it is.

#![expect(unsafe_code, reason = "move_pages")]

use std::io;

use super::host_range::HostRange;
use super::ram::GuestRam;

/// `MPOL_MF_MOVE`: pages of this process only.
const MOVE: libc::c_int = 1 << 1;

/// Drains the lists of all processors.
///
/// The page of no use is mapped for the call only, so that the address space in which discards are measured is the same
/// as without it.
///
/// # Errors
/// What the kernel says: it has no such call if it knows no NUMA, or there is no page to be had.
pub(super) fn all_processors() -> io::Result<()> {
    let page = GuestRam::new(1).map_err(io::Error::other)?;
    let HostRange { address, .. } = page.host_range(page.whole()).ok_or(io::ErrorKind::InvalidInput)?;
    let pages = [std::ptr::with_exposed_provenance::<libc::c_void>(address)];
    let (nodes, mut status): ([libc::c_int; 1], [libc::c_int; 1]) = ([0], [0]);
    // SAFETY: each of the three arrays has as many elements as the call is told, one, and lives until it returns. The
    // page is ours and nobody looks at it; it is not even there.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0_i32,
            pages.len(),
            pages.as_ptr(),
            nodes.as_ptr(),
            status.as_mut_ptr(),
            MOVE,
        )
    };
    if moved >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // There is no such node, or we may not use it. That is found after the lists have been drained.
        Some(libc::ENODEV | libc::EACCES) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_all_processors_can_be_drained_again_and_again() {
        for _ in 0..3 {
            match all_processors() {
                Ok(()) => {}
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOSYS), "{error}"),
            }
        }
    }
}
