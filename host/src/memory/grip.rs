//! References that keep pages allocated when they are unmapped: a bug to be planted. Only for tests.

#![expect(unsafe_code, reason = "vmsplice")]

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::AsRawFd;

use abi::addr::{PAGE_SIZE, PageRange};

use super::host_range::HostRange;
use super::ram::GuestRam;

/// Bytes of a pipe, and the pages it has room for.
const ROOM: libc::c_int = 1 << 20;
const PAGES: u64 = 256;

/// Holds on to the pages it was given last: they stand in a pipe that nobody reads.
#[derive(Debug, Default)]
pub(crate) struct Grip {
    pipe: Option<(PipeReader, PipeWriter)>,
    held: u64,
}

impl Grip {
    /// Takes a reference to each page, of the first 256 if there are more. What was held before is let go when there is
    /// no room for both.
    pub(crate) fn hold(&mut self, ram: &GuestRam, range: PageRange) -> io::Result<()> {
        let Some(HostRange { address, bytes }) = ram.host_range(range) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let pages = range.pages().min(PAGES);
        if self.held + pages > PAGES {
            (self.pipe, self.held) = (None, 0);
        }
        let writer = match &mut self.pipe {
            Some((_, writer)) => writer,
            none => &mut none.insert(large_pipe()?).1,
        };
        let base = std::ptr::with_exposed_provenance_mut(address);
        let range = libc::iovec { iov_base: base, iov_len: bytes.min(usize::try_from(ROOM).unwrap_or(0)) };
        // SAFETY: the range is wholly inside the mapping of guest memory, which no Rust reference points into; the
        // kernel only takes references to its pages, and nobody ever reads them.
        let spliced =
            unsafe { libc::vmsplice(writer.as_raw_fd(), &raw const range, 1, libc::SPLICE_F_NONBLOCK) };
        if spliced < 0 {
            return Err(io::Error::last_os_error());
        }
        // A page it did not take would be free, and the bug not there.
        if spliced.unsigned_abs() as u64 != pages * PAGE_SIZE {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held += pages;
        Ok(())
    }
}

fn large_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    // SAFETY: the descriptor is open, and the call takes a number and returns one.
    if unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, ROOM) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((reader, writer))
}
