//! The one place that calls `madvise`, and its like for many ranges.
//!
//! | advice | on private anonymous memory |
//! |---|---|
//! | [`Advice::DontNeed`] | unmaps the pages at once; they read as zeroes afterwards. Part of a huge page is not freed with that |
//! | [`Advice::Free`] | lets the kernel take the pages when memory is short, unless they are written to before |
//! | [`Advice::PageOut`] | writes the pages to swap |
//! | [`Advice::HugePage`] | lets faults be served by transparent huge pages |
//! | [`Advice::NoHugePage`] | keeps them to 4 KiB pages |
//!
//! [`Advice::Remove`] takes pages out of the file that is mapped, and is refused of private memory. What each does with
//! memory that is made otherwise is in [`super::discard`].
//!
//! `madvise` itself rounds a length *up* to whole pages (`mm/madvise.c`, `madvise_behavior_valid` and below):
//! it never sees any but whole pages here.

#![expect(unsafe_code, reason = "madvise, process_madvise and mlock2")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use abi::addr::PageRange;

use super::host_range::HostRange;
use super::ram::GuestRam;

/// What the kernel is advised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// `MADV_DONTNEED`.
    DontNeed,
    /// `MADV_FREE`.
    Free,
    /// `MADV_REMOVE`.
    Remove,
    /// `MADV_PAGEOUT`.
    PageOut,
    /// `MADV_HUGEPAGE`.
    HugePage,
    /// `MADV_NOHUGEPAGE`.
    NoHugePage,
}

impl Advice {
    /// The kernel's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DontNeed => "MADV_DONTNEED",
            Self::Free => "MADV_FREE",
            Self::Remove => "MADV_REMOVE",
            Self::PageOut => "MADV_PAGEOUT",
            Self::HugePage => "MADV_HUGEPAGE",
            Self::NoHugePage => "MADV_NOHUGEPAGE",
        }
    }

    const fn number(self) -> libc::c_int {
        match self {
            Self::DontNeed => libc::MADV_DONTNEED,
            Self::Free => libc::MADV_FREE,
            Self::Remove => libc::MADV_REMOVE,
            Self::PageOut => libc::MADV_PAGEOUT,
            Self::HugePage => libc::MADV_HUGEPAGE,
            Self::NoHugePage => libc::MADV_NOHUGEPAGE,
        }
    }
}

/// Advises the kernel about pages of guest memory.
///
/// # Errors
/// What `madvise` says; [`io::ErrorKind::InvalidInput`] if the range is not wholly guest memory.
pub(crate) fn advise(ram: &GuestRam, range: PageRange, advice: Advice) -> io::Result<()> {
    let Some(HostRange { address, bytes }) = ram.host_range(range) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let start = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY:
    // - the range is page-aligned and wholly inside the mapping of guest memory (`host_range`);
    // - no Rust reference points there, so that contents may change under our feet;
    // - the mapping lives as long as `ram`.
    done(unsafe { libc::madvise(start, bytes, advice.number()) }.into())
}

/// Advises the kernel about many ranges of guest memory, all of which [`GuestRam::host_range`] of `ram` has made, in one
/// call; `process` is this process.
///
/// # Errors
/// What `process_madvise` says; [`io::ErrorKind::WriteZero`] if it stopped before the last.
pub(super) fn advise_all(
    _: &GuestRam,
    process: &OwnedFd,
    ranges: &[HostRange],
    advice: Advice,
) -> io::Result<()> {
    let flags: libc::c_uint = 0;
    // SAFETY:
    // - as above of every range;
    // - a `HostRange` is laid out as an `iovec` is, address before length, and there are as many as is said.
    let advised = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            ranges.as_ptr().cast::<libc::iovec>(),
            ranges.len(),
            advice.number(),
            flags,
        )
    };
    done(advised)?;
    let named: usize = ranges.iter().map(|range| range.bytes).sum();
    if advised.unsigned_abs() == named as u64 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Locks pages of guest memory as soon as they are there.
///
/// # Errors
/// What `mlock2` says; [`io::ErrorKind::InvalidInput`] if the range is not wholly guest memory.
pub(super) fn lock(ram: &GuestRam, range: PageRange) -> io::Result<()> {
    let Some(HostRange { address, bytes }) = ram.host_range(range) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: as above; nothing that the pages hold is changed.
    done(unsafe { libc::syscall(libc::SYS_mlock2, address, bytes, libc::MLOCK_ONFAULT) })
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
